"""Square stills with instance masks: what pseudo-videos are made from."""

import os
import pathlib
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import instance_folders
from foregan_jax.data.prepared import instances as prepared_instances
from foregan_jax.data.prepared import records
from foregan_jax.media import images


@runtime_checkable
class Stills(Protocol):
  """What `Instances` cuts its squares from: a folder, or prepared records.

  Attributes:
    names: of the stills.
  """

  names: tuple[str, ...]

  def read(
    self, index: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read a picture and its labels, of one size."""


def find(root: os.PathLike | str, split: str, resolution: str) -> Stills:
  """Opens a folder of stills, or what `prepared.instances` prepared from one.

  Raises:
    DataError: if it is neither, or the split is not there.
  """
  if records.is_prepared(root):
    return prepared_instances.Records(root, split, resolution)
  return instance_folders.Folder(pathlib.Path(root), split, resolution)


class Instances:
  """An indexable source of stills whose objects are told apart.

  Attributes:
    names: of the stills.
  """

  def __init__(
    self,
    root: os.PathLike | str,
    *,
    split: str,
    size: int,
    resolution: str = "",
  ):
    """Find the stills of a split; none is opened yet.

    Args:
      root: a folder that `find` knows.
      split: the list's name, such as "train". DAVIS folders without any list
        give all their videos with a mask, whatever the split.
      size: side of the squares, pixels.
      resolution: DAVIS only, folder below JPEGImages; "" if there is just one.

    Raises:
      DataError: naming the list, picture or mask that is missing, or the
        folder that has no known layout or no still at all.
    """
    self._size = size
    self._stills = find(root, split, resolution)
    self.names = self._stills.names

  def __len__(self) -> int:
    """Count the stills."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read a still: the largest square, as centred on its objects as can be.

    Returns:
      `image`, uint8 [size, size, 3], and `labels`, uint8 [size, size, 1]:
      0 background, 1.. instances, 255 void. There may be no instance.

    Raises:
      DataError: naming the file that is broken or of another size.
    """
    picture, labels = self._stills.read(int(index))
    window = _window(labels)
    image = images.resize_image(picture[window], (self._size, self._size))
    return {
      "image": image,
      "labels": _resize_labels(labels[window], self._size),
    }


def _window(labels: np.ndarray) -> tuple[slice, slice]:
  """Return the largest square, slid to the middle of the objects' box."""
  objects = (labels > 0) & (labels < images.VOID)
  side = min(labels.shape)
  slices = []
  for axis, length in enumerate(labels.shape):
    seen = np.flatnonzero(objects.any(axis=1 - axis))
    middle = (seen[0] + seen[-1] + 1) / 2 if seen.size else length / 2
    start = int(np.clip(round(middle - side / 2), 0, length - side))
    slices.append(slice(start, start + side))
  return tuple(slices)


def _resize_labels(
  labels: UInt8[np.ndarray, "h w"], size: int
) -> UInt8[np.ndarray, "s s 1"]:
  # Ids must not mix. NEAREST without EXACT is off by up to half a pixel.
  method = cv2.INTER_NEAREST_EXACT
  return cv2.resize(labels, (size, size), interpolation=method)[..., None]
