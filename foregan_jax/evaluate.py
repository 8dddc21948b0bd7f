"""Evaluate checkpoints: masks, scores, pictures.

  python -m foregan_jax.evaluate --workdir=runs/davis

`--step=all|best|latest|N` chooses the checkpoints, `--data=PATH` other data of
the same layout. Results are written to `<workdir>/eval/<benchmark>/step-<N>/`.
"""

import pathlib
from collections.abc import Iterator

from absl import flags

from foregan_jax import evaluators, game, runs, tasks
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
  """Evaluate checkpoints of a run and print a table for each.

  Args:
    workdir: of the run.
    step: `all`, `best`, `latest` or a number.
    data: another data folder; "" = the data of the run.
    inception: weights of the Inception network, for FID and KID of systems
      that generate pictures; "" = as in the config of the run.

  Raises:
    ValueError: if the run, the step or the data do not exist.
  """
  run = runs.Run(workdir)
  if data:
    sources.point_at(run.config, data)
  if inception:
    if run.system.task != tasks.STILLS:
      raise ValueError(
        f"--inception={inception}: {run.config.system} generates no single "
        "pictures, so there is no FID"
      )
    run.config.eval.inception = inception
  sources.prepare(run.config, run.workdir)
  evaluator = evaluators.build(run.system, run.config, run.workdir)
  benchmark = sources.benchmark(run.config)
  for number, nets in _load(run, step):
    result = evaluator.assess(
      nets,
      folder=result_lib.folder(run.workdir, benchmark, number),
      whole=True,
      write=run.config.eval.write_pictures,
    )
    if distributed.is_first_process():
      show(run.workdir, run.config, number, result)


def _load(run: runs.Run, step: str) -> Iterator[tuple[int, game.Nets]]:
  if step == "all":
    for number in run.steps(step):
      yield number, run.nets(number)
  else:
    yield run.load(step)


def show(workdir: pathlib.Path, config, step: int, result) -> None:
  """Print the table and the folders of the pictures."""
  benchmark = sources.benchmark(config)
  name = f"{config.system} ({config.variant})"
  result.show(f"{name} on {benchmark}, step {step}")
  folder = result_lib.folder(workdir, benchmark, step)
  print(f"masks and overlays: {folder}")
  print(f"samples during training: {workdir / 'samples'}")


def main() -> None:
  """Evaluate the run that the flags name."""
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
    "data", "", "Other data of the same layout. Default: the data of the run."
  )
  _INCEPTION = flags.DEFINE_string(
    "inception", "", "Weights of the Inception network, for FID and KID."
  )
  flags.mark_flag_as_required("workdir")
  cli.run(main)
