"""Evaluation on pictures of one object: scores, and sheets of samples.

The tables compare the segmenter with baselines that need no learning. The
result's folder gets `scores.json`, and a mask and an overlay per picture.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import rich.progress

from foregan_jax import game, storage
from foregan_jax.data import sources
from foregan_jax.evaluators import realism
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import images as images_lib
from foregan_jax.media import paths, pictures
from foregan_jax.metrics import clusters, simple_masks, stills
from foregan_jax.runtime import distributed, platform

# The batch norms of critics and generators use batch statistics: the batch must
# not be small.
_BATCH = 64
_TUNED_ON = 200  # at most so many training pictures for the border threshold
_NUM_SHOWN = 12
_THRESHOLD = 0.5  # of a soft mask
_COLUMNS = ("acc", "iou", "miou", "iou_each", "dice_each")


class StillEvaluator:
  """Evaluates a system's segmenter on pictures with masks."""

  def __init__(self, system, config, workdir: storage.Path):
    """Open the data and compile the functions of the system.

    Args:
      system: a `tasks.StillSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    try:
      split = config.data.train_split
      self._training = sources.evaluation(config, workdir, split)
    except images_lib.DataError:
      self._training = None  # other data than those of the run may lack it
    self._limit = config.eval.limit
    self._realism = None
    if config.eval.inception:
      self._realism = realism.Realism(
        config.eval.inception, config.eval.num_drawn
      )
    self._predict = jax.jit(system.predict)
    self._cluster = jax.jit(system.cluster)
    self._sample = jax.jit(lambda *args: system.sample(*args, _BATCH))

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`; every process evaluates all pictures."""
    images, truth, names, classes = _annotated(
      self._source, 0 if whole else self._limit
    )
    if not truth:
      raise ValueError("no picture of the evaluation split has a mask")
    predicted = {
      head: list(map(f, images)) for head, f in self._baselines.items()
    }
    nets = jax.device_put(nets, jax.local_devices()[0])
    predicted |= self._heads(nets, images)
    table = {head: stills.scores(p, truth) for head, p in predicted.items()}
    added = {"codes": self._agreement(nets, images, classes)}
    if whole and self._realism:
      added["drawn"] = self._realism.scores(
        self._system, nets, self._training or self._source
      )
    best = self._system.best
    first = distributed.is_first_process()
    if first:
      storage.write(folder / "scores.json", json.dumps(table | added))
    if first and write:
      _write(folder, names, images, truth, predicted[self._system.heads[0]])
    return result_lib.Result(
      scalars={
        f"{head}/{name}": value
        for head, row in {**table, **added}.items()
        for name, value in row.items()
      },
      best=table[self._system.heads[0]][best.name] if best else None,
      show=lambda title: print(_plain(title, table, added, len(truth))),
    )

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`."""
    shown = range(min(_NUM_SHOWN, len(self._source)))
    self._shown = np.stack([self._source.picture(i) for i in shown])

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return generated pictures with their layers, and segmented real ones."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    made, _ = jax.device_get(self._sample(nets, platform.key(0)))
    drawn = {
      "generated": pictures.to_uint8(made.frame),
      "foreground": pictures.to_uint8(made.fg),
      "background": pictures.to_uint8(made.bg),
      "mask": pictures.mask_to_rgb(made.mask),
    }
    heads = jax.device_get(self._predict(nets, {"image": self._shown}))
    real = {"real": self._shown}
    real |= {name: pictures.mask_to_rgb(mask) for name, mask in heads.items()}
    return {"drawn": _sheet(drawn), "real": _sheet(real)}

  @functools.cached_property
  def _baselines(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Baselines; only the threshold of `border_colour` uses ground truth."""
    images, truth = [], []
    if self._training:
      images, truth, *_ = _annotated(self._training, _TUNED_ON)
    baselines: dict[str, Callable[[np.ndarray], np.ndarray]] = {
      "everything": simple_masks.everything,
      "disc": simple_masks.disc,
      "otsu": simple_masks.otsu,
    }
    if truth:
      cut = simple_masks.tune_border_cut(images, truth)
      baselines["border_colour"] = lambda x: (
        simple_masks.border_distance(x) > cut
      )
    return baselines

  def _heads(self, nets, images) -> dict[str, list[np.ndarray]]:
    soft = _in_batches(functools.partial(self._predict, nets), images)
    return {
      head: list(soft[head][..., 0] > _THRESHOLD) for head in self._system.heads
    }

  def _agreement(self, nets, images, classes) -> dict[str, float]:
    """Return the agreement of codes of real pictures with their classes."""
    if len(set(classes)) < 2:
      return {}
    codes = _in_batches(functools.partial(self._cluster, nets), images)
    return clusters.nmi(codes.tolist(), classes)


def _in_batches(compute: Callable, images: Sequence[np.ndarray]):
  """Process all pictures with one compiled program."""
  made = []
  for start in range(0, len(images), _BATCH):
    part = np.stack(images[start : start + _BATCH])
    filled = np.resize(part, (_BATCH, *part.shape[1:]))
    made.append(jax.device_get(compute({"image": filled})))
  joined = jax.tree.map(lambda *x: np.concatenate(x), *made)
  return jax.tree.map(lambda x: x[: len(images)], joined)


def _annotated(source, limit: int):
  """Return pictures with masks, their masks, names and classes.

  Args:
    source: of the pictures.
    limit: at most so many pictures, evenly spaced; 0: all.
  """
  images, truth, names, classes = [], [], [], []
  every = -(-len(source) // limit) if limit else 1
  quiet = not distributed.is_first_process()
  for i in rich.progress.track(
    range(0, len(source), every), "reading", disable=quiet
  ):
    mask = source.mask(i)
    if mask is not None:
      images.append(source.picture(i))
      truth.append(mask)
      names.append(source.names[i])
      classes.append(source.class_name(i))
  return images, truth, names, classes


def _sheet(columns: Mapping[str, np.ndarray]) -> np.ndarray:
  rows = [
    [pictures.enlarge(picture) for picture in row]
    for row in zip(*(c[:_NUM_SHOWN] for c in columns.values()), strict=True)
  ]
  return pictures.contact_sheet(rows, columns=list(columns))


def _write(folder, names, images, truth, predicted) -> None:
  for name, image, true, mask in zip(
    names, images, truth, predicted, strict=True
  ):
    labels = mask.astype(np.uint8)
    place = paths.below(folder / "masks", f"{name}.png")
    pictures.save_labels(place, labels)
    row = [
      image,
      *(pictures.overlay(image, m.astype(np.uint8)) for m in (true, labels)),
    ]
    sheet = pictures.contact_sheet([row], columns=("picture", "truth", "mask"))
    pictures.save_png(folder / "overlays" / f"{name}.png", sheet)


def _plain(
  title: str, table: Mapping[str, Mapping], added: Mapping, count: int
) -> str:
  """Format the scores; IoU pooled and averaged over pictures."""
  lines = [title, f"{'head':16s}" + "".join(f"{c:>11s}" for c in _COLUMNS)]
  for head, row in table.items():
    cells = "".join(f"{row[c]:11.3f}" for c in _COLUMNS)
    lines.append(f"{head:16s}{cells}")
  lines.append(
    f"{count} pictures; iou, miou, acc: pooled; *_each: averaged over them; "
    "border_colour is tuned on masks of train, which no head uses."
  )
  if added["codes"]:
    lines.append(
      "codes against classes: NMI {nmi_max:.3f} (by the larger entropy), "
      "{nmi_mean:.3f} (by their mean)".format(**added["codes"])
    )
  if "drawn" in added:
    lines.append(
      "generated against real pictures: FID {fid:.2f}, KID {kid:.4f} "
      "(standard deviation over subsets {kid_std:.4f})".format(**added["drawn"])
    )
  else:
    lines.append(realism.NOT_MEASURED)
  return "\n".join(lines)
