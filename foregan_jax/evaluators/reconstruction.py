"""Evaluation of animation: driving frames painted from a video's first frame.

The tables compare the heads with copies of the source frame and, in a whole
evaluation, of the nearest training frame. Where the data have masks, the masks
are compared with them; where they also have backgrounds, swapped backgrounds
with the true composite. The result's folder gets `scores.json`, a sheet of some
frames per video, and `swapped/`, the same with other backgrounds.
"""

import json
from collections.abc import Mapping

import jax
import numpy as np
import rich.progress
from absl import logging

from foregan_jax import game, storage
from foregan_jax.data import sources
from foregan_jax.evaluators import (
  image_scores,
  mask_overlaps,
  nearest_frames,
  swapped_backgrounds,
)
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import images as images_lib
from foregan_jax.media import paths, pictures, selection
from foregan_jax.runtime import distributed

_NUM_SHOWN = 8  # videos in the samples
_NUM_ROWS = 6  # frames in the sheet of a video
# The baselines.
_COPY, _NEAREST = "copy_source", "copy_nearest"
_NUM_TRAINED = 1024  # training frames for `_NEAREST`; 200 MB at 256 pixels
_SWAPPED = "swapped"  # folder of the sheets


class ReconstructionEvaluator:
  """Evaluates how well frames are painted from the first one of their video."""

  def __init__(self, system, config, workdir: storage.Path):
    """Open the data and compile the functions of the system.

    Args:
      system: a `tasks.AnimationSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    self._trained = lambda: sources.evaluation(
      config, workdir, config.data.train_split
    )
    self._limit = config.eval.limit
    self._kind = config.perceptual.kind
    self._reconstruct = jax.jit(system.reconstruct)
    self._animate = jax.jit(system.animate)
    self._scorer = image_scores.Scorer(system)
    self._swaps = None
    if system.swaps_backgrounds:
      self._swaps = swapped_backgrounds.Swaps(system, self._scorer)

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`; every process evaluates all videos."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    first = distributed.is_first_process()
    names = self._source.names
    every = 1 if whole or not self._limit else -(-len(names) // self._limit)
    nearest = self._nearest() if whole else None
    place = self._place(len(names) - 1) if whole and len(names) > 1 else None
    by_video, swapped, overlaps = {}, {}, []
    for i in rich.progress.track(
      range(0, len(names), every), "reconstructing", disable=not first
    ):
      clip, name = self._source.clip(i), names[i]
      made = self._video(nets, clip)
      painted = self._painted(clip, made, nearest)
      by_video[name] = self._scorer(nets, painted, clip[1:])
      if first and write:
        path = paths.below(folder, f"{name}.png")
        pictures.save_png(path, self._sheet(clip, made))
      if not whole:
        continue
      truth = self._source.truth(i)
      overlaps.append(self._overlaps(nets, clip, made, truth))
      if self._swaps and place:
        path = paths.below(folder, f"{_SWAPPED}/{name}.png")
        actor = {"actor": made[self._system.heads[0]], "mask": made["mask"]}
        scores = self._swaps.score(
          nets, clip=clip, made=actor, truth=truth, place=place,
          path=path if first and write else None,
        )  # fmt: skip
        swapped |= {name: scores} if scores else {}
        # The next video stands in front of this one.
        place = swapped_backgrounds.find_place(clip, truth) or place
    means = {
      "mean": image_scores.mean(list(by_video.values())),
      "swapped": image_scores.mean(list(swapped.values())),
      "masks": mask_overlaps.mean(overlaps),
    }
    if first:
      videos = {
        name: image_scores.mean([scores]) for name, scores in by_video.items()
      }
      content = {"perceptual": self._kind, **means, "videos": videos}
      storage.write(folder / "scores.json", json.dumps(content))
    return self._result(means, len(by_video))

  def _result(self, means: Mapping, count: int) -> result_lib.Result:
    """Return the scalars, the best metric and the tables."""
    best = self._system.best
    scalars = {
      f"{name}/{metric}": value
      for table in (means["mean"], means["swapped"])
      for name, row in table.items()
      for metric, value in row.items()
    }
    scalars |= {f"mask/{name}": value for name, value in means["masks"].items()}
    return result_lib.Result(
      scalars=scalars,
      best=means["mean"][self._system.heads[0]][best.name] if best else None,
      show=lambda title: print(self._plain(title, means, count)),
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
    made = jax.device_get(self._reconstruct(nets, source, driving))
    others = np.roll(driving, 1, axis=0)
    animated = jax.device_get(self._animate(nets, source, others))
    return {
      "reconstructed": _contact_sheet(source, driving, made),
      "animated": _contact_sheet(source, others, animated),
    }

  def _video(self, nets, clip: np.ndarray) -> dict[str, np.ndarray]:
    """Return what was made of all frames but the first."""
    return self._run(self._reconstruct, nets, clip[0], clip[1:])

  def _overlaps(self, nets, clip, made, truth) -> dict[str, list[float]]:
    """Return the overlaps of masks; those of r for some frames only."""
    frames = clip[1:]
    chosen = selection.evenly_spaced(len(frames), image_scores.BATCH)
    driving = frames[chosen]
    animated = self._run(self._animate, nets, clip[0], driving)
    return mask_overlaps.measure(
      made["mask"],
      animated["mask"],
      animated["mask_raw"],
      truth.masks,
      self._system.threshold,
    )

  def _run(self, program, nets, source, driving) -> dict[str, np.ndarray]:
    """Run a program of the system on frames of one video."""
    results = []
    repeated = np.broadcast_to(source, (image_scores.BATCH, *source.shape))
    for part in image_scores.batches(len(driving)):
      result = program(nets, repeated, image_scores.fill(driving[part]))
      results.append(jax.device_get(result))
    whole = jax.tree.map(lambda *x: np.concatenate(x), *results)
    return jax.tree.map(lambda x: x[: len(driving)], whole)

  def _painted(self, clip, made, nearest) -> dict[str, np.ndarray]:
    """Return what is scored, by name: the heads and the baselines."""
    painted = {head: made[head] for head in self._system.heads}
    painted[_COPY] = np.broadcast_to(clip[:1], clip[1:].shape)
    if nearest is not None:
      painted[_NEAREST] = nearest(clip[1:])
    return painted

  def _nearest(self) -> nearest_frames.NearestFrames | None:
    """Return copies of training frames; None if the data have none."""
    try:
      frames = self._trained().some_frames(_NUM_TRAINED)
    except images_lib.DataError as error:
      logging.warning("no row %s: %s", _NEAREST, error)
      return None
    return nearest_frames.NearestFrames(frames)

  def _place(self, index: int) -> swapped_backgrounds.Place | None:
    """Return a background of a video, if it is known."""
    if self._swaps is None:
      return None
    clip, truth = self._source.clip(index), self._source.truth(index)
    return swapped_backgrounds.find_place(clip, truth)

  def _sheet(self, clip: np.ndarray, made: Mapping) -> np.ndarray:
    """Return a sheet of a few frames of a video, evenly spaced."""
    times = selection.evenly_spaced(len(clip) - 1, _NUM_ROWS)
    some = {name: x[times] for name, x in made.items()}
    source = clip[[0] * len(times)]
    return _contact_sheet(source, clip[1:][times], some)

  def _plain(self, title: str, means: Mapping, count: int) -> str:
    lines = [title, *image_scores.lines("head", means["mean"])]
    if means["swapped"]:
      lines += ["", *image_scores.lines("background", means["swapped"])]
      lines.append(swapped_backgrounds.LEGEND)
    lines += [mask_overlaps.line(means["masks"])] * bool(means["masks"])
    lines.append(
      f"{count} videos, all frames painted from the first one; "
      f"{image_scores.footnote(self._kind)}"
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
