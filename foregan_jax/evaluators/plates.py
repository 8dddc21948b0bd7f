"""The background that a system draws behind an object, beside the true one.

Data whose makers know what is behind the objects (`Background/`, as the demo
has it) tell how well a hole is filled. Measured is the mean absolute error in
the hole, which is every pixel at network size that the true mask covers at
all. Beside the generator's background stand two that need no learning: the
frame itself with the hole filled row by row, for which it is told the mask of
that very frame, and the first frame, filled likewise and repeated. The system's
plate, too, is measured, which remembers what earlier frames have shown.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import rich.box
import rich.console
import rich.table
from jaxtyping import Bool, UInt8

from foregan_jax.layers import inpaint, ranges
from foregan_jax.media import images, pictures
from foregan_jax.metrics import davis

PLATE, GENERATOR = "plate", "generator"
ROWS, FIRST_ROWS = "rows", "first_rows"
_MEANING = {
  PLATE: "remembered from the frames before, drawn where nothing is",
  GENERATOR: "drawn, from the first frame on",
  ROWS: "each frame filled row by row, told its true mask",
  FIRST_ROWS: "the first frame filled row by row, repeated",
}
_HEADER = ("background", "error", "")
_CAPTION = "Mean absolute error, of 255, where the object is in truth."
_BATCH = 16  # frames filled at once, so that one program does for any length

Video = UInt8[np.ndarray, "_ _ _ 3"]
# Grey levels by background and video.
Errors = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Known:
  """What is known of a video in n of its frames.

  Attributes:
    frames: their numbers.
    real: uint8 [n, h, w, 3].
    holes: where the true mask is, boolean [n, h, w]; none is empty.
    truth: what is behind, uint8 [n, h, w, 3].
    first: the video's first frame, uint8 [h, w, 3].
    first_hole: where its mask is, boolean [h, w].
  """

  frames: tuple[int, ...]
  real: Video
  holes: Bool[np.ndarray, "_ _ _"]
  truth: Video
  first: UInt8[np.ndarray, "_ _ 3"]
  first_hole: Bool[np.ndarray, "_ _"]


def read(sequence: Mapping[str, Any]) -> Known | None:
  """Reads the true backgrounds of the scored frames.

  Args:
    sequence: as `data.davis.Davis.sequence` gives it.

  Returns:
    What is known of the scored frames that have an annotation, an object and
    a background; None if there is no such frame.

  Raises:
    DataError: naming the background that is broken.
  """
  frames, labels = sequence["frames"], sequence["labels"]
  holes, truth = {}, {}
  for t in davis.scored_frames(len(frames)):
    if labels[t] is None:
      continue
    covered = (labels[t] > 0) & (labels[t] != images.VOID)
    hole = images.resize_mask(covered.astype(np.uint8), frames.shape[1:3])
    if hole.any() and (behind := sequence["background"](t)) is not None:
      holes[t], truth[t] = hole[..., 0] > 0, behind
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
  """Returns a system's backgrounds of one video, uint8 [t, h, w, 3], by name.

  Args:
    layers: as `advance` returns them for one video, with `bg` and `plate`.
  """
  made = {PLATE: layers.plate, GENERATOR: layers.bg}
  return {
    name: pictures.to_uint8(video[0])
    for name, video in made.items()
    if video is not None
  }


def measure(
  known: Known, drawn: Mapping[str, Video], path: pathlib.Path | None = None
) -> dict[str, float]:
  """Returns the error of every background, by name.

  Args:
    known: of the video.
    drawn: the system's, of frames 1, 2, ..., uint8 [T-1, h, w, 3], by name.
    path: gets a PNG to look at.
  """
  made = backgrounds(known, drawn)
  if path is not None:
    pictures.save_png(path, sheet(known, made))
  return {name: error(known, video) for name, video in made.items()}


def backgrounds(known: Known, drawn: Mapping[str, Video]) -> dict[str, Video]:
  """Returns the backgrounds to compare, uint8 [n, h, w, 3], by name.

  Args:
    known: of the video.
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
  """Returns the mean absolute error in the holes, in 8-bit grey levels.

  Mean over a hole's pixels and three channels, then over the frames.
  """
  off = np.abs(background.astype(np.float64) - known.truth).mean(axis=-1)
  each = [o[hole].mean() for o, hole in zip(off, known.holes, strict=True)]
  return float(np.mean(each))


def sheet(known: Known, made: Mapping[str, Video]) -> np.ndarray:
  """Returns the first, the middle and the last of the frames, to look at.

  Args:
    known: of the video.
    made: what `backgrounds` gave.

  Returns:
    uint8 [h, w, 3]: a row per frame; the frame, the frame under its mask, the
    backgrounds but the repeated one, and the true one.
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
  """Returns `background/<name>_mae`, the means over videos."""
  return {f"background/{name}_mae": _mean(e) for name, e in errors.items()}


def show(errors: Errors) -> None:
  """Prints a table, the best row highlighted; nothing if there are none."""
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
  """Fills holes [b, h, w] of frames uint8 [b, h, w, 3] row by row."""
  filled = inpaint.rows(
    ranges.image_to_float(frames), holes[..., None].astype(np.float32)
  )
  return ranges.image_to_uint8(filled)
