"""Clips of annotated videos at random times, to train propagators."""

import dataclasses
import os
import pathlib
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import video_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images


@runtime_checkable
class Reader(Protocol):
  """A reader of annotated frames: `video_folders.Folder` or `VideoRecords`.

  Attributes:
    path: the list of the videos, for error messages.
    annotated: by video name, the times of the annotated frames.
  """

  path: pathlib.Path
  annotated: dict[str, list[int]]

  def read(
    self, name: str, time: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read an annotated frame as RGB, and its labels of the same size."""


def open_reader(
  root: str | os.PathLike, *, year: str, split: str, resolution: str
) -> Reader:
  """Open a split of a DAVIS folder, original or prepared.

  Raises:
    DataError: if the folder is neither, or has no such split.
  """
  lists = dict(year=year, split=split, resolution=resolution)
  if records.is_prepared(root):
    return records.VideoRecords(root, **lists)
  return video_folders.Folder(pathlib.Path(root), **lists)


@dataclasses.dataclass(frozen=True)
class Skips:
  """The numbers of frames to skip between two frames of a clip.

  They are drawn from 0 to a bound. The bound grows during training, so that
  motion gets faster (RGMP; the numbers are STM's).

  Attributes:
    most: the last bound.
    raise_by: increment of the bound.
    every: steps between two increments; 0: the last bound from the start.
  """

  most: int
  raise_by: int
  every: int

  def bound(self, step: int) -> int:
    """Return the bound at a training step."""
    if not self.every:
      return self.most
    return min(self.most, self.raise_by * (step // self.every))


class Clips:
  """A source of random clips from a split; `source.draw` is for training.

  Attributes:
    names: names of the videos with at least `clip_len` annotated frames.
  """

  def __init__(
    self,
    root: str | os.PathLike,
    *,
    year: str,
    split: str,
    resolution: str,
    size: tuple[int, int],
    clip_len: int,
    skips: Skips,
    distant_reference: float = 0.0,
  ):
    """Find the videos; no picture is read yet.

    Args:
      root: folder that holds JPEGImages, Annotations and ImageSets, or the
        folder that `prepared.videos` made from it.
      year: "2016" or "2017", the folder of ImageSets with the list.
      split: the list's name, such as "train".
      resolution: folder below JPEGImages; "" if there is exactly one.
      size: (h, w) of the frames.
      clip_len: frames of a clip.
      skips: numbers of frames to skip.
      distant_reference: probability that frame 0 of a clip, the reference, is
        any annotated frame of the video instead of the one before frame 1. RGMP
        does not give it.

    Raises:
      DataError: naming the list, folder or file that is missing or invalid, or
        the list in which no video has enough annotated frames.
    """
    self._size = (int(size[0]), int(size[1]))
    self._clip_len = clip_len
    self._skips = skips
    self._distant_reference = distant_reference
    self._reader = open_reader(
      root, year=year, split=split, resolution=resolution
    )
    annotated = self._reader.annotated
    self.names = tuple(n for n in annotated if len(annotated[n]) >= clip_len)
    if not self.names:
      raise images.DataError(
        self._reader.path,
        f"no video has {clip_len} annotated frames (data.clip_len)",
      )

  def __len__(self) -> int:
    """Return the number of videos."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a clip at a time that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a clip of a video at a random time; half of the clips run backwards.

    Args:
      index: number of the video.
      rng: random number generator.
      step: training step; it determines the bound of the skips.

    Returns:
      `video` uint8 [t, h, w, 3], and `labels` uint8 [t, h, w, 1]: object ids
      from 1, 0 background, 255 void. With `distant_reference` also
      `prev_labels`, uint8 [h, w, 1], of the frame before frame 1.

    Raises:
      DataError: naming the file that is broken.
    """
    name = self.names[int(index)]
    annotated = self._reader.annotated[name]
    steps = self._clip_len - 1
    longest = (len(annotated) - 1) // steps  # the longest stride that fits
    most = min(self._skips.bound(step) + 1, longest)
    strides = rng.integers(1, most + 1, steps)
    times = np.concatenate([[0], np.cumsum(strides)])
    times += rng.integers(len(annotated) - times[-1])
    if rng.random() < 0.5:
      times = times[::-1]
    frames = [self._read(name, annotated[t]) for t in times]
    sample = {}
    if self._distant_reference:
      sample["prev_labels"] = frames[0][1]
      if rng.random() < self._distant_reference:
        any_time = annotated[rng.integers(len(annotated))]
        frames[0] = self._read(name, any_time)
    video, labels = (np.stack(x) for x in zip(*frames, strict=True))
    return sample | {"video": video, "labels": labels}

  def _read(self, name: str, time: int):
    image, labels = self._reader.read(name, time)
    h, w = self._size
    # Ids must not be interpolated: a value between two ids has no meaning.
    labels = cv2.resize(labels, (w, h), interpolation=cv2.INTER_NEAREST_EXACT)
    return images.resize_image(image, self._size), labels[..., None]
