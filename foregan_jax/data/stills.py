"""Square pictures of one object each; masks and classes only for scoring."""

import os
import pathlib
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.data import still_folders
from foregan_jax.data.prepared import records
from foregan_jax.data.prepared import stills as prepared_stills
from foregan_jax.media import images

_COVERED = 128  # a grey mask holds coverage (CUB: the annotators' votes)


@runtime_checkable
class Pictures(Protocol):
  """What `Stills` cuts its squares from: a folder, or prepared records.

  Attributes:
    names: of the pictures.
  """

  names: tuple[str, ...]

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture."""

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read how much of each pixel the object covers, 0..255, if known."""

  def label(self, index: int) -> str | None:
    """Read what the picture shows, if known."""

  def where(self, index: int) -> pathlib.Path:
    """Return where the mask lies, for error messages."""


def find(root: os.PathLike | str, split: str) -> Pictures:
  """Opens a folder of pictures, or what `prepared.stills` prepared from one.

  Raises:
    DataError: if it is neither, or the split is not there.
  """
  if records.is_prepared(root):
    return prepared_stills.Records(root, split)
  return still_folders.Folder(pathlib.Path(root), split)


class Stills:
  """An indexable source of square pictures; `source[i]` is for training.

  Attributes:
    names: of the pictures.
  """

  def __init__(
    self, root: os.PathLike | str, *, split: str, size: int, slack: int = 0
  ):
    """Finds the pictures of a split.

    Args:
      root: a folder that `find` knows.
      split: "train", "val" or the name of another list.
      size: side of what networks see.
      slack: how much larger training pictures come, to cut windows from.

    Raises:
      DataError: if there is no such folder, list or picture.
    """
    self._pictures = find(root, split)
    self._size, self._slack = size, slack
    self.names = self._pictures.names

  def __len__(self) -> int:
    """Count the pictures."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read `image`, uint8 [size + slack, size + slack, 3]."""
    return {"image": self._square(index, self._size + self._slack)}

  def picture(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
    """Read the picture at the networks' size: its centre, no slack."""
    return self._square(index, self._size)

  def mask(self, index: int) -> Bool[np.ndarray, "s s"] | None:
    """Read the mask that goes with `picture`; None where there is none.

    Raises:
      DataError: if the mask is broken or differs in size from its picture.
    """
    coverage = self._pictures.coverage(index)
    if coverage is None:
      return None
    native = self._pictures.image(index).shape[:2]
    where = self._pictures.where(index)
    images.check_size(where, coverage.shape, native, "its picture")
    covered = (_centre(coverage) >= _COVERED).astype(np.uint8)
    resized = images.resize_mask(covered, (self._size, self._size))
    return resized[..., 0] >= _COVERED

  def label(self, index: int) -> str | None:
    """Read what the picture shows; None where nobody says."""
    return self._pictures.label(index)

  def _square(self, index: int, side: int) -> np.ndarray:
    picture = self._pictures.image(index)
    return images.resize_image(_centre(picture), (side, side))


def _centre(image: np.ndarray) -> np.ndarray:
  """Cut the largest square out of the middle."""
  h, w = image.shape[:2]
  side = min(h, w)
  y, x = (h - side) // 2, (w - side) // 2
  return image[y : y + side, x : x + side]
