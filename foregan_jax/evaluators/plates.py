"""Error of generated backgrounds, where the true background is known.

Data with a folder `Background/`, such as the demo, have the true background
behind the objects. The score is the mean absolute error in the hole: all pixels
at network size that the true mask covers, even partly. Two baselines need no
learning: the frame with its hole filled row by row, which uses the true mask of
that frame, and the first frame, filled in the same way and repeated. The
system's plate is scored, too; it uses background seen in earlier frames.
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import rich.box
import rich.console
import rich.table
from jaxtyping import Bool, UInt8

from foregan_jax import storage
from foregan_jax.layers import inpaint, ranges
from foregan_jax.media import images, pictures
from foregan_jax.metrics import davis

PLATE, GENERATOR = "plate", "generator"
ROWS, FIRST_ROWS = "rows", "first_rows"
_MEANING = {
  PLATE: "seen in earlier frames, generated elsewhere",
  GENERATOR: "generated, from the first frame on",
  ROWS: "each frame filled row by row, with its true mask",
  FIRST_ROWS: "the first frame filled row by row, repeated",
}
_HEADER = ("background", "error", "")
_CAPTION = "Mean absolute error, of 255, inside the true mask."
_BATCH = 16  # frames per call: one compiled program for any length

Video = UInt8[np.ndarray, "_ _ _ 3"]
# Errors in grey levels by background and video.
Errors = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Known:
  """Ground truth of a video in n of its frames.

  Attributes:
    frames: their numbers.
    real: uint8 [n, h, w, 3].
    holes: the true mask, boolean [n, h, w]; none is empty.
    truth: the true background, uint8 [n, h, w, 3].
    first: the video's first frame, uint8 [h, w, 3].
    first_hole: its mask, boolean [h, w].
  """

  frames: tuple[int, ...]
  real: Video
  holes: Bool[np.ndarray, "_ _ _"]
  truth: Video
  first: UInt8[np.ndarray, "_ _ 3"]
  first_hole: Bool[np.ndarray, "_ _"]


def read(sequence: Mapping[str, Any]) -> Known | None:
  """Read the true backgrounds of the scored frames.

  Args:
    sequence: from `data.davis.Davis.sequence`.

  Returns:
    Ground truth of the scored frames that have an annotation, an object and a
    background; None if there is no such frame.

  Raises:
    DataError: naming the broken background.
  """
  frames, labels = sequence["frames"], sequence["labels"]
  holes, truth = {}, {}
  for t in davis.scored_frames(len(frames)):
    if labels[t] is None:
      continue
    covered = (labels[t] > 0) & (labels[t] != images.VOID)
    hole = images.resize_mask(covered.astype(np.uint8), frames.shape[1:3])
    if hole.any() and (background := sequence["background"](t)) is not None:
      holes[t], truth[t] = hole[..., 0] > 0, background
  if not truth:
    return None
  return Known(
    frames=tuple(truth),
    real=frames[list(truth)],
    holes=np.stack(list(holes.values())),
    truth=np.stack(list(truth.values())),
    first=frames[0],
    first_hole=sequence["ref_mask"].any(axis=-1),
  )


def of(layers) -> dict[str, Video]:
  """Return a system's backgrounds of one video, uint8 [t, h, w, 3], by name.

  Args:
    layers: from `advance`, of one video, with `bg` and `plate`.
  """
  videos = {PLATE: layers.plate, GENERATOR: layers.bg}
  return {
    name: pictures.to_uint8(video[0])
    for name, video in videos.items()
    if video is not None
  }


def measure(
  known: Known, drawn: Mapping[str, Video], path: storage.Path | None = None
) -> dict[str, float]:
  """Return the error of every background, by name.

  Args:
    known: ground truth of the video.
    drawn: the system's, of frames 1, 2, ..., uint8 [T-1, h, w, 3], by name.
    path: for a PNG to look at; None writes none.
  """
  made = backgrounds(known, drawn)
  if path is not None:
    pictures.save_png(path, sheet(known, made))
  return {name: error(known, video) for name, video in made.items()}


def backgrounds(known: Known, drawn: Mapping[str, Video]) -> dict[str, Video]:
  """Return the backgrounds to compare, uint8 [n, h, w, 3], by name.

  Args:
    known: ground truth of the video.
    drawn: the system's, of frames 1, 2, ..., uint8 [T-1, h, w, 3], by name.
  """
  first, *rows = _fill_rows(
    np.concatenate([known.first[None], known.real]),
    np.concatenate([known.first_hole[None], known.holes]),
  )
  scored = np.array(known.frames) - 1
  return {
    **{name: video[scored] for name, video in drawn.items()},
    ROWS: np.stack(rows),
    FIRST_ROWS: np.stack([first] * len(rows)),
  }


def error(known: Known, background: Video) -> float:
  """Return the mean absolute error in the holes, in 8-bit grey levels.

  The mean is over pixels and channels of a hole, then over frames.
  """
  errors = np.abs(background.astype(np.float64) - known.truth).mean(axis=-1)
  each = [e[hole].mean() for e, hole in zip(errors, known.holes, strict=True)]
  return float(np.mean(each))


def sheet(known: Known, made: Mapping[str, Video]) -> np.ndarray:
  """Return a sheet of the first, the middle and the last frame.

  Args:
    known: ground truth of the video.
    made: from `backgrounds`.

  Returns:
    uint8 [h, w, 3]: a row per frame with the frame, its true mask, the
    backgrounds except the repeated one, and the true background.
  """
  shown = sorted({0, len(known.frames) // 2, len(known.frames) - 1})
  names = [name for name in made if name != FIRST_ROWS]
  rows = []
  for i in shown:
    hole = known.holes[i].astype(np.uint8)
    row = [
      known.real[i],
      pictures.overlay(known.real[i], hole),
      *(made[name][i] for name in names),
      known.truth[i],
    ]
    rows.append([pictures.enlarge(picture) for picture in row])
  return pictures.contact_sheet(
    rows,
    columns=("frame", "true mask", *names, "truth"),
    row_names=[str(known.frames[i]) for i in shown],
  )


def scalars(errors: Errors) -> dict[str, float]:
  """Return `background/<name>_mae`, the means over videos."""
  return {f"background/{name}_mae": _mean(e) for name, e in errors.items()}


def show(errors: Errors) -> None:
  """Print a table with the best row highlighted; nothing without errors."""
  if not errors:
    return
  best = min(errors, key=lambda name: _mean(errors[name]))
  rows = [(n, f"{_mean(e):.2f}", _MEANING[n]) for n, e in errors.items()]
  if sys.stdout.isatty():
    table = rich.table.Table(
      *_HEADER,
      caption=_CAPTION,
      box=rich.box.SIMPLE_HEAD,
      padding=(0, 1, 0, 0),
      pad_edge=False,
      caption_justify="left",
    )
    for row in rows:
      table.add_row(*row, style="bold green" if row[0] == best else "")
    rich.console.Console(file=sys.stdout).print(table)
  else:
    for name, value, meaning in [_HEADER, *rows]:
      mark = f"{name} *" if name == best else name
      print(f"{mark:14s}{value:>7s}  {meaning}".rstrip())
    print(_CAPTION)


def _mean(each: Mapping[str, float]) -> float:
  return float(np.mean(list(each.values())))


def _fill_rows(frames: Video, holes: Bool[np.ndarray, "_ _ _"]) -> Video:
  made = []
  for start in range(0, len(frames), _BATCH):
    part = lambda x, start=start: np.resize(
      x[start : start + _BATCH], (_BATCH, *x.shape[1:])
    )
    made.append(np.asarray(_fill(part(frames), part(holes))))
  return np.concatenate(made)[: len(frames)]


@jax.jit
def _fill(frames: jax.Array, holes: jax.Array) -> jax.Array:
  """Fill holes [b, h, w] of frames uint8 [b, h, w, 3] row by row."""
  filled = inpaint.fill_rows(
    ranges.image_to_float(frames), holes[..., None].astype(np.float32)
  )
  return ranges.image_to_uint8(filled)
