"""Evaluation on videos with a given first mask.

The tables compare the heads with baselines that need no learning: the first
mask, repeated or moved along the estimated flow. Unguided heads are also scored
by their object proposals (`unguided`), and generated backgrounds where the true
ones are known (`plates`). The result's folder gets palette PNGs per head in the
DAVIS submission layout, the official toolkit's two CSV files per head,
`scores.json`, an animated overlay per sequence, and, for backgrounds,
`plates.json` and a sheet per sequence.
"""

import json
import pathlib
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import rich.progress
from absl import logging

from foregan_jax import game
from foregan_jax.data import sources
from foregan_jax.evaluators import plates, unguided
from foregan_jax.evaluators import result as result_lib
from foregan_jax.layers import carry as carry_lib
from foregan_jax.media import images, pictures
from foregan_jax.metrics import davis, proposals, report
from foregan_jax.runtime import distributed
from foregan_jax.runtime import mesh as mesh_lib

REPEAT = "repeat_first"
BASELINES = {
  "flow_warp": (carry_lib.by_backward_warp, "flow_bwd"),
  "flow_splat": (carry_lib.by_forward_splat, "flow_fwd"),
}
_NUM_CLIPS = 2  # in the samples during training
_OVERLAY_FPS = 8

Scores = dict[str, dict[str, dict[int, dict[str, Any]]]]  # head, sequence, ...


