"""Evaluate the checkpoints of a run while another process trains it.

`python -m foregan_jax.evaluate --step=follow`; `launch/eval_checkpoints.sh`.
"""

import csv
import os
import pathlib
import time
from collections.abc import Iterator

from absl import logging

from foregan_jax import game, runs, weight_files
from foregan_jax.evaluators import result as result_lib
from foregan_jax.runtime import restore

TABLE = "steps.csv"
BEST = "best.safetensors"
_STEP = "step"
_BEST = "best"  # the column of the system's `best` metric
_SECONDS = 10.0  # between two looks at the folder of checkpoints


class Follower:
  """The checkpoints of a run, as they are saved, and a table of their scores.

  Iteration yields (step, nets) of checkpoints that the table does not have
  yet, and ends after the last step of the run. A checkpoint that the training
  deletes meanwhile is left out.

  Attributes:
    table: a CSV file with a row per step: its scores as in `Result.scalars`,
      and `best`, the value of the system's `best` metric.
    best: a weight file with the nets of the best step so far (of a system
      without a `best` metric: of the newest step).
  """

  def __init__(
    self, run: runs.Run, folder: pathlib.Path, *, seconds: float = _SECONDS
  ):
    """Read the table of an earlier call; write nothing yet.

    Args:
      run: the run.
      folder: for the table and the weights.
      seconds: between two looks at the folder of checkpoints.

    Raises:
      ValueError: if the table is damaged.
    """
    self.table, self.best = folder / TABLE, folder / BEST
    self._run, self._seconds = run, seconds
    self._rows = _read(self.table)

  def __iter__(self) -> Iterator[tuple[int, game.Nets]]:
    run, seen = self._run, {int(row[_STEP]) for row in self._rows}
    waiting = False
    while run.config.num_steps not in seen:
      new = [step for step in self._saved() if step not in seen]
      if not new and not waiting:
        logging.info("waiting for checkpoints of %s", run.workdir)
      waiting = not new
      for step in new:
        seen.add(step)
        try:
          nets = run.nets(step)
        except ValueError:
          if step in self._saved():
            raise
          logging.warning("checkpoint %d is deleted already", step)
          continue
        yield step, nets
      if not new:
        time.sleep(self._seconds)

  def add(self, step: int, nets: game.Nets, result: result_lib.Result) -> None:
    """Add a row to the table; keep the weights if they are the best so far."""
    row = {_STEP: str(step)}
    row |= {name: f"{x:.6g}" for name, x in result.scalars.items()}
    earlier = [float(r[_BEST]) for r in self._rows if r.get(_BEST)]
    is_best = True
    if result.best is not None:
      row[_BEST] = f"{result.best:.6g}"
      sign = 1 if self._run.system.best.higher_is_better else -1
      is_best = all(sign * result.best > sign * value for value in earlier)
    self.table.parent.mkdir(parents=True, exist_ok=True)
    if is_best:
      about = {"step": str(step)}
      weight_files.write(self.best, nets, self._run.config, about=about)
    self._write(row)

  def _saved(self) -> list[int]:
    folder = self._run.workdir / "checkpoints"
    return self._run.steps("all") if restore.any_step(folder) else []

  def _write(self, row: dict[str, str]) -> None:
    """Add a row; an interrupted call leaves the old table."""
    self._rows.append(row)
    columns = dict.fromkeys(name for row in self._rows for name in row)
    part = self.table.with_suffix(".part")
    with open(part, "w", newline="", encoding="utf-8") as file:
      writer = csv.DictWriter(file, list(columns), lineterminator="\n")
      writer.writeheader()
      writer.writerows(self._rows)
    os.replace(part, self.table)


def _read(table: pathlib.Path) -> list[dict[str, str]]:
  """Return the rows of the table of an earlier call, if there is one."""
  if not table.exists():
    return []
  try:
    with open(table, newline="", encoding="utf-8") as file:
      rows = list(csv.DictReader(file))
    for row in rows:
      int(row[_STEP]), float(row.get(_BEST) or 0)
  except (ValueError, KeyError, TypeError, csv.Error) as error:
    raise ValueError(
      f"{table} is damaged ({type(error).__name__}: {error}); remove it and "
      "run again"
    ) from error
  return rows
