"""Random pairs of frames of one video, and whole videos for evaluation."""

import os
import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import pair_truths, unlabelled_videos
from foregan_jax.media import images, selection


class Pairs:
  """A source of pairs of frames; `source.draw` is for training.

  A sample is one identity, so that each has the same weight: a random one of
  its videos, and two frames of it at random, the earlier one first. They may be
  the same frame.

  Frames are cut to squares as long as the shorter side: at a random place, the
  same for both, for training; at the centre for evaluation.

  Attributes:
    names: names of the videos.
  """

  def __init__(
    self,
    root: os.PathLike | str,
    *,
    split: str,
    size: int,
    year: str,
    resolution: str,
  ):
    """Find the videos; none is opened yet.

    Args:
      root: see `unlabelled_videos`.
      split: see there.
      size: side of the frames, pixels.
      year: see `unlabelled_videos.Videos`.
      resolution: see there.

    Raises:
      DataError: if there is no such folder, list or video.
    """
    self._videos = unlabelled_videos.Videos(
      pathlib.Path(root), split=split, year=year, resolution=resolution
    )
    self._size = size
    self.names = self._videos.names

  def __len__(self) -> int:
    """Return the number of identities."""
    return len(self._videos.identities)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a pair that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a random pair of an identity; see `pipeline.RandomSource`.

    Returns:
      `frames`, uint8 [2, size, size, 3].

    Raises:
      DataError: if the video or one of the frames is broken.
    """
    del step
    videos = self._videos.identities[int(index)]
    video = videos[int(rng.integers(len(videos)))]
    count = self._videos.num_frames(video)
    times = np.sort(rng.integers(count, size=2))
    place = rng.random()
    frames = [
      self._square(self._videos.frame(video, int(t)), place) for t in times
    ]
    return {"frames": np.stack(frames)}

  def clip(self, index: int) -> UInt8[np.ndarray, "t s s 3"]:
    """Read all frames of a video.

    Raises:
      DataError: if the video or one of its frames is broken.
    """
    frames = self._videos.frames(index)
    return np.stack([self._square(frame, 0.5) for frame in frames])

  def some_frames(self, count: int) -> UInt8[np.ndarray, "n s s 3"]:
    """Read at most `count` frames, evenly spaced over videos and times.

    Raises:
      DataError: if a video or one of the frames is broken.
    """
    videos = selection.evenly_spaced(len(self.names), count)
    each = max(1, count // len(videos))
    return np.stack(
      [
        self._square(self._videos.frame(video, time), 0.5)
        for video in videos
        for time in selection.evenly_spaced(
          self._videos.num_frames(video), each
        )
      ]
    )

  def truth(self, index: int) -> pair_truths.Truth:
    """Read the masks and backgrounds of a video that are known.

    Raises:
      DataError: if one of them is broken.
    """
    return pair_truths.read(
      self._videos.paths[index],
      self._videos.frame_names(index),
      self._size,
    )

  def _square(self, frame: np.ndarray, place: float) -> np.ndarray:
    square = images.crop_square(frame, float(place))
    return images.resize_image(square, (self._size, self._size))