class VideoEvaluator:
  """Runs a system's heads and the baselines on whole videos.

  It keeps its compiled programs, so repeated evaluations compile once.
  """

  def __init__(self, system, config, workdir: pathlib.Path):
    """Open the data and prepare the programs.

    Args:
      system: a `tasks.VideoSystem`.
      config: of the run.
      workdir: of the run.
    """
    self._system = system
    self._source = sources.evaluation(config, workdir)
    self._clip_len = config.data.clip_len
    self._split = config.data.eval_split
    self._limit = config.eval.limit
    self._clips: list[dict[str, Any]] = []
    self._begin = jax.jit(system.begin)
    self._advance = jax.jit(system.advance)
    self._finder = unguided.Finder(system, chunk=self._clip_len)
    self._baselines = {
      name: (jax.jit(carry), flow) for name, (carry, flow) in BASELINES.items()
    }

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: pathlib.Path,
    whole: bool,
    write: bool,
  ) -> result_lib.Result:
    """See `evaluators.Evaluator`."""
    limit = 0 if whole else self._limit
    heads, errors = self.run(nets, folder=folder, limit=limit, write=write)
    if distributed.is_first_process():
      _write_scores(folder, heads, split=self._split)
      if errors:
        (folder / "plates.json").write_text(json.dumps(errors))
    numbers = {
      f"{head.name}/{name}": value
      for head in heads
      for name, value in report.scalars(
        head.scores, clip_len=self._clip_len
      ).items()
    }
    numbers |= plates.scalars(errors)

    def show(title: str) -> None:
      report.show(heads, clip_len=self._clip_len, title=title)
      plates.show(errors)

    # The best checkpoint is always chosen on the same videos.
    names = self._source.names[: self._limit or None]
    main = next(head for head in heads if head.name == self._system.heads[0])
    chosen = {n: main.scores[n] for n in names if n in main.scores}
    return result_lib.Result(
      scalars=numbers,
      best=report.global_results(chosen)["J-Mean"],
      show=show,
    )

  def run(
    self,
    nets: game.Nets,
    *,
    folder: pathlib.Path,
    limit: int,
    write: bool,
  ) -> tuple[list[report.Head], plates.Errors]:
    """Evaluate all sequences; the processes share them.

    Args:
      nets: on the host.
      folder: folder of all results.
      limit: at most so many sequences; 0 = all.
      write: also write masks and overlays.

    Returns:
      The baselines and the heads with their scores, and the errors of
      backgrounds; these are empty if none is generated or known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = self._source.names[: limit or None]
    nets = jax.device_put(nets, jax.local_devices()[0])
    scores: Scores = {}
    errors: dict[str, dict[str, float]] = {}
    share = names[jax.process_index() :: jax.process_count()]
    quiet = not distributed.is_first_process()
    for name in rich.progress.track(share, "evaluating", disable=quiet):
      sequence = self._source.sequence(name)
      if len(sequence["frames"]) < 2:
        logging.warning("%s has one frame only: not scored", name)
        continue
      soft, drawn = self._heads(nets, sequence)
      labels = self._labels(sequence, soft)
      labels |= self._finder.labels(nets, sequence)
      for head, score in self._scores(sequence, labels).items():
        scores.setdefault(head, {})[name] = score
      if write:
        shown = (*self._system.heads, *self._finder.rows)
        _write_sequence(folder, sequence, labels, shown)
      known = plates.read(sequence) if drawn else None
      if known is not None:
        sheet = folder / "plates" / f"{name}.png" if write else None
        for row, error in plates.measure(known, drawn, sheet).items():
          errors.setdefault(row, {})[name] = error
    scores, errors = _gather(folder, names, scores, errors)
    if not scores:
      raise ValueError(
        "no video has an annotation between its first and last frame"
      )
    baselines = (REPEAT, *BASELINES)
    rows = (*baselines, *self._system.heads, *self._finder.rows)
    heads = [
      report.Head(
        head,
        scores[head],
        learned=head not in baselines,
        uses_ground_truth=head in self._finder.rows,
      )
      for head in rows
    ]
    return heads, errors

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
      carry = self._begin(nets, video[None, 0], mask[None])
      made = self._advance(nets, carry, video[None, 1:], clip["flow_fwd"][None])
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
    """Return J and F of every object, by row; empty without ground truth."""
    truth = sequence["labels"]
    if all(t is None for t in truth[1:-1]):
      logging.warning(
        "%s has no annotation between first and last frame: not scored",
        sequence["name"],
      )
      return {}
    objects = tuple(range(1, 1 + sequence["ref_mask"].shape[-1]))
    found = self._finder.rows
    return {
      head: (proposals if head in found else davis).score_sequence(
        predicted, truth, objects=objects
      )
      for head, predicted in labels.items()
    }

  def _labels(self, sequence, soft) -> dict[str, list[np.ndarray]]:
    """Return native uint8 label maps of every frame, by head and baseline."""
    size = sequence["native_size"]
    first = sequence["labels"][0]
    first = np.where(first == images.VOID, 0, first).astype(np.uint8)
    made = {REPEAT: [first] * len(sequence["frames"])}
    for head, masks in (self._flow_baselines(sequence) | soft).items():
      made[head] = [first] + [_to_labels(mask, size) for mask in masks]
    return made

  def _flow_baselines(self, sequence) -> dict[str, np.ndarray]:
    """Return the first mask moved along the flow, [T-1, h, w, n] by name."""
    mask = jnp.asarray(sequence["ref_mask"][None] / np.float32(255.0))
    return {
      name: np.asarray(carry(mask, _padded(sequence[flow])[None])[0])[
        : len(sequence[flow])
      ]
      for name, (carry, flow) in self._baselines.items()
    }

  def _heads(self, nets, sequence):
    """Run the system in chunks of equal length, so that it compiles once.

    Returns:
      Soft masks [T-1, h, w, n] by head, and the backgrounds of the same
      frames, uint8 [T-1, h, w, 3] by name; None without layers.
    """
    frames, flow = sequence["frames"], sequence["flow_fwd"]
    chunk = self._clip_len - 1
    carry = self._begin(nets, frames[None, 0], sequence["ref_mask"][None])
    made, drawn = [], []
    for t in range(0, len(flow), chunk):
      part = lambda x, t=t: _fill(x[t : t + chunk], chunk)[None]
      carry, heads, layers = self._advance(
        nets, carry, part(frames[1:]), part(flow)
      )
      made.append(jax.tree.map(lambda x: np.asarray(x[0]), heads))
      if layers is not None:  # not every system generates layers
        drawn.append(plates.of(layers))
    soft = {
      head: np.concatenate([m[head] for m in made])[: len(flow)]
      for head in self._system.heads
    }
    join = lambda *parts: np.concatenate(parts)[: len(flow)]
    return soft, jax.tree.map(join, *drawn) if drawn else None


def _fill(x: np.ndarray, length: int) -> np.ndarray:
  """Repeat the last entry up to `length` entries."""
  missing = length - len(x)
  return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])


def _padded(flow: np.ndarray) -> np.ndarray:
  """Pad a flow in time, so that few lengths are compiled."""
  bucket = 16
  return _fill(flow, -(-len(flow) // bucket) * bucket)


def _to_labels(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Scale soft masks [h, w, n] to the video's size and take the argmax.

  The background is 1 minus the sum, so a single object is cut at 1/2.
  """
  soft = cv2.resize(
    masks.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR
  ).reshape(*size, -1)
  background = 1.0 - soft.sum(-1, keepdims=True)
  return np.concatenate([background, soft], -1).argmax(-1).astype(np.uint8)


