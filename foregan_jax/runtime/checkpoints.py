"""Checkpoints: named Orbax items, written whole or not at all.

A step is a folder with one item per name (`gan`, `segmenter`, ...: trees of
arrays), `data` (state of the input pipeline) and `config`, both JSON. Each
item can be read alone, on any number of devices or processes.
"""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from foregan_jax.runtime import mesh as mesh_lib

_JSON_ITEMS = ("data", "config")
# Orbax stores the metrics of a step as an item and a file of this name.
_METRICS = "metrics"
# A network of another width differs in every leaf; a few lines are enough.
_MAX_DIFF_LINES = 30


class Checkpoints:
  """The checkpoints of one run.

  It keeps the latest `keep` steps and the step with the best metric. Saving
  continues in the background; `wait` and `close` return when it has ended. In
  a run of several processes all of them must call every method.
  """

  def __init__(
    self,
    directory: str | os.PathLike,
    items: tuple[str, ...],
    *,
    keep: int,
    best: str | None,
    higher_is_better: bool = True,
    async_: bool = True,
  ):
    """Open the folder, or create it.

    Args:
      directory: folder of the steps; may be relative or a cloud address.
      items: names of the array trees.
      keep: how many of the latest steps to keep, at least 1.
      best: name of the metric whose best step is kept as well, or None.
      higher_is_better: whether the largest value of that metric is the best.
      async_: whether saving continues in the background.

    Raises:
      ValueError: if `keep` or the name of an item is not allowed.
    """
    if keep < 1:
      raise ValueError(f"keep is {keep}, but must be at least 1.")
    taken = sorted(set(items) & {*_JSON_ITEMS, _METRICS})
    if taken:
      raise ValueError(f"checkpoint item {taken[0]!r} has a reserved name.")
    self.directory = _absolute(directory)
    self._items = tuple(items)
    self._best = best
    self._sign = 1.0 if higher_is_better else -1.0
    self._manager = ocp.CheckpointManager(
      self.directory,
      item_names=(*items, *_JSON_ITEMS),
      options=_options(keep, best, self._sign, async_),
    )

  def save(
    self,
    step: int,
    trees: Mapping[str, Any],
    data: Mapping[str, Any],
    config: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
  ) -> None:
    """Save one step; the arrays may be donated or changed right afterwards.

    Args:
      step: number of the step, larger than every saved one.
      trees: one tree of arrays per item.
      data: state of the input pipeline, the same in every process.
      config: the run's config as plain JSON.
      metrics: scores of this step; a step without them is never the best.

    Raises:
      ValueError: if the step is not new, or the items are not the declared
        ones.
    """
    latest = self.latest_step()
    if latest is not None and step <= latest:
      # Orbax would return False and save nothing.
      raise ValueError(
        f"cannot save step {step} in {self.directory}: step {latest} exists."
      )
    if set(trees) != set(self._items):
      raise ValueError(
        f"checkpoint items are {_names(trees)}, but must be "
        f"{_names(self._items)}."
      )
    if metrics is not None and self._best and self._best not in metrics:
      raise ValueError(
        f"metrics lack {self._best!r}, the metric of the best checkpoint; they "
        f"have {_names(metrics)}."
      )
    arrays = {k: ocp.args.StandardSave(trees[k]) for k in self._items}
    self._manager.save(
      step,
      args=ocp.args.Composite(
        **arrays,
        data=ocp.args.JsonSave(dict(data)),
        config=ocp.args.JsonSave(dict(config)),
      ),
      metrics=metrics and {k: float(v) for k, v in metrics.items()},
    )

  def restore(
    self, step: int, targets: Mapping[str, Any]
  ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Read items of one step into the shapes and shardings of `targets`.

    Args:
      step: number of a saved step.
      targets: a tree of arrays or ShapeDtypeStructs per item; items can be
        left out. Leaves without a sharding are replicated.

    Returns:
      The items' trees, the state of the input pipeline, and the config.

    Raises:
      ValueError: if the step or an item is missing, or a tree does not fit.
    """
    self.wait()
    trees = load_items(self.directory, step, targets)
    data, config = (load_json(self.directory, step, k) for k in _JSON_ITEMS)
    return trees, data, config

  def latest_step(self) -> int | None:
    """Return the newest step, or None if there is none."""
    return self._manager.latest_step()

  def best_step(self) -> int | None:
    """Return the step with the best metric, or None if none has a metric."""
    return self._manager.best_step() if self._best else None

  def all_steps(self) -> list[int]:
    """Return all saved steps, in order."""
    return sorted(self._manager.all_steps())

  def wait(self) -> None:
    """Wait until everything is written; raise errors of background saving."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    """Finish writing and release the folder."""
    self._manager.wait_until_finished()
    self._manager.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused_error):
    self.close()


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
    ValueError: if the step or an item is missing or a tree does not fit. The
      message lists the leaves: `-` missing from the checkpoint, `+` surplus
      in it, `~` of another shape or dtype.
  """
  folder = _step_folder(directory, step)
  return {
    item: _load_item(folder, item, target, ignore)
    for item, target in targets.items()
  }


def load_json(directory: str | os.PathLike, step: int, item: str) -> dict:
  """Read the `data` or `config` item of one step.

  Raises:
    ValueError: if the step or the item is missing.
  """
  path = _item_folder(_step_folder(directory, step), item)
  handler = ocp.JsonCheckpointHandler()
  return handler.restore(path, ocp.args.JsonRestore())


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
    best: name of the metric of the best step, or None.
    higher_is_better: whether the largest value of that metric is the best.

  Raises:
    ValueError: if there are no checkpoints, or not the named one.
  """
  directory = _absolute(directory)
  steps = sorted(ocp.path.step.checkpoint_steps(directory))
  if not steps:
    raise ValueError(f"there is no checkpoint in {directory}.")
  if which == "all":
    return steps
  if which == "latest":
    return steps[-1:]
  if which == "best":
    sign = 1.0 if higher_is_better else -1.0
    score, step = max(
      (_score(directory, step, best, sign), step) for step in steps
    )
    if score == -math.inf:
      raise ValueError(
        f"no checkpoint in {directory} has the metric {best!r}; give a step: "
        f"{_names(steps)}."
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
  return bool(ocp.path.step.checkpoint_steps(_absolute(directory)))


def _absolute(directory: str | os.PathLike) -> str:
  # Orbax fails on a relative folder, and only in the background thread.
  directory = os.fspath(directory)
  return directory if "://" in directory else os.path.abspath(directory)


def _score(directory: str, step: int, best: str | None, sign: float) -> float:
  folder = _step_folder(directory, step) / _METRICS
  if not folder.exists():
    return -math.inf
  handler = ocp.JsonCheckpointHandler(filename=_METRICS)
  metrics = handler.restore(folder, ocp.args.JsonRestore())
  return _quality(metrics, best, sign)


def _quality(
  metrics: Mapping[str, float], best: str | None, sign: float
) -> float:
  """Return the metric such that higher is better; -inf if there is none."""
  value = metrics.get(best, math.nan) if best else math.nan
  return -math.inf if math.isnan(value) else sign * value


def _options(keep: int, best: str | None, sign: float, async_: bool):
  quality = lambda metrics: _quality(metrics, best, sign)
  policies = [checkpoint_managers.LatestN(keep)]
  if best:
    # best_fn with max_to_keep would delete the newest step if it is not the
    # best one, but a run resumes from the newest step.
    policies.append(
      checkpoint_managers.BestN(
        get_metric_fn=quality, n=1, keep_checkpoints_without_metrics=False
      )
    )
  return ocp.CheckpointManagerOptions(
    preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
    best_fn=quality if best else None,
    enable_async_checkpointing=async_,
  )


def _step_folder(directory: str | os.PathLike, step: int) -> Any:
  directory = _absolute(directory)
  steps = sorted(ocp.path.step.checkpoint_steps(directory))
  if step not in steps:
    found = f"the steps are {_names(steps)}" if steps else "it has none"
    raise ValueError(f"no checkpoint of step {step} in {directory}: {found}.")
  return epath.Path(directory) / str(step)


def _item_folder(folder, item: str):
  path = folder / item
  if not path.exists():
    found = [p.name for p in folder.iterdir() if p.is_dir()]
    raise ValueError(
      f"checkpoint {folder} has no item {item!r}: it has "
      f"{_names(sorted(found))}."
    )
  return path


def _load_item(folder, item: str, target: Any, ignore: tuple[str, ...]) -> Any:
  path = _item_folder(folder, item)
  saved = ocp.PyTreeCheckpointHandler().metadata(path).tree
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
  with ocp.PyTreeCheckpointer() as checkpointer:
    return checkpointer.restore(
      path,
      args=ocp.args.PyTreeRestore(
        item=abstract,
        restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
        partial_restore=True,
      ),
    )


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


def _names(names: Iterable) -> str:
  return ", ".join(map(str, names)) or "none"
