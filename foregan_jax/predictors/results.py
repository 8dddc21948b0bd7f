"""What propagation leaves for a person: masks, how sure they are, layers."""

import csv
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.media import overlays, pictures
from foregan_jax.predictors import plates

MASKS = "masks"
FOREGROUND = "foreground"
BACKGROUND = "background"
LAYERS = (FOREGROUND, BACKGROUND)
TABLE = "confidence.csv"
# Everything there may be, and what there was before there were layers.
NAMES = (MASKS, *LAYERS, TABLE, overlays.VIDEO_NAME, overlays.ANIMATION_NAME)
OLD = tuple(name for name in NAMES if name not in LAYERS)
# How `pictures` names a file that is not finished.
_UNFINISHED = re.compile(r"\..+\.\d+\.\d+")


class Results:
  """The masks and layers of a video, and a table with a row per frame.

  Attributes:
    masks: folder of the palette PNGs.
    table: file of the confidences.
    written: names of all files and folders that are written, out of `NAMES`.
    replaced: of those, and of others that an earlier call wrote.
  """

  def __init__(
    self,
    out: pathlib.Path,
    *,
    names: Sequence[str],
    ids: Sequence[int],
    layers: Sequence[str] = (),
    earlier: Sequence[str] = (),
  ):
    """Names the places; nothing is written yet.

    Args:
      out: the folder.
      names: of the frames.
      ids: of the objects, in order of the rows of probabilities.
      layers: out of `LAYERS`, those that are wanted.
      earlier: names of what an earlier call wrote here.
    """
    self._out = out
    self.masks = out / MASKS
    self.table = out / TABLE
    self.written = tuple(
      name for name in NAMES if name in OLD or name in layers
    )
    self.replaced = tuple(
      name for name in NAMES if name in self.written or name in earlier
    )
    self._earlier = earlier
    self._folders = self._folders_of(self.written)
    self._names = names
    self._ids = list(ids)

  def check_inputs(self, paths: Iterable[pathlib.Path]) -> None:
    """Refuses to write over inputs.

    Raises:
      ValueError: if one lies where results will.
    """
    folders = [p.resolve() for p in self._folders_of(self.replaced)]
    written = folders + [p.resolve() for p in self._overlays]
    for path in paths:
      full = path.resolve()
      if full in written or full.parent in folders:
        raise ValueError(
          f"{path} lies where results will be written; give another --out"
        )

  def check_free(self) -> None:
    """Refuses to write over the files of others.

    Raises:
      ValueError: if there are any.
    """
    for name in self.written:
      path = self._out / name
      if path.exists() and name not in self._earlier:
        raise ValueError(
          f"{path} is there already, and is not of an earlier call like this "
          "one; give another --out"
        )

  def clear(self) -> None:
    """Removes what an earlier call wrote and starts a table."""
    for folder in self._folders_of(self.replaced):
      if folder.exists():
        shutil.rmtree(folder)
    for path in self._overlays:
      path.unlink(missing_ok=True)
    for folder in self._folders:
      folder.mkdir(parents=True)
    each = [f"{what}_{i}" for i in self._ids for what in ("confidence", "area")]
    _write_rows(self.table, "w", [["frame", "name", "confidence", *each]])

  def sweep(self) -> None:
    """Removes unfinished files that a killed call left."""
    for folder in (self._out, *self._folders):
      for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
          path.unlink(missing_ok=True)

  def hold(self, indices: Iterable[int], table_bytes: int) -> bool:
    """Says whether all of these frames, and so much table, is there."""
    return (
      self.table.exists()
      and self.table.stat().st_size >= table_bytes
      and all(
        self._path(folder, index).exists()
        for index in indices
        for folder in self._folders
      )
    )

  def write(
    self,
    index: int,
    soft: Float[np.ndarray, "n h w"],
    *,
    frame: UInt8[np.ndarray, "h w 3"],
    background: UInt8[np.ndarray, "h2 w2 3"] | None = None,
  ) -> None:
    """Writes a frame's mask, its layers and its row.

    Args:
      index: of the frame.
      soft: probabilities, background first; objects may be missing at the end.
      frame: of the video.
      background: of the network, if that layer is wanted.
    """
    rows, best = soft.argmax(0), soft.max(0)
    ids = np.array([0, *self._ids], np.uint8)
    pictures.save_labels(self._path(self.masks, index), ids[rows])
    if FOREGROUND in self.written:
      path = self._path(self._out / FOREGROUND, index)
      pictures.save_cutout(path, frame, soft[1:].sum(0))
    if BACKGROUND in self.written:
      path = self._path(self._out / BACKGROUND, index)
      pictures.save_png(path, plates.compose(frame, rows > 0, background))
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

  @property
  def _overlays(self) -> list[pathlib.Path]:
    return [
      self._out / overlays.VIDEO_NAME,
      self._out / overlays.ANIMATION_NAME,
    ]

  def _folders_of(self, names: Sequence[str]) -> list[pathlib.Path]:
    return [self._out / name for name in names if name in (MASKS, *LAYERS)]

  def _path(self, folder: pathlib.Path, index: int) -> pathlib.Path:
    # Not with_suffix: names may hold dots.
    return folder / f"{self._names[index]}.png"


def _mean(total: float, count: int) -> str:
  return f"{total / count:.4f}" if count else ""


def _write_rows(path: pathlib.Path, mode: str, rows) -> None:
  with open(path, mode, newline="", encoding="utf-8") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
