"""Clips of annotated videos at random times, for propagators."""

import dataclasses
import os
import pathlib
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import video_folders
from foregan_jax.data.prepared import records
from foregan_jax.data.prepared import videos as prepared_videos
from foregan_jax.media import images


@runtime_checkable
class Videos(Protocol):
  """What `Clips` cuts from: a DAVIS folder, or prepared records.

  Attributes:
    path: where the videos are listed.
    known: by name, the times of the annotated frames.
  """

  path: pathlib.Path
  known: dict[str, list[int]]

  def read(
    self, name: str, time: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read an annotated frame and its labels, of one size."""


def find(
  root: str | os.PathLike, *, year: str, split: str, resolution: str
) -> Videos:
  """Opens a DAVIS folder, or what `prepared.videos` prepared from one.

  Raises:
    DataError: if it is neither, or the split is not there.
  """
  lists = dict(year=year, split=split, resolution=resolution)
  if records.is_prepared(root):
    return prepared_videos.Records(root, **lists)
  return video_folders.Folder(pathlib.Path(root), **lists)


@dataclasses.dataclass(frozen=True)
class Skips:
  """How many frames a clip leaves out between two of its own.

  From 0 to a bound that grows, so that motion gets faster as learning goes on
  (RGMP; the numbers are STM's).

  Attributes:
    most: the last bound.
    raise_by: how much the bound grows at once.
    every: steps from one rise to the next; 0: the last bound at once.
  """

  most: int
  raise_by: int
  every: int

  def bound(self, step: int) -> int:
    """Returns the bound at a training step."""
    if not self.every:
      return self.most
    return min(self.most, self.raise_by * (step // self.every))


class Clips:
  """A split of a DAVIS data set; `source.draw` is for training.

  Attributes:
    names: of the videos with `clip_len` annotated frames or more.
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
  ):
    """Find the videos; no picture is read yet.

    Args:
      root: folder that holds JPEGImages, Annotations and ImageSets, or what
        `prepared.videos` prepared from one.
      year: "2016" or "2017", the folder of ImageSets to take the list from.
      split: the list's name, such as "train".
      resolution: folder below JPEGImages; "" if there is exactly one.
      size: (h, w) of the frames.
      clip_len: frames of a clip.
      skips: see there.

    Raises:
      DataError: naming the list, folder or file that is missing or odd, or
        the list of which no video has enough annotated frames.
    """
    self._size = (int(size[0]), int(size[1]))
    self._clip_len = clip_len
    self._skips = skips
    self._source = find(root, year=year, split=split, resolution=resolution)
    known = self._source.known
    self.names = tuple(n for n in known if len(known[n]) >= clip_len)
    if not self.names:
      raise images.DataError(
        self._source.path,
        f"no video has {clip_len} annotated frames (data.clip_len)",
      )

  def __len__(self) -> int:
    """Count the videos."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a clip at a time that follows from the index."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a clip of a video at a random time, half of them backwards.

    Args:
      index: of the video.
      rng: the source of chance.
      step: of training, on which the skips depend.

    Returns:
      `video` uint8 [t, h, w, 3], and `labels` uint8 [t, h, w, 1]: object ids
      from 1, 0 background, 255 void.

    Raises:
      DataError: naming the file that is broken.
    """
    name = self.names[int(index)]
    known = self._source.known[name]
    steps = self._clip_len - 1
    room = (len(known) - 1) // steps  # the longest stride that fits
    most = min(self._skips.bound(step) + 1, room)
    strides = rng.integers(1, most + 1, steps)
    times = np.concatenate([[0], np.cumsum(strides)])
    times += rng.integers(len(known) - times[-1])
    if rng.random() < 0.5:
      times = times[::-1]
    read = [self._read(name, known[t]) for t in times]
    video, labels = (np.stack(x) for x in zip(*read, strict=True))
    return {"video": video, "labels": labels}

  def _read(self, name: str, time: int):
    image, labels = self._source.read(name, time)
    h, w = self._size
    # Ids are names, not numbers: nothing lies between two of them.
    labels = cv2.resize(labels, (w, h), interpolation=cv2.INTER_NEAREST_EXACT)
    return images.resize_image(image, self._size), labels[..., None]