def _write_sequence(folder, sequence, labels, heads) -> None:
  name = sequence["name"]
  for head in heads:
    for path, mask in zip(sequence["paths"], labels[head], strict=True):
      stem = pathlib.Path(path).stem
      pictures.save_labels(folder / head / name / f"{stem}.png", mask)
  height, width = sequence["native_size"]
  truth = [
    np.zeros((height, width), np.uint8)
    if t is None
    else np.where(t == images.VOID, 0, t)
    for t in sequence["labels"]
  ]
  shown = {"truth": truth, REPEAT: labels[REPEAT]}
  shown |= {head: labels[head] for head in heads}
  sheets = []
  for t in range(len(truth)):
    frame = sequence["native_frame"](t)
    row = [
      pictures.overlay(frame, masks[t].astype(np.uint8))
      for masks in shown.values()
    ]
    sheets.append(pictures.contact_sheet([row], columns=list(shown)))
  path = folder / "overlays" / f"{name}.webp"
  pictures.animate(path, np.stack(sheets), fps=_OVERLAY_FPS)


def _gather(
  folder: pathlib.Path, names, scores: Scores, errors: plates.Errors
) -> tuple[Scores, plates.Errors]:
  """Gather the scores of all processes through the shared workdir.

  Returns:
    The scores and errors of all processes, videos in the order of `names`.
  """
  path = lambda p: folder / f".scores-{p}.json"
  text = json.dumps([scores, errors], default=_to_list)
  path(jax.process_index()).write_text(text)
  mesh_lib.barrier("scores are written")
  whole = {}, {}
  for p in range(jax.process_count()):
    for table, part in zip(whole, json.loads(path(p).read_text()), strict=True):
      for row, videos in part.items():
        table.setdefault(row, {}).update(videos)
  mesh_lib.barrier("scores are read")
  path(jax.process_index()).unlink()
  scores, errors = (
    {row: {n: by[n] for n in names if n in by} for row, by in table.items()}
    for table in whole
  )
  # JSON keys are strings; objects are numbers.
  for videos in scores.values():
    for name, objects in videos.items():
      videos[name] = {int(k): v for k, v in objects.items()}
  return scores, errors


def _to_list(value):
  return value.tolist()


def _write_scores(
  folder: pathlib.Path, heads: list[report.Head], *, split: str
) -> None:
  """Write the toolkit's CSV files per head, and all scores as JSON."""
  for head in heads:
    report.write_csvs(folder / head.name, split, head.scores)
  text = json.dumps({h.name: h.scores for h in heads}, default=_to_list)
  (folder / "scores.json").write_text(text)
