"""Evaluation on videos with a given first mask.

The tables compare the heads with baselines that need no learning: the first
mask, repeated or moved along the estimated flow. Unguided heads are also scored
by their object proposals (`unguided`), and generated backgrounds where the true
ones are known (`plates`). The result's folder gets palette PNGs per head in the
DAVIS submission layout, the official toolkit's two CSV files per head,
`scores.json`, an animated overlay per sequence, and, for backgrounds,
`plates.json` and a sheet per sequence.
"""

import concurrent.futures
import json
import queue
from typing import Any

import jax
import numpy as np
import rich.progress
from absl import logging

from foregan_jax import game, storage
from foregan_jax.data import sources
from foregan_jax.evaluators import (
  baselines,
  heads,
  label_maps,
  plates,
  thresholds,
  unguided,
  video_files,
)
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import pictures
from foregan_jax.metrics import davis, proposals, report
from foregan_jax.runtime import distributed

_PER_DEVICE = 2  # videos at a time: one is scored while the other one runs
_NUM_CLIPS = 2  # in the samples during training

# By head, video and object.
Scores = dict[str, dict[str, dict[int, dict[str, Any]]]]


class VideoEvaluator:
  """Runs a system's heads and the baselines on whole videos.

  It keeps its compiled programs, so repeated evaluations compile once.
  """

  def __init__(
    self,
    system,
    config,
    workdir: storage.Path,
    *,
    threshold: float | None = label_maps.THRESHOLD,
    side: int = 0,
  ):
    """Open the data and prepare the programs.

    Args:
      system: a `tasks.VideoSystem`.
      config: of the run.
      workdir: of the run.
      threshold: of the heads' soft masks, see `label_maps.cut`; None also
        measures J at the thresholds of the thesis.
      side: shorter side at which videos are segmented; see `heads.Runner`.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    self._clip_len = config.data.clip_len
    self._split = config.data.eval_split
    self._limit = config.eval.limit
    self._sweeps = threshold is None
    self._threshold = threshold or label_maps.THRESHOLD
    self._clips: list[dict[str, Any]] = []
    size = (config.data.height, config.data.width)
    self._runner = heads.Runner(system, size, self._clip_len, side=side)
    self._finder = unguided.Finder(system, chunk=self._clip_len)
    self._baselines = baselines.Baselines()

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`."""
    limit = 0 if whole else self._limit
    rows, errors, sweep = self.run(
      nets, folder=folder, limit=limit, write=write
    )
    if distributed.is_first_process():
      video_files.write_scores(folder, rows, split=self._split)
      for name, table in (("plates", errors), ("thresholds", sweep)):
        if table:
          storage.write(folder / f"{name}.json", json.dumps(table))
    numbers = {
      f"{head.name}/{name}": value
      for head in rows
      for name, value in report.scalars(
        head.scores, clip_len=self._clip_len
      ).items()
    }
    numbers |= plates.scalars(errors)

    def show(title: str) -> None:
      report.show(rows, clip_len=self._clip_len, title=title)
      plates.show(errors)
      thresholds.show(sweep)

    # The best checkpoint is always chosen on the same videos.
    names = self._source.names[: self._limit or None]
    main = next(head for head in rows if head.name == self._system.heads[0])
    chosen = {n: main.scores[n] for n in names if n in main.scores}
    chosen = chosen or main.scores  # if none of these has annotations
    return result_lib.Result(
      scalars=numbers,
      best=report.global_results(chosen)["J-Mean"],
      show=show,
      scores=main.scores,
    )

  def run(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    limit: int,
    write: bool,
  ) -> tuple[list[report.Head], plates.Errors, thresholds.Sweep]:
    """Evaluate all sequences; processes and their devices share them.

    Args:
      nets: on the host.
      folder: folder of all results.
      limit: at most so many sequences; 0 = all.
      write: also write masks and overlays.

    Returns:
      The baselines and the heads with their scores; the errors of backgrounds,
      empty if none is generated or known; J by threshold, empty if it was not
      asked for.
    """
    names = self._source.names[: limit or None]
    share = names[jax.process_index() :: jax.process_count()]
    quiet = not distributed.is_first_process()
    free: queue.Queue = queue.Queue()
    copies = [(d, jax.device_put(nets, d)) for d in jax.local_devices()]
    for copy in copies * _PER_DEVICE:
      free.put(copy)

    def work(name: str) -> tuple[dict, dict, dict]:
      device, local_nets = free.get()
      try:
        with jax.default_device(device):
          return self._evaluate(local_nets, name, folder, write)
      finally:
        free.put((device, local_nets))

    tables: tuple[dict, dict, dict] = ({}, {}, {})
    with concurrent.futures.ThreadPoolExecutor(free.qsize()) as pool:
      results = rich.progress.track(
        pool.map(work, share), "evaluating", len(share), disable=quiet
      )
      for name, parts in zip(share, results, strict=True):
        for table, part in zip(tables, parts, strict=True):
          for row, values in part.items():
            table.setdefault(row, {})[name] = values
    scores, errors, sweep = video_files.gather(names, tables)
    if not scores:
      raise ValueError(
        "no video has an annotation between its first and last frame"
      )
    found = self._finder.rows
    rows = [
      report.Head(
        row,
        _with_numbers(scores[row]),
        learned=row not in baselines.ROWS,
        uses_ground_truth=row in found,
      )
      for row in (*baselines.ROWS, *self._system.heads, *found)
    ]
    return rows, errors, sweep

  def _evaluate(
    self, nets: game.Nets, name: str, folder: storage.Path, write: bool
  ) -> tuple[dict, dict, dict]:
    """Return scores, errors of backgrounds, and J by threshold of a video."""
    sequence = self._source.sequence(name, fit=self._runner.fit)
    if len(sequence["frames"]) < 2:
      logging.warning("%s has one frame only: not scored", name)
      return {}, {}, {}
    soft, drawn = self._runner.run(nets, sequence)
    labels = {
      head: label_maps.make(sequence, masks, self._threshold)
      for head, masks in soft.items()
    }
    labels |= self._finder.labels(nets, sequence)
    if write:
      video_files.write_sequence(folder, sequence, labels)
    errors, sweep = {}, {}
    known = plates.read(sequence) if drawn else None
    if known is not None:
      sheet = folder / "plates" / f"{name}.png" if write else None
      errors = plates.measure(known, drawn, sheet)
    if not _is_annotated(sequence):
      return {}, errors, {}
    score = lambda labels: self._scores(sequence, labels)
    scores = self._baselines.scores(
      sequence, score, folder.parent / "baselines"
    )
    if self._sweeps:
      sweep = {
        head: thresholds.measure(sequence, masks)
        for head, masks in soft.items()
      }
    return scores | score(labels), errors, sweep

  def prepare_samples(self) -> None:
    """See `evaluators.Evaluator`: the first clip of the first videos."""
    clips = []
    for name in self._source.names:
      clip = self._source.sequence(name, num_frames=self._clip_len)
      if len(clip["frames"]) == self._clip_len:  # videos may be shorter
        clips.append(clip)
      if len(clips) == _NUM_CLIPS:
        break
    if not clips:
      raise ValueError(
        f"no evaluation video has {self._clip_len} frames (data.clip_len)"
      )
    self._clips = clips

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return a sheet per clip: a row per frame, a column per layer or head."""
    nets = jax.device_put(nets, jax.local_devices()[0])
    sheets = {}
    for i, clip in enumerate(self._clips):
      video = clip["frames"]
      # All objects as one: the number of objects differs between videos.
      mask = clip["ref_mask"].max(-1, keepdims=True)
      # These programs are those of the evaluation: nothing new is compiled.
      carry = self._runner.begin(nets, video[None, 0], mask[None])
      made = self._runner.advance(
        nets, carry, video[None, 1:], clip["flow_fwd"][None]
      )
      _, heads, layers = jax.device_get(made)
      columns = {"video": video[1:]}
      if layers is not None:  # not every system generates layers
        columns |= {
          "composed": pictures.to_uint8(layers.frame[0]),
          "foreground": pictures.to_uint8(layers.fg[0]),
          "background": pictures.to_uint8(layers.bg[0]),
        }
      columns |= {
        h: pictures.mask_to_rgb(heads[h][0]) for h in self._system.heads
      }
      rows = list(zip(*columns.values(), strict=True))
      sheets[f"clip{i}"] = pictures.contact_sheet(rows, columns=list(columns))
    return sheets

  def _scores(self, sequence, labels) -> dict[str, dict[int, dict[str, Any]]]:
    """Return J and F of every object, by row."""
    objects = tuple(range(1, 1 + sequence["ref_mask"].shape[-1]))
    found = self._finder.rows
    return {
      row: (proposals if row in found else davis).score_sequence(
        predicted, sequence["labels"], objects=objects
      )
      for row, predicted in labels.items()
    }


def _is_annotated(sequence) -> bool:
  """Return whether a video has ground truth; warn if it has not."""
  annotated = any(truth is not None for truth in sequence["labels"][1:-1])
  if not annotated:
    logging.warning(
      "%s has no annotation between first and last frame: not scored",
      sequence["name"],
    )
  return annotated


def _with_numbers(videos: dict[str, dict[str, Any]]) -> dict:
  """Return scores with numbers of objects; JSON's keys are strings."""
  return {
    name: {int(k): values for k, values in objects.items()}
    for name, objects in videos.items()
  }
