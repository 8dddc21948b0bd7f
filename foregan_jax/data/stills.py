"""Square pictures of one object each; masks and classes only for evaluation."""

import os
import pathlib
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.data import still_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images

_COVERED = 128  # a grey mask holds coverage (CUB: the annotators' votes)


@runtime_checkable
class Reader(Protocol):
  """A reader of whole pictures: `still_folders.Folder` or `StillRecords`.

  Attributes:
    names: names of the pictures.
  """

  names: tuple[str, ...]

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB."""

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read the object's coverage of each pixel, 0..255; None without a mask."""

  def class_name(self, index: int) -> str | None:
    """Read the class of the object; None if it is unknown."""

  def mask_path(self, index: int) -> pathlib.Path:
    """Return the path of the mask, for error messages."""


def open_reader(root: os.PathLike | str, split: str) -> Reader:
  """Open a split of a folder of pictures, original or prepared.

  Raises:
    DataError: if the folder is neither, or has no such split.
  """
  if records.is_prepared(root):
    return records.StillRecords(root, split)
  return still_folders.Folder(pathlib.Path(root), split)


class Stills:
  """A source of square pictures; `source.draw` is for training.

  A square is as long as the shorter side of its picture: at a random place for
  training, at the centre for evaluation (the protocol of FOBA, ICCV 2023,
  which follows improved layered GANs). The device mirrors training pictures.

  Attributes:
    names: names of the pictures.
  """

  def __init__(
    self, root: os.PathLike | str, *, split: str, size: int, slack: int = 0
  ):
    """Find the pictures of a split.

    Args:
      root: a folder for `open_reader`.
      split: "train", "val" or the name of another list.
      size: side of the networks' input, pixels.
      slack: training pictures are larger by this many pixels, so that the
        device can crop smaller windows at random.

    Raises:
      DataError: if there is no such folder, list or picture.
    """
    self._reader = open_reader(root, split)
    self._size, self._slack = size, slack
    self.names = self._reader.names

  def __len__(self) -> int:
    """Return the number of pictures."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a training picture; its square depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> dict[str, np.ndarray]:
    """Read a random square of a picture; see `pipeline.RandomSource`.

    Returns:
      `image`, uint8 [size + slack, size + slack, 3].

    Raises:
      DataError: if the picture is broken.
    """
    del step
    picture = self._reader.image(int(index))
    h, w = picture.shape[:2]
    place = int(rng.integers(abs(h - w) + 1))
    return {"image": self._square(picture, place, self._size + self._slack)}

  def picture(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
    """Read the centre square of a picture, at the networks' size."""
    picture = self._reader.image(index)
    return self._square(picture, _centre(picture), self._size)

  def mask(self, index: int) -> Bool[np.ndarray, "s s"] | None:
    """Read the mask of `picture(index)`; None if there is no mask.

    Raises:
      DataError: if the mask is broken or differs in size from its picture.
    """
    coverage = self._reader.coverage(index)
    if coverage is None:
      return None
    native = self._reader.image(index).shape[:2]
    path = self._reader.mask_path(index)
    images.check_size(path, coverage.shape, native, "its picture")
    covered = _crop(coverage, _centre(coverage)) >= _COVERED
    size = (self._size, self._size)
    resized = images.resize_mask(covered.astype(np.uint8), size)
    return resized[..., 0] >= _COVERED

  def class_name(self, index: int) -> str | None:
    """Read the class of the object; None if it is unknown."""
    return self._reader.class_name(index)

  def _square(self, picture: np.ndarray, place: int, side: int) -> np.ndarray:
    # Cropped first: the long side need not be resized.
    return images.resize_image(_crop(picture, place), (side, side))


def _centre(image: np.ndarray) -> int:
  """Return the place of the centre square along the longer side."""
  h, w = image.shape[:2]
  return abs(h - w) // 2


def _crop(image: np.ndarray, place: int) -> np.ndarray:
  """Crop a square at a place along the longer side, in pixels."""
  h, w = image.shape[:2]
  side = min(h, w)
  y, x = (place, 0) if h > w else (0, place)
  return image[y : y + side, x : x + side]
