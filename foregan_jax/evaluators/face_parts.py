"""Evaluation of the masks of face parts, and of expressions.

The masks are compared with one mask for all faces, the classifiers with the
most frequent expression; both come from the training faces. The result's folder
gets `scores.json` and a sheet.
"""

import json
from collections.abc import Mapping

import jax
import numpy as np
import rich.progress

from foregan_jax import game, storage
from foregan_jax.data import face_labels, sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import images as images_lib
from foregan_jax.media import pictures, selection
from foregan_jax.metrics import face_parts as metrics
from foregan_jax.runtime import distributed

_BATCH = 8  # faces per call: one compiled program for any number
_NUM_SHOWN = 12
_NUM_TRAINED = 200  # at most so many training faces for the mean mask
_COVERED = 127  # more coverage than this is a part
_THRESHOLD = 0.5  # of a soft mask
_MEAN_MASK, _MOST_FREQUENT = "mean_mask", "most_frequent"
_COLUMNS = (*face_labels.PARTS, "mean")


class FacePartsEvaluator:
  """Evaluates a system's masks of parts and its classifiers."""

  def __init__(self, system, config, workdir: storage.Path):
    """Open the data and compile the functions of the system.

    Args:
      system: a `tasks.FacePartsSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    self._streams = sources.evaluation(config, workdir)
    self._limit = config.eval.limit
    try:
      split = config.data.train_split
      self._training = sources.evaluation(config, workdir, split)
    except images_lib.DataError:
      self._training = None  # other data than those of the run may lack it
    self._segment = jax.jit(system.predict_parts)
    self._classify = jax.jit(system.classify) if system.classifies else None

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
    limit = 0 if whole else self._limit
    image, truth = _read(self._streams.faces, limit)
    soft = self._masks(nets, image)
    predicted = {self._system.heads[0]: soft > _THRESHOLD}
    if self._training:
      _, known = _read(self._training.faces, _NUM_TRAINED)
      guess = metrics.mean_mask(known)
      predicted[_MEAN_MASK] = np.broadcast_to(guess, truth.shape)
    masks = {name: _row(masks, truth) for name, masks in predicted.items()}
    expressions, count = self._expressions(nets, limit)
    table = {**masks, **expressions}
    if distributed.is_first_process():
      storage.write(folder / "scores.json", json.dumps(table))
      if write:
        shown = selection.evenly_spaced(len(image), _NUM_SHOWN)
        sheet = _sheet(image[shown], truth[shown], soft[shown])
        pictures.save_png(folder / "sheet.png", sheet)
    return result_lib.Result(
      scalars={
        f"{name}/{metric}": value
        for name, row in table.items()
        for metric, value in row.items()
      },
      best=masks[self._system.heads[0]][self._system.best.name],
      show=lambda title: print(
        _plain(title, masks, expressions, len(truth), count)
      ),
    )

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`."""
    self._shown = _read(self._streams.faces, _NUM_SHOWN)

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return a sheet of faces with their true and predicted parts."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    image, truth = self._shown
    return {"parts": _sheet(image, truth, self._masks(nets, image))}

  def _masks(self, nets, image: np.ndarray) -> np.ndarray:
    """Return soft masks of all faces, by one compiled program."""
    parts = [
      np.asarray(self._segment(nets, _fill(image[part])), np.float32)
      for part in _batches(len(image))
    ]
    return np.concatenate(parts)[: len(image)]

  def _expressions(self, nets, limit: int):
    """Return the scores of the classifiers by name, and the number of faces."""
    labelled, known = self._streams.labelled, self._streams.known
    if not self._classify or not known:
      return {}, 0
    places = selection.evenly_spaced(len(known), limit or len(known))
    chosen = [known[i] for i in places]
    image = np.stack([labelled.image(i) for i in chosen])
    labels = np.array([labelled.labels[i] for i in chosen])
    made = []
    for part in _batches(len(image)):
      filled = _fill(image[part])
      made.append(
        jax.device_get(
          self._classify(nets, filled, self._segment(nets, filled))
        )
      )
    joined = jax.tree.map(lambda *x: np.concatenate(x)[: len(image)], *made)
    guesses = {name: x.argmax(-1) for name, x in joined.items()}
    if self._training and self._training.known:
      trained = self._training.labelled.labels
      known = np.array([trained[i] for i in self._training.known])
      common = metrics.most_frequent(known)
      guesses[_MOST_FREQUENT] = np.full_like(labels, common)
    table = {
      f"expression_{name}": metrics.accuracy(guess, labels)
      for name, guess in guesses.items()
    }
    return table, len(labels)


