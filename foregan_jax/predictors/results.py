"""The output folder of a propagation: its files, and when they are replaced.

    masks/<frame>.png        labels: a palette PNG at the frame's size, with the
                             object ids of the given masks, 0 = background
    foreground/<frame>.png   the objects on transparency: an RGBA PNG of the
                             unchanged frame, alpha = probability of all objects
    background/<frame>.png   the frame without its objects: an RGB PNG with the
                             generated background on the objects and a narrow
                             margin around them, the unchanged frame elsewhere
    confidence.csv           a row per frame; see below
    overlay.mp4              the video with its masks at full size (needs PyAV)
    overlay.webp             the same for browsers: at most 150 frames of at
                             most 480 pixels width
    resume.npz               the state of an interrupted call, and the names
                             that earlier calls wrote; without this file a new
                             call refuses to replace the others

`<frame>` is the name of a frame: the stem of its picture, or its number in a
video file (00000, 00001, ...). `foreground/` and `background/` are optional. A
frame that cannot be read has no picture and no row. A hidden file marks the
folders as those of this program; folders without it are never removed.

Columns of `confidence.csv`, in order of the frames:

    frame                    index, from 0
    name                     of the frame, as in `<frame>.png`
    confidence               mean probability of the winning label over the
                             pixels of all objects, in [0, 1]; empty if the mask
                             has no object
    confidence_ID, area_ID   for each object id: the same mean over the pixels
                             of this object, and its share of the frame's pixels

Pixels of given masks have the probability 1.
"""

import csv
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.media import overlays, pictures, tables
from foregan_jax.predictors import output_folder, plates

MASKS = "masks"
FOREGROUND = "foreground"
BACKGROUND = "background"
LAYERS = (FOREGROUND, BACKGROUND)
TABLE = "confidence.csv"
_FILES = (TABLE, overlays.VIDEO_NAME, overlays.ANIMATION_NAME)
NAMES_WITHOUT_LAYERS = (MASKS, *_FILES)


class Results(output_folder.OutputFolder):
  """The masks and layers of a video, and a table with a row per frame.

  Attributes:
    masks: folder of the palette PNGs.
    table: file of the confidences.
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
    """Set the paths; write nothing yet.

    Args:
      out: the output folder.
      names: of the frames.
      ids: of the objects, in order of the rows of probabilities.
      layers: layers to write, a subset of `LAYERS`.
      earlier: names of files and folders that an earlier call wrote to `out`.
    """
    super().__init__(
      out,
      folders=(MASKS, *LAYERS),
      files=_FILES,
      written=(*NAMES_WITHOUT_LAYERS, *layers),
      earlier=earlier,
    )
    self.masks = out / MASKS
    self.table = out / TABLE
    self._names = names
    self._ids = list(ids)

  def clear(self) -> None:
    """Remove the results of an earlier call and start a table."""
    super().clear()
    columns = [f"{k}_{i}" for i in self._ids for k in ("confidence", "area")]
    _write_rows(self.table, "w", [["frame", "name", "confidence", *columns]])

  def are_complete(self, indices: Iterable[int], table_bytes: int) -> bool:
    """Return whether these frames have whole pictures, and their rows exist.

    Args:
      indices: of the frames.
      table_bytes: minimum length of the table.
    """
    return (
      self.table.is_file()
      and self.table.stat().st_size >= table_bytes
      and all(
        pictures.is_whole_png(self._path(folder, index))
        for index in indices
        for folder in self.folders
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
    """Write the mask, the layers and the table row of a frame.

    Args:
      index: of the frame.
      soft: probabilities in [0, 1], background first. The last objects may be
        missing.
      frame: of the video, RGB.
      background: generated, RGB; needed for the layer `background` only.
    """
    rows, best = soft.argmax(0), soft.max(0)
    ids = np.array([0, *self._ids], np.uint8)
    pictures.save_labels(self._path(self.masks, index), ids[rows])
    if FOREGROUND in self.written:
      path = self._path(self.out / FOREGROUND, index)
      pictures.save_cutout(path, frame, soft[1:].sum(0))
    if BACKGROUND in self.written:
      path = self._path(self.out / BACKGROUND, index)
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
    """Remove the rows after the first `table_bytes` bytes."""
    os.truncate(self.table, table_bytes)

  def sort_table(self) -> None:
    """Sort the rows by frame, because propagation also runs backward.

    Raises:
      ValueError: if the table is damaged.
    """
    try:
      with open(self.table, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
      ordered = sorted(rows, key=lambda row: int(row[0]))
    except (ValueError, IndexError, csv.Error) as error:
      raise ValueError(
        f"{self.table} is damaged ({error}); remove it and run again"
      ) from error
    if ordered != rows:
      tables.write(self.table, [header, *ordered])

  def _path(self, folder: pathlib.Path, index: int) -> pathlib.Path:
    # Not with_suffix, because names may contain dots.
    return folder / f"{self._names[index]}.png"


def _mean(total: float, count: int) -> str:
  """Return the mean as text, empty for no values."""
  return f"{total / count:.4f}" if count else ""


def _write_rows(path: pathlib.Path, mode: str, rows) -> None:
  with open(path, mode, newline="", encoding="utf-8") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
