"""Random data for throughput and contract tests."""

import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from foregan_jax.data import face_labels, pair_truths

# A few distinct samples suffice: to draw each one anew would cost more than the
# decoding of real data.
_NUM_DISTINCT = 8
_LENGTH = 1024
_UINT8_LEVELS = 256
_NUM_VIDEOS = 2


class Fake:
  """An indexable source of random samples; `source[i]` is always the same.

  uint8 arrays are uniform in 0..255, floating-point ones standard normal. Masks
  (the name ends with "mask") are noise on the left quarter and 0 elsewhere:
  noise everywhere would leave no background. `labels` are 1 on the left quarter
  and 0 elsewhere. The `parts` of a face are ellipses; a `label` is an emotion.
  """

  def __init__(self, batch_spec: Mapping[str, Any], *, seed: int):
    """Draw the samples.

    Args:
      batch_spec: by name (may be nested), objects with the `shape` and `dtype`
        of a batch; a sample lacks the first axis.
      seed: seed of the random number generator.

    Raises:
      ValueError: if a dtype is neither uint8 nor floating-point.
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
      if name == "parts":
        array[:] = _draw_parts(array.shape[0])
      if name == "label":
        sample[name] = array % len(face_labels.EMOTIONS)
    return sample
  shape, dtype = spec.shape[1:], np.dtype(spec.dtype)
  if dtype == np.uint8:
    return rng.integers(0, _UINT8_LEVELS, shape, np.uint8)
  # kind "V": NumPy does not treat bfloat16 as a floating type.
  if dtype.kind in "fV":
    return rng.standard_normal(shape, np.float32).astype(dtype)
  raise ValueError(f"dtype {dtype} is neither uint8 nor floating-point")


class FakeVideos:
  """Sequences of noise with a moving disk, in the format of `davis.Davis`.

  Attributes:
    names: names of the sequences.
  """

  def __init__(self, *, size: tuple[int, int], num_frames: int, seed: int):
    """Set the network size (h, w), the number of frames and the seed."""
    self._size = (int(size[0]), int(size[1]))
    self._num_frames = num_frames
    self._seed = seed
    self.names = tuple(f"fake{i}" for i in range(_NUM_VIDEOS))

  def sequence(
    self, name: str, *, num_frames: int | None = None, fit: Any = None
  ) -> dict:
    """Generate a whole sequence; for its fields see `davis.Davis.sequence`.

    The native size is that of the network, so `fit` is ignored.

    The disk moves one pixel to the right per frame. Both flows are exact on the
    disk and zero elsewhere.
    """
    del fit
    rng = np.random.default_rng([self._seed, self.names.index(name)])
    count = len(range(self._num_frames)[:num_frames])
    height, width = self._size
    frames = rng.integers(0, _UINT8_LEVELS, (count, height, width, 3), np.uint8)
    labels = [self._disk(t) for t in range(count)]
    flow = [np.stack([m, 0 * m], -1).astype(np.float32) for m in labels]
    empty = np.zeros((0, height, width, 2), np.float32)
    return {
      "name": name,
      "frames": frames,
      "ref_mask": labels[0][..., None] * np.uint8(_UINT8_LEVELS - 1),
      "flow_fwd": np.stack(flow[:-1]) if count > 1 else empty,
      "flow_bwd": -np.stack(flow[1:]) if count > 1 else empty,
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


class FakeClips:
  """Videos of noise with a moving disk, in the format of `pairs.Pairs`.

  Attributes:
    names: names of the videos.
  """

  def __init__(self, *, size: int, seed: int):
    """Set the side of the frames and the seed."""
    self._videos = FakeVideos(size=(size, size), num_frames=3, seed=seed)
    self.names = self._videos.names

  def clip(self, index: int) -> np.ndarray:
    """Generate a video, uint8 [t, size, size, 3]."""
    return self._videos.sequence(self.names[index])["frames"]

  def some_frames(self, count: int) -> np.ndarray:
    """Generate at most `count` frames, uint8 [n, size, size, 3]."""
    frames = [self.clip(i) for i in range(len(self.names))]
    return np.concatenate(frames)[:count]

  def truth(self, index: int) -> pair_truths.Truth:
    """Return that nothing is known, so that little is compiled."""
    del index
    return pair_truths.Truth()


class FakeStills:
  """Pictures of noise with a brighter disk, in the format of `stills.Stills`.

  Attributes:
    names: names of the pictures.
  """

  def __init__(self, *, size: int, seed: int):
    """Set the side of a picture and the seed."""
    self._size, self._seed = size, seed
    self.names = tuple(f"fake{i}" for i in range(_NUM_DISTINCT))

  def __len__(self) -> int:
    """Return the number of pictures."""
    return len(self.names)

  def picture(self, index: int) -> np.ndarray:
    """Generate a picture, uint8 [size, size, 3]."""
    rng = np.random.default_rng([self._seed, index])
    noise = rng.integers(0, _UINT8_LEVELS // 2, (self._size, self._size, 3))
    noise[self.mask(index)] += _UINT8_LEVELS // 2
    return noise.astype(np.uint8)

  def class_name(self, index: int) -> str:
    """Return one of two classes."""
    return str(index % 2)

  def mask(self, index: int) -> np.ndarray:
    """Generate the mask of a picture, boolean [size, size]."""
    centre = (self._size // 3 + index,) * 2
    canvas = np.zeros((self._size, self._size), np.uint8)
    return cv2.circle(canvas, centre, self._size // 4, 1, -1).astype(bool)


# Of each part of a face, in the order of `face_labels.PARTS`: centre (y, x) and
# half axes (y, x) of one side, as shares of the picture's side.
_PART_ELLIPSES = (
  ((0.42, 0.32), (0.03, 0.07)),
  ((0.32, 0.32), (0.02, 0.09)),
  ((0.75, 0.5), (0.02, 0.1)),
  ((0.75, 0.5), (0.05, 0.14)),
)


def _draw_parts(size: int) -> np.ndarray:
  """Return the masks of a face's parts, uint8 [size, size, 4], 0 or 255."""
  y, x = (np.mgrid[:size, :size] + 0.5) / size
  x = np.minimum(x, 1 - x)  # both halves are equal
  inside = [
    ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 < 1
    for centre, axes in _PART_ELLIPSES
  ]
  eyes, brows, mouth, lips = inside
  masks = np.stack([eyes, brows, mouth, lips & ~mouth], -1)
  return masks.astype(np.uint8) * np.uint8(_UINT8_LEVELS - 1)


