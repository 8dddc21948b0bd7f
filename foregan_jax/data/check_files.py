"""Checks of single files; they yield problems instead of raising."""

import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from foregan_jax.media import images

# More missing files in a row are one problem.
_MAX_GAP = 20


class Problem(NamedTuple):
  """A problem of one file.

  Attributes:
    path: the file or folder.
    reason: what is wrong with it.
  """

  path: pathlib.Path
  reason: str


def subfolders(folder: pathlib.Path) -> set[str]:
  """Return the names of the folders in a folder; none if it is missing."""
  if not folder.is_dir():
    return set()
  # Not `DirEntry.is_dir`, which raises an error for a link to itself.
  return {
    name
    for name in os.listdir(folder)
    if not name.startswith(".") and (folder / name).is_dir()
  }


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """List the files in a folder by name; none if it is missing."""
  if not folder.is_dir():
    return []
  with os.scandir(folder) as entries:
    names = [e.name for e in entries if not e.name.startswith(".")]
  return [folder / name for name in sorted(names)]


def missing_numbers(
  paths: list[pathlib.Path], kind: str, *, step: int, last: int
) -> Iterator[Problem]:
  """Yield a problem for each file that is missing in a numbered series.

  Many missing files in a row are one problem.

  Args:
    paths: the files; their stems are numbers.
    kind: "frame" or "mask", for the message.
    step: difference between neighbouring numbers.
    last: the series ends at this number.
  """
  numbers = {int(p.stem): p for p in paths}
  name = lambda n: f"{n:0{len(paths[0].stem)}d}{paths[0].suffix}"
  for before, after in itertools.pairwise(sorted({*numbers, last + step})):
    stop = min(after, last + 1)
    count = -(-(stop - before) // step) - 1
    if count > _MAX_GAP:
      yield Problem(
        numbers[before], f"{count} {kind}s after this one are missing"
      )
      continue
    for number in range(before + step, stop, step):
      yield Problem(
        paths[0].with_name(name(number)),
        f"{kind} is missing, its neighbours exist",
      )


def try_image(
  path: pathlib.Path,
) -> tuple[tuple[int, int] | None, list[Problem]]:
  """Decode a picture and return its size (h, w), or None and the problem."""
  try:
    return images.read_image(path).shape[:2], []
  except images.DataError as error:
    return None, [Problem(error.path, error.reason)]


def compare_sizes(
  path: pathlib.Path,
  size: tuple[int, ...],
  expected: tuple[int, ...],
  reference: str,
) -> Iterator[Problem]:
  """Yield a problem if a size (h, w) differs from that of `reference`."""
  try:
    images.check_size(path, size, expected, reference)
  except images.DataError as error:
    yield Problem(error.path, error.reason)


def check_mask(
  path: pathlib.Path,
  frame_size: tuple[int, int] | None,
  *,
  needs_object: bool,
) -> Iterator[Problem]:
  """Check that a mask is readable, has its frame's size, and holds ids."""
  try:
    labels = images.read_labels(path)
  except images.DataError as error:
    yield Problem(error.path, error.reason)
    return
  if frame_size is not None:
    yield from compare_sizes(path, labels.shape, frame_size, "its frame")
  ids = np.flatnonzero(np.bincount(labels.ravel()))
  ids = ids[(ids > 0) & (ids < images.VOID)]
  if len(ids) > images.MAX_IDS:
    yield Problem(
      path,
      f"mask has {len(ids)} distinct values, expected at most {images.MAX_IDS} "
      "object ids (is it a soft mask?)",
    )
  if needs_object and not len(ids):
    yield Problem(path, "mask is empty, expected at least one object")
