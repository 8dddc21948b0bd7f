"""Random arrays in place of data: for throughput and contract tests."""

import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

# A few distinct samples suffice; drawing each anew would cost more than the
# decoding that it stands for.
_NUM_DISTINCT = 8
_LENGTH = 1024
_UINT8_LEVELS = 256
_NUM_VIDEOS = 2


class Fake:
  """An indexable source of random samples; `source[i]` is always the same.

  uint8 arrays are uniform in 0..255, floating ones standard normal. What is
  named a mask shows an object on the left quarter: noise everywhere would
  leave no place that is free of it. Labels show object 1 there.
  """

  def __init__(self, batch_spec: Mapping[str, Any], *, seed: int):
    """Draw the samples.

    Args:
      batch_spec: by name (nested names allowed), anything with the `shape` and
        `dtype` of a batch; a sample lacks the first axis.
      seed: of the generator.

    Raises:
      ValueError: if a dtype is neither uint8 nor a floating one.
    """
    rng = np.random.default_rng(seed)
    self._samples = [_draw(rng, batch_spec) for _ in range(_NUM_DISTINCT)]

  def __len__(self) -> int:
    return _LENGTH

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self._samples[int(index) % _NUM_DISTINCT]


def _draw(rng: np.random.Generator, spec: Any) -> Any:
  if isinstance(spec, Mapping):
    sample = {name: _draw(rng, part) for name, part in spec.items()}
    for name, array in sample.items():
      if name == "labels":
        array[:] = 1
      if name == "labels" or name.endswith("mask"):
        array[..., array.shape[-2] // 4 :, :] = 0
    return sample
  shape, dtype = spec.shape[1:], np.dtype(spec.dtype)
  if dtype == np.uint8:
    return rng.integers(0, _UINT8_LEVELS, shape, np.uint8)
  # kind "V": bfloat16 is no floating type to NumPy.
  if dtype.kind in "fV":
    return rng.standard_normal(shape, np.float32).astype(dtype)
  raise ValueError(f"dtype {dtype} is neither uint8 nor a floating one")


class FakeVideos:
  """Sequences of noise with a disk that moves, as `davis.Davis` gives them.

  Attributes:
    names: what `sequence` takes.
  """

  def __init__(self, *, size: tuple[int, int], num_frames: int, seed: int):
    """Remember the network size (h, w), the length and the seed."""
    self._size = (int(size[0]), int(size[1]))
    self._num_frames = num_frames
    self._seed = seed
    self.names = tuple(f"fake{i}" for i in range(_NUM_VIDEOS))

  def sequence(self, name: str, *, num_frames: int | None = None) -> dict:
    """Make a whole sequence; for the fields see `davis.Davis.sequence`.

    Both flows are exact on the disk, which moves one pixel to the right per
    frame, and zero elsewhere.
    """
    rng = np.random.default_rng([self._seed, self.names.index(name)])
    count = len(range(self._num_frames)[:num_frames])
    height, width = self._size
    frames = rng.integers(0, _UINT8_LEVELS, (count, height, width, 3), np.uint8)
    labels = [self._disk(t) for t in range(count)]
    flow = [np.stack([m, 0 * m], -1).astype(np.float32) for m in labels]
    none = np.zeros((0, height, width, 2), np.float32)
    return {
      "name": name,
      "frames": frames,
      "ref_mask": labels[0][..., None] * np.uint8(_UINT8_LEVELS - 1),
      "flow_fwd": np.stack(flow[:-1]) if count > 1 else none,
      "flow_bwd": -np.stack(flow[1:]) if count > 1 else none,
      "labels": labels,
      "native_size": self._size,
      "native_frame": frames.__getitem__,
      "background": lambda t: None,
      "paths": [pathlib.Path(name, f"{t:05d}.jpg") for t in range(count)],
    }

  def _disk(self, t: int) -> np.ndarray:
    height, width = self._size
    centre = (width // 2 + t, height // 2)
    canvas = np.zeros(self._size, np.uint8)
    return cv2.circle(canvas, centre, max(min(height, width) // 4, 1), 1, -1)


class FakeStills:
  """Pictures of noise with a brighter disk, as `stills.Stills` gives them.

  Attributes:
    names: of the pictures.
  """

  def __init__(self, *, size: int, seed: int):
    """Remember the side of a picture and the seed."""
    self._size, self._seed = size, seed
    self.names = tuple(f"fake{i}" for i in range(_NUM_DISTINCT))

  def __len__(self) -> int:
    """Count the pictures."""
    return len(self.names)

  def picture(self, index: int) -> np.ndarray:
    """Make a picture, uint8 [size, size, 3]."""
    rng = np.random.default_rng([self._seed, index])
    noise = rng.integers(0, _UINT8_LEVELS // 2, (self._size, self._size, 3))
    noise[self.mask(index)] += _UINT8_LEVELS // 2
    return noise.astype(np.uint8)

  def label(self, index: int) -> str:
    """Name one of two classes."""
    return str(index % 2)

  def mask(self, index: int) -> np.ndarray:
    """Make the mask of a picture, boolean [size, size]."""
    at = self._size // 3 + index
    canvas = np.zeros((self._size, self._size), np.uint8)
    return cv2.circle(canvas, (at, at), self._size // 4, 1, -1).astype(bool)
