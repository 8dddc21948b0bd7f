"""Folders of pictures of one object each, with optional masks and classes.

Three layouts of a folder ROOT are supported. The plain one is:

    ROOT/images/**/NAME.jpg          or .png; the folder's name is the class
    ROOT/segmentations/**/NAME.png   same subfolders; optional for training
    ROOT/train.txt, val.txt          names without suffix; optional

Without lists, pictures with a mask are val and the others train. The second
layout is CUB-200-2011, unchanged (`images.txt` and `train_test_split.txt` next
to both folders). The third is VOC (`JPEGImages`, `SegmentationObject`,
`SegmentationClass`, `ImageSets/Segmentation`); all objects of a picture count
as one.
"""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.media import images, paths


@dataclasses.dataclass(frozen=True)
class _Layout:
  """Folders below the root."""

  pictures: str
  masks: str
  lists: str


_PLAIN = _Layout("images", "segmentations", "")
_VOC = _Layout("JPEGImages", "SegmentationObject", "ImageSets/Segmentation")
_VOC_CLASSES = "SegmentationClass"


class NoSplitError(images.DataError):
  """A folder that has no such split, as opposed to a broken list."""


class Folder:
  """The pictures of one split of a folder; a `stills.Reader`.

  Attributes:
    names: names of the pictures.
    paths: paths of the pictures.
  """

  def __init__(self, root: pathlib.Path, split: str):
    """Find the pictures.

    Args:
      root: the folder.
      split: "train", "val" or the name of another list.

    Raises:
      DataError: if there is no such folder, list or picture, or a list or
        table is malformed.
    """
    self._root = pathlib.Path(root)
    layouts = [
      layout
      for layout in (_PLAIN, _VOC)
      if (self._root / layout.pictures).is_dir()
    ]
    if not layouts:
      raise images.DataError(
        self._root, "holds neither a folder `images` nor a VOC `JPEGImages`"
      )
    self._layout = layouts[0]
    folder = self._root / self._layout.pictures
    found = {
      str(p.relative_to(folder).with_suffix("")): p
      for p in folder.rglob("*")
      if p.suffix.lower() in images.SUFFIXES
    }
    for name in found:
      paths.check_name(name, folder)
    self.names = self._listed(split, found)
    if not self.names:
      raise NoSplitError(self._root, f"split {split!r} holds no picture")
    self.paths = [found[name] for name in self.names]

  def _listed(self, split: str, found: dict) -> tuple[str, ...]:
    path = paths.below(self._root / self._layout.lists, f"{split}.txt")
    if path.is_file():
      names = images.read_text(path).split()
    elif (self._root / "train_test_split.txt").is_file():
      path, names = self._root / "images.txt", self._cub(split)
    elif self._layout is _VOC:
      raise NoSplitError(path, f"there is no list of split {split!r}")
    else:
      has_mask = lambda name: self._path_of_mask(name).is_file()
      names = [n for n in sorted(found) if has_mask(n) == (split == "val")]
    for name in names:
      if name not in found:
        raise images.DataError(
          path, f"lists {name}, which is not in {self._layout.pictures}/"
        )
    return tuple(names)

  def _cub(self, split: str) -> list[str]:
    flags = _read_table(self._root / "train_test_split.txt")
    pictures = _read_table(self._root / "images.txt")
    for number, flag in flags.items():
      if flag not in ("0", "1"):
        raise images.DataError(
          self._root / "train_test_split.txt",
          f"picture {number} has {flag!r}, expected 1 (train) or 0",
        )
    for number in pictures:
      if number not in flags:
        raise images.DataError(
          self._root / "train_test_split.txt",
          f"lacks picture {number}, which images.txt has",
        )
    return [
      str(pathlib.PurePath(name).with_suffix(""))
      for number, name in pictures.items()
      if (flags[number] == "1") == (split == "train")
    ]

  def _path_of_mask(self, name: str) -> pathlib.Path:
    # Not with_suffix: names may contain dots.
    return self._root / self._layout.masks / f"{name}.png"

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB."""
    return images.read_image(self.paths[index])

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read the object's coverage of each pixel, 0..255; None without a mask.

    Raises:
      DataError: if the mask is broken.
    """
    path = self.mask_path(index)
    return images.read_coverage(path) if path.is_file() else None

  def mask_path(self, index: int) -> pathlib.Path:
    """Return the mask's path; the file may not exist."""
    return self._path_of_mask(self.names[index])

  def class_name(self, index: int) -> str | None:
    """Read the class: the name of the folder, or VOC's most frequent class.

    None if a VOC picture has no class mask, or the mask has no class.
    """
    name = self.names[index]
    if self._layout is _PLAIN:
      return str(pathlib.PurePath(name).parent)
    path = self._root / _VOC_CLASSES / f"{name}.png"
    if not path.is_file():
      return None
    labels = images.read_labels(path)
    counts = np.bincount(labels[(labels > 0) & (labels < images.VOID)])
    return str(counts.argmax()) if counts.size else None


def _read_table(path: pathlib.Path) -> dict[str, str]:
  """Read a table of CUB: a number and a value in each line.

  Raises:
    DataError: naming the line that is malformed.
  """
  table = {}
  for line, text in enumerate(images.read_text(path).splitlines(), 1):
    fields = text.split()
    if not fields:
      continue
    if len(fields) != 2 or fields[0] in table:
      raise images.DataError(
        path,
        f"line {line} is {text[:80]!r}, expected a new number and a value",
      )
    table[fields[0]] = fields[1]
  return table
