"""What propagation leaves for a person: masks, and how sure they are."""

import csv
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from foregan_jax import pictures
from foregan_jax.predictors import overlays

MASKS = "masks"
TABLE = "confidence.csv"
# How `pictures` names a file that is not finished.
_UNFINISHED = re.compile(r"\..+\.\d+\.\d+")


class Results:
  """The masks of a video, and a table with a row per frame.

  Attributes:
    masks: folder of the palette PNGs.
    table: file of the confidences.
  """

  def __init__(
    self, out: pathlib.Path, *, names: Sequence[str], ids: Sequence[int]
  ):
    """Names the places; nothing is written yet.

    Args:
      out: the folder.
      names: of the frames.
      ids: of the objects, in order of the rows of probabilities.
    """
    self.masks = out / MASKS
    self.table = out / TABLE
    self._overlays = [out / overlays.FILM, out / overlays.ANIMATION]
    self._names = names
    self._ids = list(ids)

  def check_inputs(self, paths: Iterable[pathlib.Path]) -> None:
    """Refuses to write over inputs.

    Raises:
      ValueError: if one lies where results will.
    """
    written = [p.resolve() for p in (self.masks, *self._overlays)]
    for path in paths:
      full = path.resolve()
      if full in written or full.parent == written[0]:
        raise ValueError(
          f"{path} lies where results will be written; give another --out"
        )

  def check_free(self) -> None:
    """Refuses to write over the files of others.

    Raises:
      ValueError: if there are any.
    """
    for path in (self.masks, self.table, *self._overlays):
      if path.exists():
        raise ValueError(
          f"{path} is there already, and is not of an earlier call like this "
          "one; give another --out"
        )

  def clear(self) -> None:
    """Removes what an earlier call wrote and starts a table."""
    if self.masks.exists():
      shutil.rmtree(self.masks)
    for path in self._overlays:
      path.unlink(missing_ok=True)
    self.masks.mkdir(parents=True)
    each = [f"{what}_{i}" for i in self._ids for what in ("confidence", "area")]
    _write_rows(self.table, "w", [["frame", "name", "confidence", *each]])

  def sweep(self) -> None:
    """Removes unfinished files that a killed call left."""
    for folder in (self.table.parent, self.masks):
      for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
          path.unlink(missing_ok=True)

  def hold(self, indices: Iterable[int], table_bytes: int) -> bool:
    """Says whether the masks of these frames, and so much table, are there."""
    return (
      self.table.exists()
      and self.table.stat().st_size >= table_bytes
      and all(self._path(index).exists() for index in indices)
    )

  def write(self, index: int, soft: Float[np.ndarray, "n h w"]) -> None:
    """Writes a frame's mask and its row.

    Args:
      index: of the frame.
      soft: probabilities, background first; objects may be missing at the end.
    """
    rows, best = soft.argmax(0), soft.max(0)
    ids = np.array([0, *self._ids], np.uint8)
    pictures.save_labels(self._path(index), ids[rows])
    count = lambda weights=None: np.bincount(
      rows.ravel(), weights, minlength=len(ids)
    ).tolist()
    pixels, sums = count()[1:], count(best.ravel())[1:]
    row = [index, self._names[index], _mean(sum(sums), sum(pixels))]
    for total, num in zip(sums, pixels, strict=True):
      row += [_mean(total, num), f"{num / rows.size:.6f}"]
    _write_rows(self.table, "a", [row])

  def truncate(self, table_bytes: int) -> None:
    """Takes back the rows after a point."""
    os.truncate(self.table, table_bytes)

  def sort_table(self) -> None:
    """Puts the rows in order of the frames: some were found backward."""
    with open(self.table, newline="", encoding="utf-8") as file:
      header, *rows = csv.reader(file)
    ordered = sorted(rows, key=lambda row: int(row[0]))
    if ordered != rows:
      part = self.table.with_suffix(".part")
      _write_rows(part, "w", [header, *ordered])
      os.replace(part, self.table)

  def _path(self, index: int) -> pathlib.Path:
    # Not with_suffix: names may hold dots.
    return self.masks / f"{self._names[index]}.png"


def _mean(total: float, count: int) -> str:
  return f"{total / count:.4f}" if count else ""


def _write_rows(path: pathlib.Path, mode: str, rows) -> None:
  with open(path, mode, newline="", encoding="utf-8") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
