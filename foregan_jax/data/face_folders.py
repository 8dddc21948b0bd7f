"""Folders of faces, with optional masks of their parts and optional emotions.

Pictures and masks of a folder ROOT, in one of these layouts:

    ROOT/JPEGImages/**/NAME.jpg                 or .png
    ROOT/SegmentationClass/**/NAME.png          label maps; see `face_labels`
    ROOT/Parts/**/NAME.npz                      or masks: `parts` and `names`
    ROOT/classes.json                           {"eyes": 4, ...}; optional

    ROOT/CelebA-HQ-img/0.jpg                    CelebAMask-HQ, unchanged
    ROOT/CelebAMask-HQ-mask-anno/*/00000_l_eye.png

    ROOT/[SPLIT/]EMOTION/NAME.jpg               pictures in folders by emotion

    ROOT/fer2013.csv                            FER2013, see `face_tables`

The list of a split is ROOT/ImageSets/Segmentation/SPLIT.txt. Without lists, a
checksum of the name decides: about every tenth face is `val`, the others
`train`. ROOT/labels.csv (columns `file` and `emotion`) has the emotions;
without it, the name of the folder of a picture may be its emotion.
"""

import dataclasses
import pathlib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import face_labels, face_tables
from foregan_jax.media import images, paths

PICTURES, LABEL_MAPS, PART_FILES = "JPEGImages", "SegmentationClass", "Parts"
LISTS = pathlib.Path("ImageSets", "Segmentation")
_OBJECTS = "SegmentationObject"
_CELEBA_PICTURES = "CelebA-HQ-img"
_CELEBA_MASKS = "CelebAMask-HQ-mask-anno"
_CELEBA_DIGITS = 5  # of the number in a mask's name
_VAL_EVERY = 10
_FULL = 255


@runtime_checkable
class Reader(Protocol):
  """A reader of faces.

  Attributes:
    names: names of the faces.
    labels: the index of each emotion, or `face_labels.UNKNOWN`.
  """

  names: tuple[str, ...]
  labels: tuple[int, ...]

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB."""

  def path(self, index: int) -> pathlib.Path:
    """Return the path of a picture, for error messages."""

  def has_parts(self, index: int) -> bool:
    """Return whether there is a mask of a face's parts."""

  def parts(self, index: int) -> UInt8[np.ndarray, "h w 4"]:
    """Read the coverage 0..255 of each part of `face_labels.PARTS`."""


def open_reader(root: pathlib.Path, split: str, classes: str = "") -> Reader:
  """Open a split of a folder of faces.

  Args:
    root: the folder.
    split: "train", "val" or the name of another list; "": all faces.
    classes: see `face_labels.read_classes`.

  Raises:
    DataError: if the folder has no such layout or split, or a list or table is
      malformed.
    ValueError: for an unknown name of classes.
  """
  root = pathlib.Path(root)
  table = face_tables.find(root)
  if table is not None:
    return face_tables.Table(table, split)
  return Folder(root, split, classes)


@dataclasses.dataclass(frozen=True)
class FaceFiles:
  """The files of a face.

  Attributes:
    picture: its path.
    masks: paths by the name of a class, or of one file with the name "".
  """

  picture: pathlib.Path
  masks: Mapping[str, pathlib.Path]


class Folder:
  """The faces of one split of a folder of pictures; a `Reader`."""

  def __init__(self, root: pathlib.Path, split: str, classes: str):
    """Find the faces; none is opened yet.

    Raises:
      DataError: see `open_reader`.
      ValueError: see there.
    """
    faces = find_faces(root, split)
    names = _listed(root, split, faces)
    if not names:
      raise images.DataError(root, f"split {split!r} holds no face")
    self._classes = face_labels.read_classes(root, classes)
    self._faces = [faces[name] for name in names]
    self.names = tuple(names)
    self.labels = _labels(root, self._faces)

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB."""
    return images.read_image(self.path(index))

  def path(self, index: int) -> pathlib.Path:
    """Return the path of a picture."""
    return self._faces[index].picture

  def has_parts(self, index: int) -> bool:
    """Return whether there is a mask of a face's parts."""
    return bool(self._faces[index].masks)

  def parts(self, index: int) -> UInt8[np.ndarray, "h w 4"]:
    """Read the coverage 0..255 of each part.

    Raises:
      DataError: if a mask is missing or broken.
    """
    return face_parts(self._faces[index], self._classes)


