"""Reading of checkpoints: strictly, checked, and the newest whole one.

See `checkpoints` for what a checkpoint contains.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

import jax
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from foregan_jax.runtime import checksums, distributed
from foregan_jax.runtime import mesh as mesh_lib

CHECKSUMS = "checksums"
# Orbax stores the metrics of a step as an item and a file of this name.
METRICS = "metrics"
# Errors whose cause is not the checkpoint: it must not be moved aside for them.
_NOT_DAMAGE = (MemoryError, PermissionError, TimeoutError, ConnectionError)
# The same as codes in the messages of TensorStore and XLA.
_NOT_DAMAGE_CODES = re.compile(
  "RESOURCE_EXHAUSTED|PERMISSION_DENIED|UNAVAILABLE|DEADLINE_EXCEEDED"
)
# A network of another width differs in every leaf; a few lines are enough.
_MAX_DIFF_LINES = 30

Loaded = TypeVar("Loaded")


def load_items(
  directory: str | os.PathLike,
  step: int,
  targets: Mapping[str, Any],
  *,
  ignore: tuple[str, ...] = (),
) -> dict[str, Any]:
  """Read chosen items of one step, strictly: every leaf must fit.

  Args:
    directory: the checkpoints' folder.
    step: number of a saved step.
    targets: a tree of arrays or ShapeDtypeStructs per item. Leaves without a
      sharding are replicated over all devices.
    ignore: prefixes of paths in an item ("opt", "params/critic") that the
      checkpoint may have although the targets lack them.

  Returns:
    The items' trees, with the structure and shardings of the targets.

  Raises:
    ValueError: if the step is missing or a tree does not fit. The message lists
      the leaves: `-` missing from the checkpoint, `+` surplus in it, `~` of
      another shape or dtype.
    DamagedError: if an item is missing, cannot be read, or has other values
      than were saved, or a network is not finite.
  """
  folder = _step_folder(directory, step)
  recorded = {}
  if (folder / CHECKSUMS).exists():  # earlier versions wrote none
    recorded = load_json(directory, step, CHECKSUMS)
  loaded = {}
  for item, target in targets.items():
    loaded[item] = _load_item(folder, item, target, ignore)
    origin = f"item {item!r} of checkpoint {folder}"
    sums = recorded.get(item, {})
    if not isinstance(sums, dict):
      raise checksums.DamagedError(f"{origin} has damaged checksums")
    checksums.check(loaded[item], sums, origin)
  return loaded


def load_json(directory: str | os.PathLike, step: int, item: str) -> dict:
  """Read a JSON item of one step.

  Args:
    directory: the checkpoints' folder.
    step: number of a saved step.
    item: `data`, `config` or `checksums`.

  Raises:
    ValueError: if the step is missing.
    DamagedError: if the item is missing or damaged.
  """
  path = _item_folder(_step_folder(directory, step), item)
  try:
    return _read_json(path)
  except Exception as error:  # of Orbax, JSON or the file system
    _raise_damaged(path.parent, item, error)


def _read_json(folder, filename: str = "metadata") -> dict:
  """Read an item that Orbax wrote as JSON."""
  path = folder / filename
  # Reading a pipe or a device may never end. In a cloud, `os` finds nothing.
  if os.path.exists(path) and not os.path.isfile(path):
    raise ValueError(f"{filename} is not a file")
  handler = ocp.JsonCheckpointHandler(filename=filename)
  value = handler.restore(folder, ocp.args.JsonRestore())
  if not isinstance(value, dict):
    raise ValueError(f"it is {str(value)[:80]!r}, expected a JSON object")
  return value


def load_newest(
  directory: str | os.PathLike, load: Callable[[int], Loaded]
) -> tuple[int, Loaded] | None:
  """Load the newest checkpoint that is whole.

  Args:
    directory: the checkpoints' folder.
    load: reads the checkpoint of a step, for example with `load_items`.

  Returns:
    The step and what `load` returned; None if there is no checkpoint.

  Raises:
    DamagedError: of the newest checkpoint, if all are damaged.
    ValueError: of `load`, if a checkpoint does not fit.
  """
  steps = _steps(absolute(directory))
  newest = None
  for step in reversed(steps):
    try:
      loaded = load(step)
    except checksums.DamagedError as error:
      newest = newest or error
      logging.warning("%s", error)
      continue
    if newest:
      logging.warning("using checkpoint %d, the newest whole one", step)
    return step, loaded
  if newest:
    raise newest
  return None


def set_aside(directory: str | os.PathLike, after: int) -> None:
  """Move damaged checkpoints after a step to `damaged/` beside the folder.

  Every process must call it.
  """
  directory = absolute(directory)
  found = [step for step in _steps(directory) if step > after]
  mesh_lib.barrier("damaged checkpoints are found")
  if distributed.is_first_process():
    place = epath.Path(directory).parent / "damaged"
    for step in found:
      place.mkdir(parents=True, exist_ok=True)
      target, copy = place / str(step), 1
      while target.exists():
        target, copy = place / f"{step}-{copy}", copy + 1
      (epath.Path(directory) / str(step)).rename(target)
      logging.warning("moved damaged checkpoint %d to %s", step, target)
  mesh_lib.barrier("damaged checkpoints are moved")


def pick_steps(
  directory: str | os.PathLike,
  which: str,
  *,
  best: str | None,
  higher_is_better: bool = True,
) -> list[int]:
  """Return the saved steps named by `which`, in order.

  Args:
    directory: the checkpoints' folder.
    which: "all", "latest", "best", or the number of a step.
    best: name of the metric of the best step; None: the best is the latest.
    higher_is_better: whether the largest value of that metric is the best.

  Raises:
    ValueError: if there are no checkpoints, or not the named one.
  """
  directory = absolute(directory)
  steps = _steps(directory)
  if not steps:
    raise ValueError(f"there is no checkpoint in {directory}.")
  if which == "all":
    return steps
  if which == "latest" or (which == "best" and best is None):
    return steps[-1:]
  if which == "best":
    sign = 1.0 if higher_is_better else -1.0
    score, step = max(
      (_score(directory, step, best, sign), step) for step in steps
    )
    if score == -math.inf:
      raise ValueError(
        f"no checkpoint in {directory} has the metric {best!r}; give a step: "
        f"{join_names(steps)}."
      )
    return [step]
  if not which.isdecimal():
    raise ValueError(
      f"step is {which!r}, but must be all, best, latest or a number."
    )
  _step_folder(directory, int(which))
  return [int(which)]


def any_step(directory: str | os.PathLike) -> bool:
  """Return whether the folder has a complete checkpoint."""
  return bool(_steps(absolute(directory)))


def _steps(directory: str) -> list[int]:
  return sorted(ocp.path.step.checkpoint_steps(directory))


def absolute(directory: str | os.PathLike) -> str:
  """Return a folder as an absolute path; a cloud address is one already."""
  # Orbax fails on a relative folder, and only in the background thread.
  directory = os.fspath(directory)
  return directory if "://" in directory else os.path.abspath(directory)


def _score(directory: str, step: int, best: str | None, sign: float) -> float:
  folder = _step_folder(directory, step) / METRICS
  if not folder.exists():
    return -math.inf
  try:
    return quality(_read_json(folder, filename=METRICS), best, sign)
  except Exception as error:  # of Orbax, JSON or the file system
    logging.warning("metrics of checkpoint %s are damaged: %s", folder, error)
    return -math.inf


def quality(
  metrics: Mapping[str, float], best: str | None, sign: float
) -> float:
  """Return the metric such that higher is better; -inf if there is none."""
  value = metrics.get(best, math.nan) if best else math.nan
  return -math.inf if math.isnan(value) else sign * value


def _step_folder(directory: str | os.PathLike, step: int) -> Any:
  directory = absolute(directory)
  steps = _steps(directory)
  if step not in steps:
    found = f"the steps are {join_names(steps)}" if steps else "it has none"
    raise ValueError(f"no checkpoint of step {step} in {directory}: {found}.")
  return epath.Path(directory) / str(step)


def _item_folder(folder, item: str):
  path = folder / item
  if not path.exists():
    found = [p.name for p in folder.iterdir() if p.is_dir()]
    raise checksums.DamagedError(
      f"checkpoint {folder} has no item {item!r}: it has "
      f"{join_names(sorted(found))}."
    )
  return path


def _raise_damaged(folder, item: str, error: Exception) -> NoReturn:
  """Raise an error that names the checkpoint, or `error` if that is whole."""
  if isinstance(error, _NOT_DAMAGE) or _NOT_DAMAGE_CODES.search(str(error)):
    raise error
  reason = (str(error).strip() or repr(error)).splitlines()[0]
  raise checksums.DamagedError(
    f"item {item!r} of checkpoint {folder} is damaged ({reason[:200]})"
  ) from error


def _load_item(folder, item: str, target: Any, ignore: tuple[str, ...]) -> Any:
  path = _item_folder(folder, item)
  try:
    saved = ocp.PyTreeCheckpointHandler().metadata(path).tree
  except Exception as error:  # of Orbax, TensorStore, JSON or the file system
    _raise_damaged(folder, item, error)
  lines = _diff(_leaves(saved), _leaves(target), ignore)
  if lines:
    more = len(lines) - _MAX_DIFF_LINES
    shown = lines[:_MAX_DIFF_LINES] + ([f"... {more} more"] if more > 0 else [])
    raise ValueError(
      f"item {item!r} of checkpoint {folder} does not fit (- missing from the "
      "checkpoint, + surplus in it, ~ different):\n  " + "\n  ".join(shown)
    )
  default = mesh_lib.replicated(mesh_lib.make_mesh())
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=getattr(x, "sharding", None) or default
    ),
    target,
  )
  restore_args = ocp.checkpoint_utils.construct_restore_args(abstract)
  args = ocp.args.PyTreeRestore(
    item=abstract, restore_args=restore_args, partial_restore=True
  )
  try:
    with ocp.PyTreeCheckpointer() as checkpointer:
      return checkpointer.restore(path, args=args)
  except Exception as error:  # of Orbax, TensorStore, XLA or the file system
    _raise_damaged(folder, item, error)


def _leaves(tree: Any) -> dict[str, str]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): (
      f"{tuple(leaf.shape)} {leaf.dtype}"
    )
    for path, leaf in leaves
  }


def _diff(
  saved: dict[str, str], wanted: dict[str, str], ignore: tuple[str, ...]
) -> list[str]:
  lines = []
  for name in sorted({*saved, *wanted}):
    if name not in saved:
      lines.append(f"- {name} {wanted[name]}")
    elif name not in wanted:
      if not any(f"{name}/".startswith(f"{skip}/") for skip in ignore):
        lines.append(f"+ {name} {saved[name]}")
    elif saved[name] != wanted[name]:
      lines.append(f"~ {name} {saved[name]}, wanted {wanted[name]}")
  return lines


def join_names(names: Iterable) -> str:
  """Return names for an error, separated by commas."""
  return ", ".join(map(str, names)) or "none"
