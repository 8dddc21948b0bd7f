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
import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.media import overlays, paths, pictures
from foregan_jax.predictors import plates

MASKS = "masks"
FOREGROUND = "foreground"
BACKGROUND = "background"
LAYERS = (FOREGROUND, BACKGROUND)
TABLE = "confidence.csv"
# All possible results, and those that every call writes.
NAMES = (MASKS, *LAYERS, TABLE, overlays.VIDEO_NAME, overlays.ANIMATION_NAME)
NAMES_WITHOUT_LAYERS = tuple(name for name in NAMES if name not in LAYERS)
_MARK = ".foregan_jax"
# The name that `pictures` gives to a file until it is complete.
_UNFINISHED = re.compile(r"\..+\.\d+\.\d+")


class Results:
  """The masks and layers of a video, and a table with a row per frame.

  Attributes:
    masks: folder of the palette PNGs.
    table: file of the confidences.
    written: names of all files and folders to write, a subset of `NAMES`.
    replaced: `written`, and names that an earlier call wrote.
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
    self._out = out
    self.masks = out / MASKS
    self.table = out / TABLE
    self.written = tuple(
      name for name in NAMES if name in NAMES_WITHOUT_LAYERS or name in layers
    )
    self.replaced = tuple(
      name for name in NAMES if name in self.written or name in earlier
    )
    self._earlier = earlier
    self._folders = self._select_folders(self.written)
    self._names = names
    self._ids = list(ids)

  def check_places(self, inputs: Iterable[pathlib.Path]) -> None:
    """Refuse to overwrite inputs, and to write through symbolic links.

    Raises:
      ValueError: if an input is, or lies below, a file or folder that will be
        written, or one of these is a symbolic link, a pipe or a device.
    """
    places = [self._out / name for name in self.replaced]
    for place in places:
      paths.refuse_link(self._out, place)
      if place.exists() and not (place.is_file() or place.is_dir()):
        raise ValueError(f"{place} is not a file; remove it")
    full_places = {paths.full(place) for place in places}
    for path in inputs:
      full = paths.full(path)
      if full_places & {full, *full.parents}:
        raise ValueError(
          f"{path} lies where results will be written; give another --out"
        )

  def check_free(self) -> None:
    """Refuse to overwrite files that no earlier call wrote.

    Raises:
      ValueError: if there are such files, also in folders of earlier calls.
    """
    for name in self.written:
      path = self._out / name
      if path.exists() and name not in self._earlier:
        raise ValueError(
          f"{path} exists already, and no earlier call wrote it; give another "
          "--out"
        )
    for folder in self._select_folders(self.replaced):
      if folder.exists():
        _check_own(folder)

  def clear(self) -> None:
    """Remove the results of an earlier call and start a table."""
    for folder in self._select_folders(self.replaced):
      if folder.exists():
        for path in _check_own(folder):
          path.unlink()
        folder.rmdir()
    for path in self._overlays:
      path.unlink(missing_ok=True)
    for folder in self._folders:
      folder.mkdir(parents=True)
      (folder / _MARK).touch()
    columns = [f"{k}_{i}" for i in self._ids for k in ("confidence", "area")]
    _write_rows(self.table, "w", [["frame", "name", "confidence", *columns]])

  def remove_unfinished(self) -> None:
    """Remove incomplete files of a killed call."""
    for folder in (self._out, *self._folders):
      for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
          path.unlink(missing_ok=True)

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
      part = self.table.with_suffix(".part")
      _write_rows(part, "w", [header, *ordered])
      os.replace(part, self.table)

  @property
  def _overlays(self) -> list[pathlib.Path]:
    return [
      self._out / overlays.VIDEO_NAME,
      self._out / overlays.ANIMATION_NAME,
    ]

  def _select_folders(self, names: Sequence[str]) -> list[pathlib.Path]:
    return [self._out / name for name in names if name in (MASKS, *LAYERS)]

  def _path(self, folder: pathlib.Path, index: int) -> pathlib.Path:
    # Not with_suffix, because names may contain dots.
    return folder / f"{self._names[index]}.png"


def _check_own(folder: pathlib.Path) -> list[pathlib.Path]:
  """Return the files in a folder of results.

  Raises:
    ValueError: if this program did not make the folder, or it has other
      entries than pictures of results.
  """
  if not (folder / _MARK).is_file():
    raise ValueError(
      f"{folder} would be replaced, but has no file {_MARK}, so another "
      "program made it; move it, or give another --out"
    )
  found = sorted(folder.iterdir())
  for path in found:
    own = path.suffix == ".png" or path.name == _MARK
    own = own or _UNFINISHED.fullmatch(path.name)
    if path.is_symlink() or not path.is_file() or not own:
      raise ValueError(
        f"{path} would be removed, but is not a picture of results; move it, "
        "or give another --out"
      )
  return found


def _mean(total: float, count: int) -> str:
  """Return the mean as text, empty for no values."""
  return f"{total / count:.4f}" if count else ""


def _write_rows(path: pathlib.Path, mode: str, rows) -> None:
  with open(path, mode, newline="", encoding="utf-8") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