def face_parts(
  face: FaceFiles, classes: Mapping[str, list[int]]
) -> UInt8[np.ndarray, "h w 4"]:
  """Read the coverage 0..255 of each part of a face.

  Args:
    face: its files.
    classes: of its label map; see `face_labels.read_classes`.

  Raises:
    DataError: if there is no mask, or one is broken.
  """
  if not face.masks:
    raise images.DataError(face.picture, "face has no mask of its parts")
  if "" in face.masks:
    return read_parts(face.masks[""], classes)
  return _join_masks(face.masks)


def is_faces(root: pathlib.Path) -> bool:
  """Return whether a folder has faces, as opposed to other pictures.

  It has label maps and no instance masks, or files or folders that only faces
  have.
  """
  if face_tables.find(root) is not None:
    return True
  if not root.is_dir():
    return False
  own = (_CELEBA_PICTURES, PART_FILES, face_labels.TABLE, face_labels.CLASSES)
  if any((root / name).exists() for name in own):
    return True
  if (root / PICTURES).is_dir():
    has = lambda name: (root / name).is_dir()
    return has(LABEL_MAPS) and not has(_OBJECTS)
  is_emotion = lambda path: face_labels.emotion_number(path.name) is not None
  inside = [path for path in root.glob("*") if path.is_dir()]
  return any(map(is_emotion, inside))


def find_faces(root: pathlib.Path, split: str = "") -> dict[str, FaceFiles]:
  """Find the pictures of a folder and their masks, by name.

  Raises:
    DataError: if the folder has no faces, or two pictures have one name.
  """
  if (root / _CELEBA_PICTURES).is_dir():
    return _find_celeba(root)
  folder = root / PICTURES
  if not folder.is_dir():
    folder = root / split if split and (root / split).is_dir() else root
  pictures = _by_name(folder, images.SUFFIXES)
  if not pictures or (folder != root / PICTURES and not _sorted(pictures)):
    raise images.DataError(
      root,
      f"holds no faces, expected a folder {PICTURES} or {_CELEBA_PICTURES}, "
      f"folders of pictures named by emotion, or {face_tables.NAME}",
    )
  masks = _mask_files(root)
  found = lambda name: {"": masks[name]} if name in masks else {}
  return {name: FaceFiles(p, found(name)) for name, p in pictures.items()}


def find_masks(
  root: pathlib.Path, faces: Mapping[str, FaceFiles]
) -> list[pathlib.Path]:
  """Find the masks that belong to none of the faces of a folder."""
  used = {mask for face in faces.values() for mask in face.masks.values()}
  celeba = (root / _CELEBA_MASKS).glob("*/*_*.png")
  return sorted({*_mask_files(root).values(), *celeba} - used)


def _mask_files(root: pathlib.Path) -> dict[str, pathlib.Path]:
  """Find the label maps and archives of parts, by name."""
  masks = _by_name(root / LABEL_MAPS, (".png",))
  return masks | _by_name(root / PART_FILES, (".npz",))


def _sorted(pictures: Mapping[str, pathlib.Path]) -> bool:
  """Return whether any picture lies in a folder named by an emotion."""
  return any(
    face_labels.emotion_number(path.parent.name) is not None
    for path in pictures.values()
  )


def _by_name(
  folder: pathlib.Path, suffixes: Iterable[str]
) -> dict[str, pathlib.Path]:
  """Find all files below a folder by their names without suffix."""
  found: dict[str, pathlib.Path] = {}
  for path in sorted(folder.rglob("*")):
    if path.suffix.lower() not in suffixes or path.name.startswith("."):
      continue
    # Not with_suffix: names may contain dots.
    name = str(path.relative_to(folder))[: -len(path.suffix)]
    paths.check_name(name, folder)
    if name in found:
      raise images.DataError(path, f"has the same name as {found[name]}")
    found[name] = path
  return found


