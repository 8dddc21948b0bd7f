"""Checkpoint -> masks, scores, pictures.

  python -m foregan_jax.evaluate --workdir=runs/davis

with `--step=all|best|latest|N` and `--data=PATH` for other data of the same
layout. Everything is written below `<workdir>/eval/<benchmark>/step-<N>/`.
"""

import pathlib
from typing import Any

import jax
from absl import flags

from foregan_jax import evaluators, systems
from foregan_jax.data import sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.runtime import checkpoints, cli, distributed, settings


def evaluate(
  workdir: str | pathlib.Path, *, step: str = "best", data: str = ""
) -> None:
  """Evaluates checkpoints of a run and prints a table of each.

  Args:
    workdir: of the run.
    step: `all`, `best`, `latest` or a number.
    data: another folder to evaluate on; "" = the run's own.

  Raises:
    ValueError: if there is no such run, step or data.
  """
  workdir = pathlib.Path(workdir).absolute()
  config = settings.load(workdir / settings.FILE)
  if data:
    sources.point_at(config, data)
  sources.prepare(config, workdir)
  system = systems.build(config)
  evaluator = evaluators.build(system, config, workdir)
  nets = {net for nets in system.checkpoint_items.values() for net in nets}
  averaged = nets & set(config.ema_nets) if config.ema_decay else set()
  shapes = _param_shapes(system, config)
  directory = workdir / "checkpoints"
  for number in checkpoints.pick_steps(directory, step, best="J"):
    params = _load(directory, number, system, shapes, averaged)
    result = evaluator.assess(
      params,
      folder=result_lib.folder(workdir, sources.benchmark(config), number),
      whole=True,
      write=config.eval.pictures,
    )
    if distributed.is_first_process():
      show(workdir, config, number, result)


def show(workdir: pathlib.Path, config, step: int, result) -> None:
  """Prints the table and says where the pictures are."""
  benchmark = sources.benchmark(config)
  name = f"{config.system} ({config.variant})"
  result.show(f"{name} on {benchmark}, step {step}")
  place = result_lib.folder(workdir, benchmark, step)
  print(f"masks and overlays: {place}")
  print(f"layers while training: {workdir / 'samples'}")


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
    "data", "", "Other data of the same layout. Default: the run's own."
  )
  flags.mark_flag_as_required("workdir")
  cli.run(main)
