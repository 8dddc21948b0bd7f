"""Train the variants of a config one after another and write one table.

  python -m foregan_jax.ablate --config=configs/layered_gan.py

Each variant is a run in its own folder below `--out`, the same as with
`python -m foregan_jax.main --config=CONFIG:variant=NAME`. Finished runs are
not repeated. `table.md` has the final scores of every head and the problems
that the system's diagnosis finds; rows that are equal for all variants, such
as baselines, appear once. `--run_flag` passes a flag to every run; repeat it
for more flags:

  python -m foregan_jax.ablate --config=configs/layered_gan.py \\
    --run_flag=--config.num_steps=1000
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
from typing import Any

from absl import flags

from foregan_jax import runs as runs_lib
from foregan_jax import tasks
from foregan_jax.runtime import cli, writers

# Columns of the table by task; all scores if empty.
_SHOWN = {
  tasks.VIDEOS: (
    "JF_T", "JF_2T", "JF_3T", "J_mean", "F_mean", "JF_mean", "plate_mae",
    "generator_mae", "first_rows_mae",
  ),
  tasks.STILLS: (),
  tasks.ANIMATION: (),
  tasks.FACE_EDITS: (),
  tasks.FACE_PARTS: (),
}  # fmt: skip


def variants(path: str) -> tuple[str, ...]:
  """Return the names in a config file's `VARIANTS`.

  Raises:
    ValueError: if the file has none, or cannot be read as a config file.
  """
  spec = importlib.util.spec_from_file_location("ablated_config", path)
  if spec is None or not os.path.isfile(path):
    raise ValueError(f"{path} is not a config file (NAME.py)")
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except Exception as error:  # of any kind, raised by the file
    raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
  names = getattr(module, "VARIANTS", ())
  if not names or not all(isinstance(name, str) for name in names):
    raise ValueError(f"{path} has no VARIANTS to compare, a tuple of names")
  return tuple(names)


def run(config: str, out: pathlib.Path, arguments: list[str]) -> str:
  """Train the missing variants and return the table in Markdown.

  Args:
    config: a config file, optionally with words after a colon.
    out: folder for a workdir per variant and `table.md`.
    arguments: flags for every run.

  Raises:
    ValueError: if a run fails; the results of the others are kept.
  """
  path, _, words = config.partition(":")
  runs = {}
  for name in variants(path):
    workdir = out / name
    if not _scores(workdir):
      chosen = ",".join(filter(None, (words, f"variant={name}")))
      command = ["-m", "foregan_jax.main", f"--config={path}:{chosen}"]
      command += [f"--workdir={workdir}", *arguments]
      print(f"== {name}: python {' '.join(command)}", flush=True)
      if subprocess.run([sys.executable, *command], check=False).returncode:
        raise ValueError(f"variant {name} failed; see above, then run again")
    runs[name] = _rows(workdir)
    table = _table(runs)
    (out / "table.md").write_text(table)
  return table


def _scores(workdir: pathlib.Path) -> dict[str, float]:
  """Return the scalars of the final evaluation; empty without one."""
  lines = _lines(workdir)
  if not lines:
    return {}
  last = runs_lib.Run(workdir).config.num_steps
  prefix = "eval/"
  return {
    name.removeprefix(prefix): _to_number(workdir, name, value)
    for line in lines
    if line["step"] == last
    for name, value in line.items()
    if name.startswith(prefix)
  }


def _rows(workdir: pathlib.Path) -> dict[str, dict[str, str]]:
  """Return the final scores by head, baseline or background."""
  system: Any = runs_lib.Run(workdir).system
  shown = _SHOWN[system.task]
  rows = {}
  for name, value in _scores(workdir).items():
    scored, _, metric = name.partition("/")
    if not shown or metric in shown:
      rows.setdefault(scored, {})[metric] = f"{value:.3f}"
  heads = system.heads
  if isinstance(system, tasks.HasDiagnostics):
    for head in heads:
      rows[head]["problems at the end"] = _problems(workdir, system)
  return rows


def _problems(workdir: pathlib.Path, system) -> str:
  """Return the problems that the system's diagnosis finds at the end."""
  means = {}
  for line in _lines(workdir):
    # Players that are not in the last turn have their last metrics earlier.
    means |= {
      k: _to_number(workdir, k, v) for k, v in line.items() if _is_term(k)
    }
  # The largest step: `alarm_after` must not silence a short run.
  return ", ".join(system.diagnose(sys.maxsize, means)) or "none"


def _to_number(workdir: pathlib.Path, name: str, value: Any) -> float:
  """Convert a value of a line; values that are not finite are strings."""
  try:
    return float(value)
  except (TypeError, ValueError):
    raise ValueError(
      f"{workdir / writers.JSONL}: {name} is {value!r}, but must be a number"
    ) from None


def _is_term(name: str) -> bool:
  return "/" in name and not name.startswith("eval/")


def _lines(workdir: pathlib.Path) -> list[dict]:
  path = workdir / writers.JSONL
  if not path.exists():
    return []
  lines, broken = writers.read_lines(path)
  if broken:
    raise ValueError(
      f"{path}, line {broken[0]} is no line of metrics; remove it, or remove "
      f"{workdir} to train that variant again"
    )
  return lines


def _table(runs: dict[str, dict[str, dict[str, str]]]) -> str:
  """Return a line per variant and row; rows equal for all variants once."""
  first = next(iter(runs.values()))
  same = [
    name
    for name, row in first.items()
    if len(runs) > 1 and all(rows.get(name) == row for rows in runs.values())
  ]
  lines = [("", name, first[name]) for name in same]
  for variant, rows in runs.items():
    lines += [(variant, n, row) for n, row in rows.items() if n not in same]
  columns = list(dict.fromkeys(c for *_, row in lines for c in row))
  text = [" | ".join(("| variant", "", *columns)) + " |"]
  text.append("|---" * (2 + len(columns)) + "|")
  for variant, name, row in lines:
    cells = " | ".join(row.get(column, "") for column in columns)
    text.append(f"| {variant} | {name} | {cells} |")
  return "\n".join(text) + "\n"


def main() -> None:
  """Compare the variants of the config that the flags name."""
  config = _CONFIG.value
  name = pathlib.PurePath(config.partition(":")[0]).stem
  out = pathlib.Path(_OUT.value or f"runs/ablation-{name}")
  out.mkdir(parents=True, exist_ok=True)
  print(run(config, out, _RUN_FLAGS.value))
  print(f"table: {out / 'table.md'}")


if __name__ == "__main__":
  _CONFIG = flags.DEFINE_string("config", None, "Config file with VARIANTS.")
  _OUT = flags.DEFINE_string(
    "out", "", "Folder of the runs. Default: runs/ablation-CONFIG."
  )
  _RUN_FLAGS = flags.DEFINE_multi_string(
    "run_flag", [], "A flag of foregan_jax.main for every run; repeatable."
  )
  flags.mark_flag_as_required("config")
  cli.run(main)