class FakeFaces:
  """Faces of noise with parts of flat colours, in the format of `faces.Faces`.

  Attributes:
    names: names of the faces.
    labels: indices in `face_labels.EMOTIONS`.
    has_parts: True.
  """

  def __init__(self, *, size: int, seed: int, emotion: str = ""):
    """Set the side of a face, the seed, and the emotion ("": each in turn)."""
    self._size, self._seed = size, seed
    self.names = tuple(f"fake{i}" for i in range(_NUM_DISTINCT))
    emotions = [emotion] if emotion else face_labels.EMOTIONS
    self.labels = tuple(
      face_labels.EMOTIONS.index(emotions[i % len(emotions)])
      for i in range(_NUM_DISTINCT)
    )
    self.has_parts = True

  def __len__(self) -> int:
    """Return the number of faces."""
    return len(self.names)

  def face(self, index: int) -> dict[str, Any]:
    """Generate a face; for its fields see `faces.Faces.face`."""
    return {
      "image": self.image(index),
      "parts": _draw_parts(self._size),
      "label": self.labels[index],
      "name": self.names[index],
    }

  def picture(self, index: int) -> np.ndarray:
    """Generate a picture, uint8 [size, size, 3]; parts depend on the label."""
    rng = np.random.default_rng([self._seed, index, self.labels[index]])
    noise = rng.integers(0, _UINT8_LEVELS // 2, (self._size, self._size, 3))
    shown = _draw_parts(self._size).max(-1) > 0
    noise[shown] += 16 * self.labels[index]
    return noise.astype(np.uint8)

  def image(self, index: int) -> np.ndarray:
    """Return `picture(index)`, which has this size already."""
    return self.picture(index)
