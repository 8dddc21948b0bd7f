"""Square pictures with instance masks, from which pseudo-videos are made."""

import os
import pathlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import instance_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images


@runtime_checkable
class Reader(Protocol):
  """A reader of whole pictures: `instance_folders.Folder`, `InstanceRecords`.

  Attributes:
    names: names of the pictures.
  """

  names: tuple[str, ...]

  def read(
    self, index: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read a picture as RGB, and its labels of the same size."""


def open_reader(root: os.PathLike | str, split: str, resolution: str) -> Reader:
  """Open a split of pictures with instance masks, original or prepared.

  Raises:
    DataError: if the folder is neither, or has no such split.
  """
  if records.is_prepared(root):
    return records.InstanceRecords(root, split, resolution)
  return instance_folders.Folder(pathlib.Path(root), split, resolution)


class Instances:
  """An indexable source of square pictures with instance masks.

  Attributes:
    names: names of the pictures.
  """

  def __init__(
    self,
    root: os.PathLike | str,
    *,
    split: str,
    size: int,
    resolution: str = "",
  ):
    """Find the pictures of a split; none is opened yet.

    Args:
      root: a folder for `open_reader`.
      split: the list's name, such as "train". DAVIS folders without any list
        give all their videos with a mask, for every split.
      size: side of the squares, pixels.
      resolution: DAVIS only, folder below JPEGImages; "" if there is exactly
        one.

    Raises:
      DataError: naming the list, picture or mask that is missing, or the
        folder that has no known layout or no picture.
    """
    self._size = size
    self._reader = open_reader(root, split, resolution)
    self.names = self._reader.names

  def __len__(self) -> int:
    """Return the number of pictures."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a picture: the largest square, centred on its objects if possible.

    Returns:
      `image`, uint8 [size, size, 3], and `labels`, uint8 [size, size, 1]:
      0 background, 1.. instances, 255 void. There may be no instance.

    Raises:
      DataError: naming the file that is broken or of another size.
    """
    picture, labels = self._reader.read(int(index))
    window = _window(labels)
    image = images.resize_image(picture[window], (self._size, self._size))
    return {
      "image": image,
      "labels": _resize_labels(labels[window], self._size),
    }


class Several:
  """Stills of several sources; all sources are equally frequent.

  So a large source does not dominate. A draw depends on its arguments only.
  """

  def __init__(self, sources: Sequence[Instances]):
    """Combine the sources."""
    self._sources = tuple(sources)

  def __len__(self) -> int:
    """Return the number of stills."""
    return sum(map(len, self._sources))

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a still that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a random still; see `pipeline.RandomSource`."""
    del index, step
    source = self._sources[int(rng.integers(len(self._sources)))]
    return source[int(rng.integers(len(source)))]


class Mixture:
  """A random source of pictures, and of objects to cut out, as in RGMP.

  RGMP's first stage has two generators of pairs. A moves a whole picture (VOC).
  B cuts a salient object (ECSSD, MSRA10K) out of its picture and moves it over
  another picture (VOC). Which share of the pairs is of which kind is unknown.

  A draw depends on its arguments only, so a run resumes exactly.
  """

  def __init__(
    self,
    pictures: Instances,
    cut_outs: Sequence[Instances],
    weights: Sequence[int | float] = (),
  ):
    """Combine the sources.

    Args:
      pictures: the pictures of A, which are the backgrounds of B too.
      cut_outs: the objects of B.
      weights: relative frequency of `pictures` and of each of `cut_outs`; ():
        A is as frequent as B, and `cut_outs` have weights by their size.
    """
    self._pictures = pictures
    self._cut_outs = tuple(cut_outs)
    if not weights:
      sizes = [len(source) for source in self._cut_outs]
      weights = (sum(sizes), *sizes)
    self._shares = np.array(weights) / np.sum(weights)

  def __len__(self) -> int:
    """Return the number of `pictures`."""
    return len(self._pictures)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a sample that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a sample; see `pipeline.RandomSource`.

    Returns:
      `image` and `labels` as `Instances`; `background`, uint8 [size, size, 3],
      the picture `index`; `cut_out`, uint8: 0 for A, whose `image` is the
      background, 1 for B.

    Raises:
      DataError: naming the file that is broken or of another size.
    """
    del step
    sample = self._pictures[int(index)]
    background = sample["image"]
    which = int(rng.choice(len(self._shares), p=self._shares))
    if which:
      source = self._cut_outs[which - 1]
      sample = source[int(rng.integers(len(source)))]
    cut_out = np.array(which > 0, np.uint8)
    return {**sample, "background": background, "cut_out": cut_out}


def _window(labels: np.ndarray) -> tuple[slice, slice]:
  """Return the largest square, shifted to the centre of the objects' box."""
  objects = (labels > 0) & (labels < images.VOID)
  side = min(labels.shape)
  slices = []
  for axis, length in enumerate(labels.shape):
    occupied = np.flatnonzero(objects.any(axis=1 - axis))
    centre = (
      (occupied[0] + occupied[-1] + 1) / 2 if occupied.size else length / 2
    )
    start = int(np.clip(round(centre - side / 2), 0, length - side))
    slices.append(slice(start, start + side))
  rows, columns = slices
  return rows, columns


def _resize_labels(
  labels: UInt8[np.ndarray, "h w"], size: int
) -> UInt8[np.ndarray, "s s 1"]:
  # Ids must not mix. NEAREST without EXACT is off by up to half a pixel.
  method = cv2.INTER_NEAREST_EXACT
  return cv2.resize(labels, (size, size), interpolation=method)[..., None]