def _read(faces, limit: int) -> tuple[np.ndarray, np.ndarray]:
  """Return pictures uint8 [n, s, s, 3] and masks bool [n, s, s, 4].

  Args:
    faces: a `data.faces.FaceSet`.
    limit: at most so many faces, evenly spaced; 0: all.
  """
  chosen = selection.evenly_spaced(len(faces), limit or len(faces))
  quiet = not distributed.is_first_process() or len(chosen) <= _NUM_SHOWN
  read = [
    faces.face(i) for i in rich.progress.track(chosen, "reading", disable=quiet)
  ]
  image = np.stack([face["image"] for face in read])
  return image, np.stack([face["parts"] for face in read]) > _COVERED


def _batches(count: int) -> list[slice]:
  return [slice(i, i + _BATCH) for i in range(0, count, _BATCH)]


def _fill(x: np.ndarray) -> np.ndarray:
  """Repeat faces up to `_BATCH` of them."""
  return np.resize(x, (_BATCH, *x.shape[1:]))


def _row(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
  """Return the IoU of each part that the data have, and their mean `iou`."""
  values = metrics.iou(predicted, truth)
  row = {
    f"iou_{part}": float(value)
    for part, value in zip(face_labels.PARTS, values, strict=True)
    if not np.isnan(value)
  }
  return {**row, "iou": float(np.nanmean(values))}


def _sheet(image, truth, soft: np.ndarray) -> np.ndarray:
  """Return faces beside their true and predicted parts, two in a row."""
  cells = []
  for picture, true, predicted in zip(image, truth, soft, strict=True):
    labels = (
      face_labels.join_labels(x.astype(np.float32)) for x in (true, predicted)
    )
    row = [picture, *(pictures.overlay(picture, x) for x in labels)]
    cells.append([pictures.enlarge(cell) for cell in row])
  rows = [sum(cells[i : i + 2], []) for i in range(0, len(cells), 2)]
  columns = ("face", "truth", "parts") * (len(rows[0]) // 3)
  return pictures.contact_sheet(rows, columns=columns)


def _plain(
  title: str, masks: Mapping, expressions: Mapping, faces: int, labelled: int
) -> str:
  """Format the scores."""
  lines = [title, f"{'head':16s}" + "".join(f"{c:>9s}" for c in _COLUMNS)]
  names = (*(f"iou_{part}" for part in face_labels.PARTS), "iou")
  for head, row in masks.items():
    cells = "".join(
      f"{row[name]:9.3f}" if name in row else f"{'-':>9s}" for name in names
    )
    lines.append(f"{head:16s}{cells}")
  lines.append(
    f"IoU of {faces} faces, pooled; {_MEAN_MASK}: one mask for all faces, from "
    "training faces"
  )
  if expressions:
    lines += ["", f"{'expression from':26s}{'accuracy':>9s}{'recall':>9s}"]
    for name, row in expressions.items():
      cells = f"{row['accuracy']:9.3f}{row['recall']:9.3f}"
      lines.append(f"{name.removeprefix('expression_'):26s}{cells}")
    lines.append(
      f"{labelled} faces; recall: mean over the expressions; {_MOST_FREQUENT}: "
      "that of the training faces"
    )
  return "\n".join(lines)