def _find_celeba(root: pathlib.Path) -> dict[str, FaceFiles]:
  masks: dict[str, dict[str, pathlib.Path]] = {}
  for path in sorted((root / _CELEBA_MASKS).glob("*/*_*.png")):
    number, _, name = path.stem.partition("_")
    masks.setdefault(number, {})[name] = path
  pictures = _by_name(root / _CELEBA_PICTURES, images.SUFFIXES)
  return {
    name: FaceFiles(path, masks.get(name.zfill(_CELEBA_DIGITS), {}))
    for name, path in pictures.items()
  }


def _listed(
  root: pathlib.Path, split: str, faces: Mapping[str, FaceFiles]
) -> list[str]:
  """Return the names of the faces of a split.

  Raises:
    DataError: if there are lists, but not this one; or it names a face that is
      missing.
  """
  if not split:
    return list(faces)
  if any((root / LISTS).glob("*.txt")):
    path = paths.below(root / LISTS, f"{split}.txt")
    names = images.read_text(path).split()
    for name in names:
      if name not in faces:
        raise images.DataError(path, f"lists {name}, which has no picture")
    return names
  if (root / split).is_dir():  # its own folder
    return list(faces)
  return [name for name in faces if split_of(name) == split]


def split_of(name: str) -> str:
  """Return the split of a face of a data set without lists."""
  return "train" if zlib.crc32(name.encode()) % _VAL_EVERY else "val"


def _labels(root: pathlib.Path, faces: list[FaceFiles]) -> tuple[int, ...]:
  path = root / face_labels.TABLE
  if path.is_file():
    table = face_labels.read_table(path)
    find = lambda face: table.get(face.picture.name, face_labels.UNKNOWN)
    return tuple(map(find, faces))
  labels = (face_labels.emotion_number(f.picture.parent.name) for f in faces)
  return tuple(face_labels.UNKNOWN if n is None else n for n in labels)


def read_parts(
  path: pathlib.Path, classes: Mapping[str, list[int]]
) -> UInt8[np.ndarray, "h w 4"]:
  """Read the masks of a face from a label map (.png) or an archive (.npz).

  Args:
    path: the file.
    classes: of the label map; see `face_labels.read_classes`.

  Raises:
    DataError: if the file is missing or broken.
  """
  if path.suffix.lower() == ".npz":
    return _read_archive(path)
  return face_labels.split_labels(images.read_labels(path), classes)


def _read_archive(path: pathlib.Path) -> np.ndarray:
  """Read `parts`, uint8 or floating-point [h, w, c], and `names` [c]."""
  images.read_bytes(path)  # clear errors for files that are no files
  try:
    with np.load(path, allow_pickle=False) as archive:
      parts, names = archive["parts"], [str(n) for n in archive["names"]]
  except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
    raise images.DataError(
      path, f"expected an archive with arrays parts and names ({error})"
    ) from error
  if parts.ndim != 3 or parts.shape[2] != len(names):
    raise images.DataError(
      path,
      f"parts have the shape {parts.shape}, expected height, width and "
      f"{len(names)} channels as in names",
    )
  if np.issubdtype(parts.dtype, np.floating):
    parts = np.round(np.clip(parts, 0, 1) * _FULL)
  out = np.zeros((*parts.shape[:2], len(face_labels.PARTS)), np.uint8)
  for name, part in face_labels.part_of(names).items():
    channel = face_labels.PARTS.index(part)
    mask = parts[..., names.index(name)].astype(np.uint8)
    out[..., channel] = np.maximum(out[..., channel], mask)
  return out


def _join_masks(masks: Mapping[str, pathlib.Path]) -> np.ndarray:
  """Join one mask file per class."""
  first = next(iter(masks.values()))
  joined: dict[str, np.ndarray] = {}
  for name, part in face_labels.part_of(masks).items():
    mask = images.read_coverage(masks[name])
    for other in joined.values():
      images.check_size(masks[name], mask.shape, other.shape, "its other masks")
    joined[part] = np.maximum(joined.get(part, 0), mask)
  if not joined:
    raise images.DataError(first, "face has no mask of its eyes, brows or lips")
  empty = np.zeros_like(next(iter(joined.values())))
  return np.stack([joined.get(p, empty) for p in face_labels.PARTS], -1)
