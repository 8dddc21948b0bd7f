"""Checkpoint -> masks, scores, pictures.

  python -m foregan_jax.evaluate --workdir=runs/davis

with `--step=all|best|latest|N` and `--data=PATH` for other data of the same
layout. Everything is written below `<workdir>/eval/<benchmark>/step-<N>/`.
"""

import pathlib

from absl import flags

from foregan_jax import evaluators, runs
from foregan_jax.data import sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.runtime import cli, distributed


def evaluate(
  workdir: str | pathlib.Path,
  *,
  step: str = "best",
  data: str = "",
  inception: str = "",
) -> None:
  """Evaluates checkpoints of a run and prints a table of each.

  Args:
    workdir: of the run.
    step: `all`, `best`, `latest` or a number.
    data: another folder to evaluate on; "" = the run's own.
    inception: weights of the Inception network, for FID and KID of systems
      that draw pictures; "" = as the run was configured.

  Raises:
    ValueError: if there is no such run, step or data.
  """
  run = runs.Run(workdir)
  if data:
    sources.point_at(run.config, data)
  if inception:
    if "inception" not in run.config.eval:
      raise ValueError(f"{run.config.system} draws no single pictures: no FID")
    run.config.eval.inception = inception
  sources.prepare(run.config, run.workdir)
  evaluator = evaluators.build(run.system, run.config, run.workdir)
  benchmark = sources.benchmark(run.config)
  for number in run.steps(step):
    result = evaluator.assess(
      run.params(number),
      folder=result_lib.folder(run.workdir, benchmark, number),
      whole=True,
      write=run.config.eval.pictures,
    )
    if distributed.is_first_process():
      show(run.workdir, run.config, number, result)


def show(workdir: pathlib.Path, config, step: int, result) -> None:
  """Prints the table and says where the pictures are."""
  benchmark = sources.benchmark(config)
  name = f"{config.system} ({config.variant})"
  result.show(f"{name} on {benchmark}, step {step}")
  place = result_lib.folder(workdir, benchmark, step)
  print(f"masks and overlays: {place}")
  print(f"layers while training: {workdir / 'samples'}")


def main() -> None:
  """Evaluates what the flags name."""
  evaluate(
    _WORKDIR.value,
    step=_STEP.value,
    data=_DATA.value,
    inception=_INCEPTION.value,
  )


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
  _STEP = flags.DEFINE_string(
    "step", "best", "Which checkpoints: all, best, latest or a number."
  )
  _DATA = flags.DEFINE_string(
    "data", "", "Other data of the same layout. Default: the run's own."
  )
  _INCEPTION = flags.DEFINE_string(
    "inception", "", "Weights of the Inception network, for FID and KID."
  )
  flags.mark_flag_as_required("workdir")
  cli.run(main)
