"""Checkpoint -> masks, scores, pictures.

  python -m foregan_jax.evaluate --workdir=runs/davis

with `--step=all|best|latest|N` and `--data=PATH` for another DAVIS folder.

Every learned head stands beside what needs no learning: the first mask
repeated, and carried along the estimated flow. Written below
`<workdir>/eval/<benchmark>/step-<N>/`: palette PNGs per head in the DAVIS
submission layout, the official toolkit's two CSV files per head, `scores.json`
and an animated overlay per sequence.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import rich.progress
from absl import flags, logging

from foregan_jax import pictures, systems
from foregan_jax.data import sources
from foregan_jax.layers import carry as carry_lib
from foregan_jax.metrics import davis, report
from foregan_jax.runtime import checkpoints, cli, distributed, settings
from foregan_jax.runtime import mesh as mesh_lib

REPEAT = "repeat_first"
BASELINES = {
  "flow_warp": (carry_lib.by_backward_warp, "flow_bwd"),
  "flow_splat": (carry_lib.by_forward_splat, "flow_fwd"),
}
_OVERLAY_FPS = 8
_THRESHOLD = 0.5  # of a soft mask

Scores = dict[str, dict[str, dict[int, dict[str, Any]]]]  # head, sequence, ...


class VideoEvaluator:
  """Runs a system's heads and the baselines over whole videos.

  It keeps the compiled programs, so that evaluating often compiles once.
  """

  def __init__(self, system, source, *, clip_len: int):
    """Remembers what to run on what.

    Args:
      system: has `begin`, `advance` and `heads`.
      source: has `names` and `sequence(name)`.
      clip_len: T, which sets the horizons and the size of a chunk.
    """
    self._system = system
    self._source = source
    self._clip_len = clip_len
    self._begin = jax.jit(system.begin)
    self._advance = jax.jit(system.advance)
    self._baselines = {
      name: (jax.jit(carry), flow) for name, (carry, flow) in BASELINES.items()
    }

  def run(
    self,
    params: Mapping[str, Any],
    *,
    folder: pathlib.Path,
    limit: int,
    write: bool,
  ) -> list[report.Head]:
    """Evaluates all sequences; every process takes its share of them.

    Args:
      params: by net, on the host.
      folder: where everything is written.
      limit: only so many sequences; 0 = all.
      write: whether to write masks and overlays beside the scores.

    Returns:
      The baselines and the heads with their scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = self._source.names[: limit or None]
    params = jax.device_put(params, jax.local_devices()[0])
    scores: Scores = {}
    mine = names[jax.process_index() :: jax.process_count()]
    quiet = not distributed.is_first_process()
    for name in rich.progress.track(mine, "evaluating", disable=quiet):
      sequence = self._source.sequence(name)
      labels = self.labels(params, sequence)
      truth = sequence["labels"]
      if all(t is None for t in truth[1:-1]):
        logging.warning("%s has no annotated inner frame: not scored", name)
      else:
        for head, predicted in labels.items():
          score = davis.score_sequence(predicted, truth, objects=(1,))
          scores.setdefault(head, {})[name] = score
      if write:
        _write_sequence(folder, sequence, labels, self._system.heads)
    scores = _gather(folder, scores)
    if not scores:
      raise ValueError("no video to evaluate has an annotated inner frame")
    order_of = {name: i for i, name in enumerate(names)}
    scores = {
      head: dict(sorted(each.items(), key=lambda item: order_of[item[0]]))
      for head, each in scores.items()
    }
    order = [REPEAT, *BASELINES, *self._system.heads]
    return [
      report.Head(head, scores[head], learned=head in self._system.heads)
      for head in order
    ]

  def labels(self, params, sequence) -> dict[str, list[np.ndarray]]:
    """Returns native uint8 label maps of every frame, by head and baseline."""
    size = sequence["native_size"]
    first = (sequence["labels"][0] == 1).astype(np.uint8)
    frames = sequence["frames"]
    made = {REPEAT: [first] * len(frames)}
    soft = self._carried(sequence) | self._heads(params, sequence)
    for head, masks in soft.items():
      made[head] = [first] + [_to_native(mask, size) for mask in masks]
    return made

  def _carried(self, sequence) -> dict[str, np.ndarray]:
    mask = jnp.asarray(sequence["ref_mask"][None] / np.float32(255.0))
    return {
      name: np.asarray(carry(mask, _padded(sequence[flow])[None])[0])[
        : len(sequence[flow])
      ]
      for name, (carry, flow) in self._baselines.items()
    }

  def _heads(self, params, sequence) -> dict[str, np.ndarray]:
    """Runs the system in chunks of equal length, so it compiles once."""
    frames, flow = sequence["frames"], sequence["flow_fwd"]
    chunk = self._clip_len - 1
    carry = self._begin(params, frames[None, 0], sequence["ref_mask"][None])
    made = []
    for t in range(0, len(flow), chunk):
      part = lambda x, t=t: _fill(x[t : t + chunk], chunk)[None]
      carry, heads, _ = self._advance(
        params, carry, part(frames[1:]), part(flow)
      )
      made.append(jax.tree.map(lambda x: np.asarray(x[0]), heads))
    return {
      head: np.concatenate([m[head] for m in made])[: len(flow)]
      for head in self._system.heads
    }


def _fill(x: np.ndarray, length: int) -> np.ndarray:
  """Repeats the last entry until there are `length`."""
  missing = length - len(x)
  return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])


