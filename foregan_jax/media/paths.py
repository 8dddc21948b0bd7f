"""Paths from names that a data set, a config or a folder brings along."""

import os
import pathlib

from foregan_jax.media import images


def check_name(name: str, origin: str | os.PathLike) -> str:
  """Return a name that stays below any folder it is joined to.

  Args:
    name: of a file or folder; may have several parts, as in `birds/1`.
    origin: the file or config key that has the name, for the error.

  Raises:
    DataError: if the name is empty or absolute, or has a part `.` or `..` or a
      control character.
  """
  parts = name.split("/")
  if any(part in ("", ".", "..") for part in parts) or not name.isprintable():
    raise images.DataError(
      origin,
      f"{name!r} is not the name of a file or folder: expected no empty part, "
      "no `..`, and no control character",
    )
  return name


def below(
  root: os.PathLike, name: str, origin: str | os.PathLike = ""
) -> pathlib.Path:
  """Return `root / name`; refuse a name that leaves `root`.

  Args:
    root: a folder.
    name: see `check_name`.
    origin: of the name, for the error; default: `root`.

  Raises:
    DataError: see `check_name`.
  """
  return pathlib.Path(root) / check_name(name, origin or root)


def refuse_link(root: pathlib.Path, path: pathlib.Path) -> None:
  """Refuse to write to a path that is, or lies below, a symbolic link.

  Args:
    root: an output folder; it may be a link itself.
    path: a file or folder below it.

  Raises:
    ValueError: naming the link.
  """
  for place in (path, *path.parents):
    if place == root:
      return
    if place.is_symlink():
      raise ValueError(
        f"{place} is a symbolic link, and results are not written through "
        "links; remove it, or give another --out"
      )
