"""Folders of pictures with instance masks.

Two layouts are supported. VOC: a folder with `JPEGImages`, `SegmentationObject`
and `ImageSets/Segmentation`, or a devkit with such folders (one per year).
DAVIS: the first frame of every video, whose mask the test sets include too.
"""

import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import folders
from foregan_jax.media import images, paths

_VOC_MASKS = "SegmentationObject"
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")
_DAVIS_YEARS = ("2017", "2016")  # only 2017 separates the objects


class Folder:
  """The pictures of one split of a folder; an `instances.Reader`.

  Attributes:
    names: names of the pictures.
    paths: the paths of each picture and its mask.
  """

  def __init__(self, root: pathlib.Path, split: str, resolution: str):
    """Find the pictures; none is opened yet.

    Raises:
      DataError: naming the list, picture or mask that is missing, or the
        folder that has neither layout or no picture.
    """
    years = _voc_folders(root)
    found = {} if years else _scan_davis(root, split, resolution)
    for year in years:
      found |= _scan_voc(year, split, prefix="" if year == root else year.name)
    if not found:
      raise images.DataError(root, f"split {split!r} holds no picture")
    self.names = tuple(found)
    self.paths = tuple(found.values())

  def read(
    self, index: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read a picture as RGB, and its labels.

    Raises:
      DataError: naming the file that is broken or of another size.
    """
    picture_path, mask_path = self.paths[index]
    picture = images.read_image(picture_path)
    labels = images.read_labels(mask_path)
    images.check_size(
      mask_path, labels.shape, picture.shape[:2], f"its picture {picture_path}"
    )
    return picture, labels


def find_resolution(root: pathlib.Path, resolution: str) -> str:
  """Return the resolution that `Folder` would use; "" for VOC, without one."""
  return "" if _voc_folders(root) else folders.find_resolution(root, resolution)


def _voc_folders(root: pathlib.Path) -> list[pathlib.Path]:
  """List the folders in the layout of VOC: the root, or those in it."""
  if (root / _VOC_MASKS).is_dir():
    return [root]
  return sorted(path.parent for path in root.glob(f"*/{_VOC_MASKS}"))


def _scan_voc(
  root: pathlib.Path, split: str, prefix: str
) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
  """Map the names in a list to the paths of picture and mask."""
  path = paths.below(root / _VOC_LISTS, f"{split}.txt")
  names = images.read_text(path).split()
  pictures, masks = (
    {
      p.stem: p
      for p in (root / folder).glob("*")
      if p.suffix.lower() in suffixes
    }
    for folder, suffixes in (
      (folders.FRAMES, images.SUFFIXES),
      (_VOC_MASKS, (".png",)),
    )
  )
  for name in names:
    for present, folder in ((pictures, folders.FRAMES), (masks, _VOC_MASKS)):
      if name not in present:
        raise images.DataError(
          root / folder / name, f"file is missing, {path} lists it"
        )
  key = lambda name: str(pathlib.PurePath(prefix, name))
  return {key(name): (pictures[name], masks[name]) for name in names}


def _scan_davis(
  root: pathlib.Path, split: str, resolution: str
) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
  """Map the names of videos to the paths of their first frame and its mask."""
  resolution = folders.find_resolution(root, resolution)
  if (root / folders.LISTS).is_dir():
    has_list = lambda y: (root / folders.LISTS / y / f"{split}.txt").is_file()
    year = next(filter(has_list, _DAVIS_YEARS), _DAVIS_YEARS[-1])
    path = folders.find_list(root, year, split, resolution)
    names = folders.read_list(path)
  else:
    masks = root / folders.MASKS / resolution
    names = sorted(path.name for path in masks.glob("*") if path.is_dir())
  videos = [folders.scan(root, resolution, name) for name in names]
  return {v.name: (v.frames[0], v.masks[0]) for v in videos}
