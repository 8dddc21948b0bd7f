"""Evaluation of edited faces: their emotion, and how well the regions fit.

The table has, for either direction, the share of faces that the run's own
classifier calls the new emotion, before and after, beside two ways to paste the
same generated regions: as whole rectangles, and by their own brightness (the
source's way). The result's folder gets `scores.json` and a sheet per direction.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.progress

from foregan_jax import game, storage, tasks
from foregan_jax.data import sources
from foregan_jax.evaluators import image_scores
from foregan_jax.evaluators import result as result_lib
from foregan_jax.layers import face_paste, ranges
from foregan_jax.media import pictures, selection
from foregan_jax.metrics import pasting
from foregan_jax.runtime import distributed

_NUM_SHOWN = 8  # faces in a sheet
_RING = 0.05  # alpha below which a pixel of a box shows the original
_METRICS = ("called", "outside", "drift", "edge")
_EDIT, _BEFORE, _REAL = "edit", "before", "real"
_ROWS = (_BEFORE, _EDIT, "rectangle", "self", _REAL)
_LEGEND = (
  "called: share of faces that the classifier calls the new emotion (real: of "
  "true ones); outside: change of pixels whose alpha is 0; drift: of the mean "
  "brightness of a box off its features; edge: of the contrast across its "
  "border, all in levels of 255. rectangle, self: the same regions pasted "
  "whole, or by their own brightness."
)

Faces = dict[str, np.ndarray]  # images and parts, uint8


class FaceEditEvaluator:
  """Evaluates the edits of faces of both emotions."""

  def __init__(self, system, config, workdir: storage.Path):
    """Open the data and compile the functions of the system.

    Args:
      system: a `tasks.FaceEditSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    pairs = sources.evaluation(config, workdir)
    self._faces = {"ab": pairs.source, "ba": pairs.target}
    self._emotions = {
      "ab": (system.source, system.target), "ba": (system.target, system.source)
    }  # fmt: skip
    self._limit = config.eval.limit
    self._edit = {
      direction: jax.jit(functools.partial(_edit, system, direction))
      for direction in tasks.DIRECTIONS
    }
    self._classify = jax.jit(system.classify)

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`; every process evaluates all faces."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    first = distributed.is_first_process()
    table: dict[str, dict[str, dict[str, float]]] = {}
    counts = {}
    for direction, faces in self._faces.items():
      count = len(faces) if whole or not self._limit else self._limit
      indices = selection.evenly_spaced(len(faces), count)
      table[direction] = self._score(nets, direction, indices, show=first)
      counts[direction] = len(indices)
    # A real face of the new emotion is a face before the way back.
    for direction, other in (("ab", "ba"), ("ba", "ab")):
      called = 1.0 - table[other][_BEFORE]["called"]
      table[direction][_REAL] = {"called": called}
    accuracy = 1.0 - _mean(
      [table[d][_BEFORE]["called"] for d in tasks.DIRECTIONS]
    )
    if first:
      content = {"classifier_accuracy": accuracy, "directions": table}
      storage.write(folder / "scores.json", json.dumps(content))
      if write:
        for name, sheet in self._sheets(nets, self._shown()).items():
          pictures.save_png(folder / f"{name}.png", sheet)
    scalars = {
      f"{direction if row == _EDIT else f'{direction}_{row}'}/{metric}": value
      for direction, rows in table.items()
      for row, values in rows.items()
      for metric, value in values.items()
    }
    return result_lib.Result(
      scalars=scalars | {"classifier/accuracy": accuracy},
      best=None,
      show=lambda title: print(self._plain(title, table, counts, accuracy)),
    )

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`."""
    self._samples = self._shown()

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return a sheet per direction: source, edited, and edited back."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    return self._sheets(nets, self._samples)

  def _score(
    self, nets, direction: str, indices, *, show: bool
  ) -> dict[str, dict[str, float]]:
    """Return the metrics of the rows of a direction."""
    scores: dict[str, dict[str, list[float]]] = {}
    parts = list(image_scores.batches(len(indices)))
    title = " to ".join(self._emotions[direction])
    for part in rich.progress.track(parts, title, disable=not show):
      faces = self._read(direction, indices[part])
      count = len(faces["image"])
      filled = {name: image_scores.fill(x) for name, x in faces.items()}
      made = jax.device_get(self._edit[direction](nets, **filled))
      images = {_BEFORE: filled["image"], **made["images"]}
      for row, edited in images.items():
        new = np.asarray(self._classify(nets, edited))
        called = new > 0.5 if direction == "ab" else new <= 0.5
        values = scores.setdefault(row, {})
        values.setdefault("called", []).extend(called[:count].astype(float))
        if row == _BEFORE:
          continue
        for i in range(count):
          own = jax.tree.map(lambda x, i=i: x[:, i], made["regions"])
          fits = _measure(edited[i], filled["image"][i], **own)
          for metric, value in fits.items():
            values.setdefault(metric, []).append(value)
    return {
      row: {metric: _mean(value) for metric, value in values.items()}
      for row, values in scores.items()
    }

  def _read(self, direction: str, indices) -> Faces:
    faces = [self._faces[direction].face(i) for i in indices]
    return {
      name: np.stack([face[name] for face in faces])
      for name in ("image", "parts")
    }

  def _shown(self) -> dict[str, Faces]:
    return {
      direction: self._read(
        direction, selection.evenly_spaced(len(faces), _NUM_SHOWN)
      )
      for direction, faces in self._faces.items()
    }

  def _sheets(self, nets, shown: Mapping[str, Faces]) -> dict[str, np.ndarray]:
    """Return a sheet per direction, by name."""
    sheets = {}
    for direction, faces in shown.items():
      count = len(faces["image"])
      filled = {name: image_scores.fill(x) for name, x in faces.items()}
      there = self._run(nets, direction, filled)
      back = self._run(nets, direction[::-1], filled | {"image": there})
      rows = [filled["image"][:count], there[:count], back[:count]]
      old, new = self._emotions[direction]
      sheets[f"{old}_to_{new}"] = pictures.contact_sheet(
        [[pictures.enlarge(picture) for picture in row] for row in rows],
        columns=[str(i + 1) for i in range(count)],
        row_names=(old, f"to {new}", "and back"),
      )
    return sheets

  def _run(self, nets, direction: str, faces: Faces) -> np.ndarray:
    made = self._edit[direction](nets, **faces)
    return np.asarray(made["images"][_EDIT])

  def _plain(self, title: str, table, counts, accuracy: float) -> str:
    lines = [title]
    for direction, rows in table.items():
      old, new = self._emotions[direction]
      head = f"{old} to {new}"
      lines.append(f"{head:24s}" + "".join(f"{m:>10s}" for m in _METRICS))
      for row in _ROWS:
        cells = [
          f"{rows[row][m]:10.3f}" if m in rows[row] else " " * 10
          for m in _METRICS
        ]
        lines.append(f"{row:24s}" + "".join(cells).rstrip())
    faces = " and ".join(
      f"{count} {self._emotions[direction][0]}"
      for direction, count in counts.items()
    )
    lines.append(f"{faces} faces; classifier's accuracy on them {accuracy:.3f}")
    lines.append(_LEGEND)
    return "\n".join(lines)


def _edit(system, direction: str, nets, image, parts) -> dict[str, Any]:
  """Edit faces and paste the generated regions in other ways.

  Returns:
    `images`, uint8 [b, s, s, 3] by row; and of the regions, `alpha` on the
    whole face [r, b, s, s] and `box` [r, b, 4].
  """
  made = system.edit(nets, image, parts, direction)
  boxes, raw, alphas = made["boxes"], made["raw"], made["alphas"]
  face = ranges.image_to_float(image)
  whole = jnp.ones_like(raw[..., :1])
  images = {_EDIT: made["image"]}
  for row, other in (("rectangle", whole), ("self", (raw + 1) / 2)):
    images[row] = face
    for i in range(len(raw)):
      images[row] = face_paste.paste_back(
        images[row], raw[i], boxes[i], other[i]
      )
  black = jnp.zeros_like(face[..., :1])
  alpha = [
    face_paste.paste_back(
      black, whole[i], boxes[i], alphas[i].max(-1, keepdims=True)
    )[..., 0]
    for i in range(len(raw))
  ]
  return {
    "images": jax.tree.map(ranges.image_to_uint8, images),
    "regions": {"alpha": jnp.stack(alpha), "box": boxes},
  }


def _measure(edited, source, *, alpha, box) -> dict[str, float]:
  """Return how well the regions of an edited face fit, means over regions.

  Args:
    edited: uint8 [s, s, 3].
    source: the face before.
    alpha: of each region on the whole face, [r, s, s].
    box: [r, 4].
  """
  drifts, edges = [], []
  for one, corners in zip(alpha, box.round().astype(int), strict=True):
    inside = np.zeros(one.shape, bool)
    inside[corners[0] : corners[2], corners[1] : corners[3]] = True
    # The other region may reach into this box.
    ring = inside & (alpha.max(axis=0) < _RING)
    drifts.append(pasting.drift(edited, source, ring))
    edges.append(pasting.edge(edited, source, tuple(corners.tolist())))
  untouched = alpha.max(axis=0) == 0
  return {
    "outside": pasting.change(edited, source, untouched),
    "drift": _mean(drifts),
    "edge": _mean(edges),
  }


def _mean(values) -> float:
  return float(np.mean(values))
