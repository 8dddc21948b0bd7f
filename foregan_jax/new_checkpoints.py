"""Evaluation of the checkpoints of a run while another process trains it.

`python -m foregan_jax.evaluate --step=new`; `launch/eval_checkpoints.sh`.
"""

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

from absl import logging

from foregan_jax import game, runs, storage, weight_files
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import tables
from foregan_jax.runtime import restore, settings

TABLE = "steps.csv"
BEST = "best.safetensors"
_STEP = "step"
_BEST = "best"  # the column of the system's `best` metric
_SECONDS = 10.0  # between two checks for new checkpoints


def wait_for_run(workdir: storage.Path, *, seconds: float = _SECONDS) -> None:
  """Wait until a training has written its config to `workdir`."""
  if not (workdir / settings.FILE).exists():
    logging.info("waiting for a run in %s", workdir)
  while not (workdir / settings.FILE).exists():
    time.sleep(seconds)


class NewCheckpoints:
  """The checkpoints of a run, as they are saved, and a table of their scores.

  Iteration yields (step, nets) of checkpoints that are not in the table, and
  ends after the last step of the run. It waits as long as the training has not
  reached that step, also if the training has stopped. Checkpoints that the
  training deletes before they are read are left out: it keeps
  `keep_checkpoints` of them.

  Attributes:
    table: a CSV file with a row per step: its scores as in `Result.scalars`,
      and `best`, the value of the system's `best` metric.
    best: a weight file with the nets of the best step so far (of a system
      without a `best` metric: of the newest step).
  """

  def __init__(
    self,
    run: runs.Run,
    config: Any,
    folder: storage.Path,
    *,
    seconds: float = _SECONDS,
  ):
    """Read the table of an earlier call; write nothing yet.

    Args:
      run: the run.
      config: of the run, for the weight file: without changes for the
        evaluation.
      folder: for the table and the weights.
      seconds: between two checks for new checkpoints.

    Raises:
      ValueError: if the table is damaged.
    """
    self.table, self.best = folder / TABLE, folder / BEST
    self._run, self._config, self._seconds = run, config, seconds
    self._rows = _read(self.table)
    if self._rows:
      logging.info(
        "%d steps are in %s and are not evaluated again; remove it to repeat",
        len(self._rows),
        self.table,
      )

  def __iter__(self) -> Iterator[tuple[int, game.Nets]]:
    done = {int(row[_STEP]) for row in self._rows}
    waiting = False
    while max(done, default=0) < self._last_step():
      new = [step for step in self._saved() if step not in done]
      if not new and not waiting:
        logging.info("waiting for checkpoints of %s", self._run.workdir)
      waiting = not new
      for step in new:
        done.add(step)
        try:
          nets = self._run.nets(step)
        except (ValueError, OSError):
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
    row |= {name: repr(float(x)) for name, x in result.scalars.items()}
    is_best = True
    if metric := self._run.system.best:
      row[_BEST] = repr(float("nan" if result.best is None else result.best))
      sign = 1.0 if metric.higher_is_better else -1.0
      score = lambda row: restore.quality(
        {_BEST: float(row.get(_BEST) or "nan")}, _BEST, sign
      )
      is_best = all(score(row) > score(earlier) for earlier in self._rows)
    if is_best or not self.best.exists():
      weight_files.write(
        self.best, nets, self._config, about={"step": str(step)}
      )
    self._rows.append(row)
    columns = list(dict.fromkeys(name for row in self._rows for name in row))
    lines = [[row.get(name, "") for name in columns] for row in self._rows]
    tables.write(self.table, [columns, *lines])

  def _last_step(self) -> int:
    # Not from `self._run`: a training may continue with another number.
    return settings.load(self._run.workdir / settings.FILE).num_steps

  def _saved(self) -> list[int]:
    folder = self._run.workdir / "checkpoints"
    return self._run.steps("all") if restore.any_step(folder) else []


def _read(table: storage.Path) -> list[dict[str, str]]:
  """Return the rows of the table of an earlier call, if there is one."""
  if not table.exists():
    return []
  try:
    text = table.read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row in rows:
      int(row[_STEP]), float(row.get(_BEST) or 0)
  except (ValueError, KeyError, TypeError, csv.Error) as error:
    raise ValueError(
      f"{table} is damaged ({type(error).__name__}: {error}); remove it and "
      "run again"
    ) from error
  return rows
