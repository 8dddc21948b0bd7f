"""A user's pictures of faces, with or without masks of their parts."""

import pathlib
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.data import face_folders, face_labels, faces
from foregan_jax.media import images, paths
from foregan_jax.predictors import output_folder

_FULL = 255

Picture = UInt8[np.ndarray, "_ _ 3"]
Parts = UInt8[np.ndarray, "_ _ 4"]  # coverage 0..255 of each part
# Returns the parts of a picture that has a name.
FindParts = Callable[[str, Picture], Parts]


def open_folder(root: pathlib.Path, classes: str = "") -> face_folders.Reader:
  """Open all faces of a folder.

  Args:
    root: one of the layouts of `data.face_folders`, with masks if it has them;
      or any folder, whose pictures have none.
    classes: of label maps, see `face_labels.read_classes`.

  Raises:
    DataError: if there is no picture, or a list is malformed.
  """
  has_pictures = (root / face_folders.PICTURES).is_dir()
  if has_pictures or face_folders.is_faces(root):
    return face_folders.open_reader(root, "", classes)
  return Pictures(root)


class Pictures:
  """Pictures without masks: one, or all in and below a folder.

  It is a `face_folders.Reader`. Folders with results of this program are left
  out.
  """

  def __init__(self, root: pathlib.Path):
    """Find the pictures.

    Raises:
      DataError: if there is none, or two have the same name.
    """
    self._paths: dict[str, pathlib.Path] = {}
    if not root.exists():
      raise images.DataError(root, "picture or folder is missing")
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
      if path.suffix.lower() not in images.SUFFIXES or _is_result(path, root):
        continue
      # Not with_suffix: names may contain dots.
      relative = path.relative_to(root if root.is_dir() else root.parent)
      name = str(relative)[: -len(path.suffix)]
      paths.check_name(name, root)
      if name in self._paths:
        raise images.DataError(
          path, f"has the same name as {self._paths[name]}"
        )
      self._paths[name] = path
    if not self._paths:
      raise images.DataError(
        root, f"holds no picture ({', '.join(images.SUFFIXES)})"
      )
    self.names = tuple(self._paths)
    self.labels = (face_labels.UNKNOWN,) * len(self.names)

  def image(self, index: int) -> Picture:
    """Read a picture as RGB."""
    return images.read_image(self.path(index))

  def path(self, index: int) -> pathlib.Path:
    """Return the path of a picture."""
    return self._paths[self.names[index]]

  def has_parts(self, index: int) -> bool:
    """Return that there is no mask."""
    del index
    return False

  def parts(self, index: int) -> Parts:
    """Raise a DataError, because there is no mask."""
    raise images.DataError(self.path(index), "face has no mask of its parts")


def _is_result(path: pathlib.Path, root: pathlib.Path) -> bool:
  between = path.relative_to(root).parents[:-1] if path != root else ()
  return any(output_folder.is_claimed(root / p) for p in between)


def to_picture(
  square: Float[np.ndarray, "s s c"], size: tuple[int, int]
) -> Float[np.ndarray, "h w c"]:
  """Return what a square face shows of a picture of `size` = (h, w).

  It is the inverse of `data.faces.fit`.
  """
  side = max(size)
  top, left = faces.margins(size)
  large = cv2.resize(square, (side, side), interpolation=cv2.INTER_LINEAR)
  return large[top : top + size[0], left : left + size[1]]


def to_coverage(soft: Float[np.ndarray, "h w 4"]) -> Parts:
  """Convert soft masks in [0, 1] to coverage 0..255."""
  return np.round(np.clip(soft, 0, 1) * _FULL).astype(np.uint8)


def part_files(path: pathlib.Path, classes: str = "") -> FindParts:
  """Return a function that reads the parts of a picture from files.

  Args:
    path: a label map (.png) or archive (.npz) for one picture; or a folder with
      the results of `predict parts`, or of the same layout.
    classes: of label maps, see `face_labels.read_classes`.

  Raises:
    DataError: if there is no such file or folder, or `classes.json` is broken.
  """
  if not path.exists():
    raise images.DataError(path, "masks of parts are missing")
  if path.is_dir():
    numbers = face_labels.read_classes(path, classes)
    find = lambda name: _part_file(path, name)
  else:
    # Beside the file, or beside the folder of all label maps.
    near = [p for p in path.parents[:2] if (p / face_labels.CLASSES).is_file()]
    numbers = face_labels.read_classes([*near, path.parent][0], classes)
    find = lambda name: path

  def read(name: str, picture: Picture) -> Parts:
    file = find(name)
    parts = face_folders.read_parts(file, numbers)
    if not images.same_aspect(parts.shape[:2], picture.shape[:2]):
      (height, width), (h, w) = picture.shape[:2], parts.shape[:2]
      raise images.DataError(
        file,
        f"masks of {w}x{h} are for a picture of {width}x{height}, expected the "
        "same aspect ratio",
      )
    return parts

  return read


def _part_file(root: pathlib.Path, name: str) -> pathlib.Path:
  places = (
    paths.below(root / face_folders.PART_FILES, f"{name}.npz"),
    paths.below(root / face_folders.LABEL_MAPS, f"{name}.png"),
  )
  for place in places:
    if place.is_file():
      return place
  raise images.DataError(places[1], "mask is missing")