def _padded(flow: np.ndarray) -> np.ndarray:
  """Rounds a flow's length up, so that few lengths are compiled."""
  bucket = 16
  return _fill(flow, -(-len(flow) // bucket) * bucket)


def _to_native(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Scales a soft mask [h, w, 1] to the video's size and cuts it at 1/2."""
  soft = cv2.resize(
    mask[..., 0].astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR
  )
  return (soft > _THRESHOLD).astype(np.uint8)


def _write_sequence(folder, sequence, labels, heads) -> None:
  name = sequence["name"]
  for head in heads:
    for path, mask in zip(sequence["paths"], labels[head], strict=True):
      stem = pathlib.Path(path).stem
      pictures.save_labels(folder / head / name / f"{stem}.png", mask)
  height, width = sequence["native_size"]
  truth = [
    np.zeros((height, width), np.uint8) if t is None else np.where(t == 1, 1, 0)
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


def _gather(folder: pathlib.Path, scores: Scores) -> Scores:
  """Puts the processes' scores together, through the shared workdir."""
  path = lambda p: folder / f".scores-{p}.json"
  path(jax.process_index()).write_text(json.dumps(scores, default=_to_list))
  mesh_lib.barrier("scores are written")
  whole: Scores = {}
  for p in range(jax.process_count()):
    for head, sequences in json.loads(path(p).read_text()).items():
      whole.setdefault(head, {}).update(
        {
          name: {int(k): v for k, v in objects.items()}
          for name, objects in sequences.items()
        }
      )
  mesh_lib.barrier("scores are read")
  path(jax.process_index()).unlink()
  return whole


def _to_list(value):
  return value.tolist()


def folder(workdir: pathlib.Path, benchmark: str, step: int) -> pathlib.Path:
  """Returns where the results of one step on one benchmark lie."""
  return workdir / "eval" / benchmark / f"step-{step}"


def write(
  folder: pathlib.Path, heads: list[report.Head], *, split: str
) -> None:
  """Writes the toolkit's CSV files per head, and all scores as JSON."""
  for head in heads:
    report.write_csvs(folder / head.name, split, head.scores)
  text = json.dumps({h.name: h.scores for h in heads}, default=_to_list)
  (folder / "scores.json").write_text(text)


def scalars(heads: list[report.Head], *, clip_len: int) -> dict[str, float]:
  """Returns every score as `head/J_mean` and the like."""
  return {
    f"{head.name}/{name}": value
    for head in heads
    for name, value in report.scalars(head.scores, clip_len=clip_len).items()
  }


def show(workdir: pathlib.Path, config, step: int, heads) -> None:
  """Prints the table and says where the pictures are."""
  benchmark = sources.benchmark(config)
  title = f"{config.system} ({config.variant}) on {benchmark}, step {step}"
  report.show(heads, clip_len=config.data.clip_len, title=title)
  place = folder(workdir, benchmark, step)
  print(f"masks and overlays: {place}")
  print(f"layers while training: {workdir / 'samples'}")


def evaluate(
  workdir: str | pathlib.Path, *, step: str = "best", data: str = ""
) -> None:
  """Evaluates checkpoints of a run and prints a table of each.

  Args:
    workdir: of the run.
    step: `all`, `best`, `latest` or a number.
    data: another DAVIS folder to evaluate on; "" = the run's own.

  Raises:
    ValueError: if there is no such run, step or data.
  """
  workdir = pathlib.Path(workdir).absolute()
  config = settings.load(workdir / settings.FILE)
  if data:
    config.data.kind, config.data.root = "davis", data
    config.data.resolution = ""
  sources.prepare(config, workdir)
  system = systems.build(config)
  clip_len = config.data.clip_len
  evaluator = VideoEvaluator(
    system, sources.evaluation(config, workdir), clip_len=clip_len
  )
  nets = {net for nets in system.checkpoint_items.values() for net in nets}
  averaged = nets & set(config.ema_nets) if config.ema_decay else set()
  shapes = _param_shapes(system, config)
  directory = workdir / "checkpoints"
  for number in checkpoints.pick_steps(directory, step, best="J"):
    params = _load(directory, number, system, shapes, averaged)
    place = folder(workdir, sources.benchmark(config), number)
    heads = evaluator.run(
      params, folder=place, limit=0, write=config.eval.pictures
    )
    if distributed.is_first_process():
      write(place, heads, split=config.data.eval_split)
      show(workdir, config, number, heads)


def _param_shapes(system, config) -> dict[str, Any]:
  spec = system.batch_spec(config.batch_size)
  params, _ = jax.eval_shape(system.init, jax.random.key(0), spec)
  return params


def _load(directory, step: int, system, shapes, averaged) -> dict[str, Any]:
  """Loads the parameters to judge by: averaged where there are any."""
  wanted = {}
  for item, nets in system.checkpoint_items.items():
    wanted[item] = {"params": {net: shapes[net] for net in nets}}
    ema = {net: shapes[net] for net in nets if net in averaged}
    if ema:
      wanted[item]["ema"] = ema
  items = checkpoints.load_items(
    directory,
    step,
    wanted,
    unread=checkpoints.ALL_BUT_WEIGHTS,
  )
  params = {}
  for tree in items.values():
    params |= tree["params"] | tree.get("ema", {})
  return jax.device_get(params)


def main() -> None:
  """Evaluates what the flags name."""
  evaluate(_WORKDIR.value, step=_STEP.value, data=_DATA.value)


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
  _STEP = flags.DEFINE_string(
    "step", "best", "Which checkpoints: all, best, latest or a number."
  )
  _DATA = flags.DEFINE_string(
    "data", "", "Another DAVIS folder to evaluate on. Default: the run's own."
  )
  flags.mark_flag_as_required("workdir")
  cli.run(main)
