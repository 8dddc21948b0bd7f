"""Paths from names that a data set, a config or a folder brings along."""

import io
import os
import pathlib
import sys

from foregan_jax.media import images


def check_name(name: str, origin: str | os.PathLike) -> str:
  """Return a name that stays below any folder it is joined to.

  Args:
    name: of a file or folder; may have several parts, as in `birds/1`.
    origin: the file or config key that has the name, for the error.

  Raises:
    DataError: if the name is empty or absolute, or has a part `.` or `..`, a
      control character, or bytes that are not UTF-8.
  """
  parts = name.split("/")
  odd = images.show_name(name) != name
  if odd or any(part in ("", ".", "..") for part in parts):
    raise images.DataError(
      origin,
      f"{name[:80]!r} is not the name of a file or folder: expected UTF-8 with "
      "no empty part, no `..`, and no control character",
    )
  return name


def full(path: str | os.PathLike) -> pathlib.Path:
  """Return the absolute path without links, as far as they lead."""
  # Path.resolve raises RuntimeError for a link to itself.
  return pathlib.Path(os.path.realpath(path))


def print_any_name() -> None:
  """Let standard output print names that are not UTF-8, with escapes."""
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")


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
