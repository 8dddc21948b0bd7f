"""Folders of pictures with instance masks.

Three layouts are supported. VOC: a folder with `JPEGImages`,
`SegmentationObject` and `ImageSets/Segmentation`, or a devkit with such folders
(one per year). DAVIS: the first frame of every video, whose mask the test sets
include too. Salience (ECSSD, MSRA10K, DUTS): JPEG pictures of one object each
and PNG masks of the same name, in the folder or in those directly below it;
without lists, so every split has all pictures.
"""

import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import folders
from foregan_jax.media import images, paths

_VOC_MASKS = "SegmentationObject"
_JPEG, _PNG = (".jpg", ".jpeg"), (".png",)
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")


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
        folder that has no such layout or no picture.
    """
    years = _voc_folders(root)
    self._salient = is_salient(root)
    if years:
      found = {}
      for year in years:
        prefix = "" if year == root else year.name
        found |= _scan_voc(year, split, prefix)
    elif self._salient:
      found = _scan_salient(root)
    else:
      found = _scan_davis(root, split, resolution)
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
    read = read_salient if self._salient else images.read_labels
    labels = read(mask_path)
    images.check_size(
      mask_path, labels.shape, picture.shape[:2], f"its picture {picture_path}"
    )
    return picture, labels


def find_resolution(root: pathlib.Path, resolution: str) -> str:
  """Return the resolution that `Folder` would use; only DAVIS has one."""
  if _voc_folders(root) or is_salient(root):
    return ""
  return folders.find_resolution(root, resolution)


def is_salient(root: pathlib.Path) -> bool:
  """Return whether a folder has the layout of salience data sets."""
  if _voc_folders(root) or (root / folders.FRAMES).is_dir():
    return False
  return bool(_near(root, _JPEG))


def salient_files(
  root: pathlib.Path,
) -> tuple[dict[str, pathlib.Path], dict[str, pathlib.Path]]:
  """Return the paths of the pictures and those of the masks, by name.

  Raises:
    DataError: if two pictures or two masks have the same name.
  """
  pictures, masks = {}, {}
  for found, suffixes in ((pictures, _JPEG), (masks, _PNG)):
    for path in _near(root, suffixes):
      if path.stem in found:
        raise images.DataError(path, f"has the same name as {found[path.stem]}")
      found[path.stem] = path
  return pictures, masks


def read_salient(path: pathlib.Path) -> UInt8[np.ndarray, "h w"]:
  """Read a mask of a salience data set as 0 and 1.

  Raises:
    DataError: if the file is missing or broken.
  """
  coverage = images.read_coverage(path)
  # Half of the maximum: borders may be soft, and some masks contain 0 and 1.
  return (coverage > coverage.max() / 2).astype(np.uint8)


def _near(root: pathlib.Path, suffixes: tuple[str, ...]) -> list[pathlib.Path]:
  """List the files in a folder and in those directly below it."""
  files = [*root.glob("*.*"), *root.glob("*/*.*")]
  is_one = lambda p: p.suffix.lower() in suffixes and p.name[0] != "."
  return sorted(filter(is_one, files))


def _scan_salient(
  root: pathlib.Path,
) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
  """Map the names of pictures to their paths and those of their masks."""
  pictures, masks = salient_files(root)
  for name, picture in pictures.items():
    if name not in masks:
      raise images.DataError(
        picture,
        f"picture has no mask, expected {name}.png in its folder or in another "
        f"one in {root}",
      )
  return {name: (path, masks[name]) for name, path in pictures.items()}


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
      (_VOC_MASKS, _PNG),
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
    year = next(filter(has_list, folders.YEARS), folders.YEARS[-1])
    path = folders.find_list(root, year, split, resolution)
    names = folders.read_list(path)
  else:
    masks = root / folders.MASKS / resolution
    names = sorted(path.name for path in masks.glob("*") if path.is_dir())
  videos = [folders.scan(root, resolution, name) for name in names]
  return {v.name: (v.frames[0], v.masks[0]) for v in videos}
