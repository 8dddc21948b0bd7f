"""Evaluation of animation: driving frames painted from a video's first frame.

The tables compare the heads with a copy of the source frame. The result's
folder gets `scores.json`, and a sheet of some frames per video.
"""

import json
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import rich.progress

from foregan_jax import game
from foregan_jax.data import sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import images as images_lib
from foregan_jax.media import paths, pictures
from foregan_jax.runtime import distributed

_BATCH = 8  # frames per call
_NUM_SHOWN = 8  # videos in the samples
_NUM_ROWS = 6  # frames in the sheet of a video
_COPY = "copy_source"  # the baseline
_WHITE = 255.0
_METRICS = ("l1", "perceptual")


class ReconstructionEvaluator:
  """Evaluates how well frames are painted from the first one of their video."""

  def __init__(self, system, config, workdir: pathlib.Path):
    """Open the data and compile the functions of the system.

    Args:
      system: a `tasks.AnimationSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    self._limit = config.eval.limit
    self._kind = config.perceptual.kind
    self._reconstruct = jax.jit(self._score)
    self._animate = jax.jit(system.animate)

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: pathlib.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`; every process evaluates all videos."""
    folder.mkdir(parents=True, exist_ok=True)
    nets = jax.device_put(nets, jax.local_devices()[0])
    first = distributed.is_first_process()
    count = len(self._source.names)
    every = 1 if whole or not self._limit else -(-count // self._limit)
    chosen = range(0, count, every)
    by_video = {}
    for i in rich.progress.track(chosen, "reconstructing", disable=not first):
      clip = self._source.clip(i)
      scores, made = self._video(nets, clip)
      name = self._source.names[i]
      by_video[name] = scores
      if first and write:
        path = paths.below(folder, f"{name}.png")
        pictures.save_png(path, self._sheet(clip, made))
    # The mean over all frames, as published: long videos weigh more.
    table = {
      head: {
        metric: float(
          np.concatenate([v[head][metric] for v in by_video.values()]).mean()
        )
        for metric in _METRICS
      }
      for head in (*self._system.heads, _COPY)
    }
    if first:
      videos = {
        name: {
          head: {m: float(x.mean()) for m, x in row.items()}
          for head, row in scores.items()
        }
        for name, scores in by_video.items()
      }
      content = {"perceptual": self._kind, "mean": table, "videos": videos}
      (folder / "scores.json").write_text(json.dumps(content))
    best = self._system.best
    return result_lib.Result(
      scalars={
        f"{head}/{metric}": value
        for head, row in table.items()
        for metric, value in row.items()
      },
      best=table[self._system.heads[0]][best.name] if best else None,
      show=lambda title: print(self._plain(title, table, len(by_video))),
    )

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`."""
    shown = range(min(_NUM_SHOWN, len(self._source.names)))
    clips = [self._source.clip(i) for i in shown]
    self._shown = (
      np.stack([clip[0] for clip in clips]),
      np.stack([clip[-1] for clip in clips]),
    )

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return last frames painted from first ones, and animated other videos."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    source, driving = self._shown
    made = jax.device_get(self._reconstruct(nets, source, driving)[1])
    others = np.roll(driving, 1, axis=0)
    animated = jax.device_get(self._animate(nets, source, others))
    return {
      "reconstructed": _contact_sheet(source, driving, made),
      "animated": _contact_sheet(source, others, animated),
    }

  def _score(self, nets, source, driving):
    """Return the scores of each frame, and what was made of it."""
    made = self._system.reconstruct(nets, source, driving)
    truth = driving.astype(jnp.float32) / _WHITE
    painted = {head: made[head] for head in self._system.heads}
    painted[_COPY] = source.astype(jnp.float32) / _WHITE
    scores = {
      head: {
        "l1": jnp.abs(image - truth).mean((1, 2, 3)),
        "perceptual": self._system.compare(nets, image, truth),
      }
      for head, image in painted.items()
    }
    return scores, made

  def _video(self, nets, clip: np.ndarray):
    """Return the scores of all frames but the first, and what was made."""
    results = []
    driving = clip[1:]
    for start in range(0, len(driving), _BATCH):
      part = driving[start : start + _BATCH]
      # One compiled program for all parts.
      filled = np.resize(part, (_BATCH, *part.shape[1:]))
      source = np.broadcast_to(clip[:1], filled.shape)
      result = jax.device_get(self._reconstruct(nets, source, filled))
      results.append(result)
    whole = jax.tree.map(lambda *x: np.concatenate(x), *results)
    return jax.tree.map(lambda x: x[: len(driving)], whole)

  def _sheet(self, clip: np.ndarray, made: Mapping) -> np.ndarray:
    """Return a sheet of a few frames of a video, evenly spaced."""
    times = np.linspace(0, len(clip) - 2, _NUM_ROWS).round().astype(int)
    times = np.unique(times)
    some = {name: x[times] for name, x in made.items()}
    source = clip[[0] * len(times)]
    return _contact_sheet(source, clip[1:][times], some)

  def _plain(self, title: str, table: Mapping, count: int) -> str:
    lines = [title, f"{'head':16s}" + "".join(f"{m:>12s}" for m in _METRICS)]
    for head, row in table.items():
      cells = "".join(f"{row[metric]:12.4f}" for metric in _METRICS)
      lines.append(f"{head:16s}{cells}")
    lines.append(
      f"{count} videos, all frames painted from the first one; l1: of images "
      f"in [0, 1]; perceptual: with {self._kind} features, other features give "
      "other values"
    )
    return "\n".join(lines)


def _contact_sheet(source, driving, made: Mapping) -> np.ndarray:
  """Return a sheet with a row per sample."""
  size = source.shape[1:3]
  columns = {"source": source, "driving": driving}
  for name, value in made.items():
    picture = pictures.mask_to_rgb(value) if "mask" in name else _rgb(value)
    columns[name] = [images_lib.resize_image(x, size) for x in picture]
  rows = [
    [pictures.enlarge(picture) for picture in row]
    for row in zip(*columns.values(), strict=True)
  ]
  return pictures.contact_sheet(rows, columns=list(columns))


def _rgb(image: np.ndarray) -> np.ndarray:
  """Convert images in [0, 1] to uint8."""
  return pictures.to_uint8(2.0 * image - 1.0)
