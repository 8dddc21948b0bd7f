"""Pictures of one object each: scores of the segmenter, sheets of samples.

The segmenter stands beside masks that need no learning. Written below the
result's folder: `scores.json`, and per picture the mask and an overlay.
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import rich.progress

from foregan_jax import pictures
from foregan_jax.data import sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.metrics import simple_masks, stills
from foregan_jax.runtime import distributed, platform

_BATCH = 32  # pictures segmented at once
_TUNED_ON = 200  # pictures at most on which the border's cut is chosen
# The batch norms of the generators look at the batch: it must not be small.
_NUM_SAMPLES = 64
_NUM_SHOWN = 12
_THRESHOLD = 0.5  # of a soft mask
_COLUMNS = ("acc", "iou", "miou", "iou_each", "dice_each")
_BEST = "iou"


class StillEvaluator:
  """Judges a system's segmenter on pictures with masks."""

  def __init__(self, system, config, workdir: pathlib.Path):
    """Remembers what to run on what.

    Args:
      system: has `predict`, `sample` and `heads`.
      config: of the run; its data says which pictures.
      workdir: of the run.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    self._often = config.eval.sequences
    self._predict = jax.jit(system.predict)
    self._sample = jax.jit(lambda params, key: self._draw(params, key))

  def assess(
    self,
    params: Mapping[str, Any],
    *,
    folder: pathlib.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`; every process does all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    images, truth, names = self._annotated(0 if whole else self._often)
    predicted = self._baselines(images, truth)
    predicted |= self._heads(params, images)
    table = {head: stills.scores(p, truth) for head, p in predicted.items()}
    first = distributed.is_first_process()
    if first:
      (folder / "scores.json").write_text(json.dumps(table))
    if first and write:
      _write(folder, names, images, truth, predicted[self._system.heads[0]])
    return result_lib.Result(
      scalars={
        f"{head}/{name}": value
        for head, row in table.items()
        for name, value in row.items()
      },
      best=table[self._system.heads[0]][_BEST],
      show=lambda title: print(_plain(title, table, len(truth))),
    )

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`."""
    shown = range(min(_NUM_SHOWN, len(self._source)))
    self._shown = np.stack([self._source.picture(i) for i in shown])

  def samples(self, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns drawn pictures with their layers, and segmented real ones."""
    params = jax.device_put(params, jax.local_devices()[0])
    made = jax.device_get(self._sample(params, platform.key(0)))
    drawn = {
      "drawn": pictures.to_uint8(made.frame),
      "foreground": pictures.to_uint8(made.fg),
      "background": pictures.to_uint8(made.bg),
      "mask": pictures.grey(made.mask),
    }
    heads = jax.device_get(self._predict(params, {"image": self._shown}))
    real = {"real": self._shown}
    real |= {name: pictures.grey(mask) for name, mask in heads.items()}
    return {"drawn": _sheet(drawn), "real": _sheet(real)}

  def _draw(self, params, key):
    return self._system.sample(params, key, _NUM_SAMPLES)

  def _annotated(self, limit: int):
    """Returns the pictures that have masks, the masks, and their names."""
    images, truth, names = [], [], []
    indices = range(len(self._source))[: limit or None]
    quiet = not distributed.is_first_process()
    for i in rich.progress.track(indices, "reading", disable=quiet):
      mask = self._source.mask(i)
      if mask is not None:
        images.append(self._source.picture(i))
        truth.append(mask)
        names.append(self._source.names[i])
    if not truth:
      raise ValueError("no picture to evaluate on has a mask")
    return images, truth, names

  def _baselines(self, images, truth) -> dict[str, list[np.ndarray]]:
    # Tuned on masks, and on those it is judged by: no learner may do that.
    every = max(1, len(images) // _TUNED_ON)
    cut = simple_masks.tune_border_cut(images[::every], truth[::every])
    simple: dict[str, Callable[[np.ndarray], np.ndarray]] = {
      "everything": simple_masks.everything,
      "disc": simple_masks.disc,
      "otsu": simple_masks.otsu,
      "border_colour": lambda x: simple_masks.border_distance(x) > cut,
    }
    return {name: list(map(f, images)) for name, f in simple.items()}

  def _heads(self, params, images) -> dict[str, list[np.ndarray]]:
    params = jax.device_put(params, jax.local_devices()[0])
    masks = {head: [] for head in self._system.heads}
    for start in range(0, len(images), _BATCH):
      part = np.stack(images[start : start + _BATCH])
      filled = np.resize(part, (_BATCH, *part.shape[1:]))  # compiles once
      soft = jax.device_get(self._predict(params, {"image": filled}))
      for head in masks:
        masks[head] += list(soft[head][: len(part), ..., 0] > _THRESHOLD)
    return masks


def _sheet(columns: Mapping[str, np.ndarray]) -> np.ndarray:
  rows = list(zip(*(c[:_NUM_SHOWN] for c in columns.values()), strict=True))
  return pictures.contact_sheet(rows, columns=list(columns))


def _write(folder, names, images, truth, predicted) -> None:
  for name, image, true, mask in zip(
    names, images, truth, predicted, strict=True
  ):
    labels = mask.astype(np.uint8)
    pictures.save_labels(folder / "masks" / f"{name}.png", labels)
    row = [
      image,
      *(pictures.overlay(image, m.astype(np.uint8)) for m in (true, labels)),
    ]
    sheet = pictures.contact_sheet([row], columns=("picture", "truth", "found"))
    pictures.save_png(folder / "overlays" / f"{name}.png", sheet)


def _plain(title: str, table: Mapping[str, Mapping], count: int) -> str:
  """Formats the scores; one pooled and one averaged reading of IoU."""
  lines = [title, f"{'head':16s}" + "".join(f"{c:>11s}" for c in _COLUMNS)]
  for head, row in table.items():
    cells = "".join(f"{row[c]:11.3f}" for c in _COLUMNS)
    lines.append(f"{head:16s}{cells}")
  lines.append(
    f"{count} pictures; iou, miou, acc: pooled; *_each: averaged over them; "
    "border_colour is tuned on the masks it is scored on."
  )
  return "\n".join(lines)
