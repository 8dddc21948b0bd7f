"""Checks of folders of faces; see `face_folders`."""

import functools
import pathlib
from collections.abc import Callable, Iterator

from foregan_jax.data import check_files as files
from foregan_jax.data import face_folders, face_labels, face_tables
from foregan_jax.media import images

Problem = files.Problem
_FACES_PER_TASK = 32


def places(root: pathlib.Path) -> list[pathlib.Path]:
  """Return the folders of faces: the root, or those directly below it."""
  if face_folders.is_faces(root):
    return [root]
  found = [path for path in root.glob("*") if path.is_dir()]
  return sorted(filter(face_folders.is_faces, found))


def tasks(root: pathlib.Path) -> Iterator[Callable[[], Iterator[Problem]]]:
  """Yield the checks of a folder: its lists and tables, then its faces."""
  table = face_tables.find(root)
  if table is not None:
    yield functools.partial(_check_table, table)
    return
  try:
    faces = face_folders.find_faces(root)
    classes = face_labels.read_classes(root, "")
  except images.DataError as error:
    problem = Problem(error.path, error.reason)
    yield lambda: iter([problem])
    return
  yield functools.partial(_check_names, root, faces)
  masked = any(face.masks for face in faces.values())
  names = list(faces)
  for start in range(0, len(names), _FACES_PER_TASK):
    group = [faces[name] for name in names[start : start + _FACES_PER_TASK]]
    yield functools.partial(_check_faces, group, classes, masked)


def _check_table(path: pathlib.Path) -> Iterator[Problem]:
  try:
    table = face_tables.Table(path, "")
  except images.DataError as error:
    yield Problem(error.path, error.reason)
    return
  for index in range(len(table.names)):
    try:
      table.image(index)
    except images.DataError as error:
      yield Problem(error.path, error.reason)


def _check_names(
  root: pathlib.Path, faces: dict[str, face_folders.FaceFiles]
) -> Iterator[Problem]:
  """Check that all names in lists and tables have pictures, masks too."""
  for path in sorted((root / face_folders.LISTS).glob("*.txt")):
    try:
      names = images.read_text(path).split()
    except images.DataError as error:
      yield Problem(error.path, error.reason)
      continue
    for name in names:
      if name not in faces:
        yield Problem(path, f"lists {name}, which has no picture")
  path = root / face_labels.TABLE
  if path.is_file():
    try:
      named = face_labels.read_table(path)
    except images.DataError as error:
      yield Problem(error.path, error.reason)
      named = {}
    for name in sorted({*named} - {f.picture.name for f in faces.values()}):
      yield Problem(path, f"has the emotion of {name}, which is missing")
  for mask in face_folders.find_masks(root, faces):
    yield Problem(mask, "mask has no picture of the same name")


def _check_faces(
  faces: list[face_folders.FaceFiles],
  classes: dict[str, list[int]],
  masked: bool,
) -> Iterator[Problem]:
  """Check pictures, and that masks fit them and show parts."""
  for face in faces:
    size, problems = files.try_image(face.picture)
    yield from problems
    if not face.masks:
      if masked:
        yield Problem(face.picture, "face has no mask, other faces have one")
      continue
    path = next(iter(face.masks.values()))
    try:
      parts = face_folders.face_parts(face, classes)
    except images.DataError as error:
      yield Problem(error.path, error.reason)
      continue
    if size is not None and not images.same_aspect(parts.shape[:2], size):
      yield Problem(
        path,
        f"masks of {parts.shape[1]}x{parts.shape[0]} have another aspect ratio "
        f"than their picture of {size[1]}x{size[0]}",
      )
    if not parts.any():
      yield Problem(path, "mask shows no eyes, brows, mouth or lips")
