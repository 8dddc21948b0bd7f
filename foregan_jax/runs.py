"""A run on disk: claim a workdir, load what it has.

Training, evaluation, prediction and the benchmark share these functions.
"""

import functools
import hashlib
import json
import os
from typing import Any

import jax
import numpy as np
from absl import logging

from foregan_jax import game, items, storage, systems
from foregan_jax.runtime import (
  base_config,
  checksums,
  distributed,
  optimizers,
  restore,
  settings,
)
from foregan_jax.runtime import mesh as mesh_lib

FROZEN = "frozen.json"  # hashes of the frozen nets, in the workdir


class Run:
  """A run that was trained.

  Attributes:
    workdir: absolute path.
    config: of the run; fields may be changed before `system` is used.
  """

  def __init__(self, workdir: str | os.PathLike):
    """Read the run's config.

    Raises:
      ValueError: if there is no run, or one of another version.
    """
    self.workdir = storage.open_path(workdir)
    path = self.workdir / settings.FILE
    self.config = settings.load(path)
    base_config.check(self.config, path)

  @functools.cached_property
  def system(self):
    """The run's `game.System`.

    Raises:
      ValueError: see `build`.
    """
    return build(self.config, self.workdir / settings.FILE)

  def steps(self, which: str) -> list[int]:
    """Return the checkpoints named by `all`, `best`, `latest` or a number.

    Raises:
      ValueError: if there is none.
    """
    return pick_steps(self._directory, which, self.system)

  def load(self, which: str) -> tuple[int, game.Nets]:
    """Return the step and the nets of one checkpoint.

    Args:
      which: `best`, a number, or `latest`: the newest one that is whole. Of a
        system without a `best` metric, `best` is the latest one.

    Raises:
      ValueError: if there is none or more than one, or see `nets`.
    """
    steps = self.steps(which)
    if len(steps) != 1:
      raise ValueError(
        f"step {which!r} names {len(steps)} checkpoints, not one"
      )
    if which == "latest" or (which == "best" and not self.system.best):
      return restore.load_newest(self._directory, self.nets)
    return steps[0], self.nets(steps[0])

  def nets(self, step: int) -> game.Nets:
    """Return the nets for evaluation, on the host.

    Averaged parameters where there are any, running statistics, and frozen
    nets; see `game.evaluation_nets`.

    Raises:
      ValueError: if the checkpoint does not fit, or a frozen net has changed.
    """
    targets = {}
    for item, tree in items.split(self.system, self._shapes).items():
      targets[item] = {
        part: tree[part] for part in ("params", "variables", "ema")
        if part in tree
      }  # fmt: skip
    loaded = restore.load_items(
      self._directory, step, targets, ignore=("step", "opt", "memory")
    )
    params, variables = {}, {}
    for tree in loaded.values():
      params |= tree["params"] | tree.get("ema", {})
      variables |= tree.get("variables", {})
    state = game.State(
      step,
      params,
      variables,
      {},
      {},
      {},
      load_frozen(self.system, self.workdir),
    )
    return jax.device_get(game.evaluation_nets(state))

  @property
  def _directory(self) -> storage.Path:
    return self.workdir / "checkpoints"

  @functools.cached_property
  def _shapes(self) -> game.State:
    """Shapes of the parts that evaluation reads."""
    system, c = self.system, self.config
    params, variables = jax.eval_shape(system.init, jax.random.key(0))
    averaged = c.ema_nets if c.ema_decay else ()
    ema = {net: params[net] for net in averaged if net in params}
    opt = {player.name: {} for player in system.players}
    return game.State(0, params, variables, opt, ema, {})


def build(config, path: str | os.PathLike) -> game.System:
  """Build the system of a config that was read from a file.

  Raises:
    ValueError: naming `path`, if the config is damaged, lacks a key or has bad
      values.
  """
  try:
    return systems.build(config)
  except (AttributeError, KeyError, TypeError) as error:
    reason = str(error).strip().partition("\n")[0]
    raise ValueError(
      f"{path} is damaged, or the config of another version of foregan_jax "
      f"that lacks keys of its method: {reason}"
    ) from error


def pick_steps(directory: storage.Path, which: str, system) -> list[int]:
  """Return the checkpoints named by `all`, `best`, `latest` or a number.

  Args:
    directory: the checkpoints' folder.
    which: of a system without a `best` metric, `best` is the latest one.
    system: of the run.

  Raises:
    ValueError: if there is none.
  """
  if which == "best" and not system.best:
    logging.info("%s chooses no best checkpoint: using the latest", system.name)
  return restore.pick_steps(directory, which, **items.best_metric(system))


def check(workdir: storage.Path, config) -> None:
  """Check that the config fits the run in `workdir`.

  Keys in `base_config.MAY_CHANGE` may differ.

  Raises:
    ValueError: naming the keys that differ, or if the workdir holds a run of
      another version.
  """
  path = workdir / settings.FILE
  new = settings.to_json(config)
  # Without a checkpoint any config fits: nothing was trained yet.
  if path.exists() and restore.any_step(workdir / "checkpoints"):
    old = settings.load(path)
    base_config.check(old, path)
    changes = settings.same_config(
      settings.to_json(old), new, ignore=base_config.MAY_CHANGE
    )
    if old.num_steps != config.num_steps and (
      decaying := [
        name for name, c in config.optim.items() if optimizers.ends_with_run(c)
      ]
    ):
      raise ValueError(
        f"{workdir} was started with num_steps {old.num_steps}, now it is "
        f"{config.num_steps}, but the learning rate of {', '.join(decaying)} "
        "decays to 0 at the end of the run. Give the old num_steps; or start "
        "again in another --workdir, from these weights "
        f"(--config.init_from.workdir={workdir})"
      )
    if changes:
      raise ValueError(
        f"{workdir} holds a run of another config; give another --workdir, or "
        f"undo: {'; '.join(changes)}"
      )


def claim(workdir: storage.Path, config) -> None:
  """Write the config of a run that `check` has accepted."""
  mesh_lib.barrier("the workdir fits")
  if distributed.is_first_process():
    _write_json(workdir / settings.FILE, settings.to_json(config))


def load_state(
  directory: storage.Path, step: int, system, state: game.State
) -> tuple[game.State, dict]:
  """Read a whole checkpoint of the same run.

  Args:
    directory: the checkpoints' folder.
    step: number of the checkpoint.
    system: of the run.
    state: has the shapes and shardings, and the frozen nets.

  Returns:
    The state, and that of the input pipeline.

  Raises:
    ValueError: if the checkpoint does not fit, or is damaged.
  """
  trees = restore.load_items(directory, step, items.split(system, state))
  data = restore.load_json(directory, step, "data")
  position = data.get("next_index")
  # Larger numbers do not fit into the iterator.
  if type(position) is not int or not 0 <= position < 2**62:
    raise checksums.DamagedError(
      f"item 'data' of checkpoint {directory / str(step)} is damaged: "
      f"next_index is {str(position)[:80]}, but must be a whole number"
    )
  return items.join(state, trees), data


def _write_json(path: storage.Path, value: Any) -> None:
  storage.write(path, json.dumps(value, indent=2))


def load_frozen(system, workdir: storage.Path | None) -> dict[str, Any]:
  """Load the frozen nets; a workdir keeps the hash of their weights.

  Args:
    system: declares the nets.
    workdir: of the run; None checks and writes nothing.

  Returns:
    The collections of each frozen net, on the host.

  Raises:
    ValueError: if the weights are not those that the run was trained with.
  """
  if not system.frozen:
    return {}
  loaded = {net: frozen.load() for net, frozen in system.frozen.items()}
  if workdir is None:
    return loaded
  hashes = {net: _hash(tree) for net, tree in loaded.items()}
  path = workdir / FROZEN
  if path.exists():
    recorded = _read_hashes(path)
    for net, value in hashes.items():
      if recorded.get(net) != value:
        raise ValueError(
          f"frozen net {net} of {system.frozen[net].source} has the hash "
          f"{value}, but {path} has {recorded.get(net)}: the run was trained "
          "with other weights. Restore them, or use another --workdir."
        )
  mesh_lib.barrier("frozen nets are checked")
  if distributed.is_first_process() and not path.exists():
    _write_json(path, hashes)
  return loaded


def _read_hashes(path: storage.Path) -> dict[str, str]:
  try:
    recorded = json.loads(path.read_text())
  except (ValueError, RecursionError):
    recorded = None
  if not isinstance(recorded, dict):
    raise ValueError(
      f"{path} is damaged: expected the hashes of the frozen nets. If their "
      "weights are those of the run, remove the file"
    )
  return recorded


def _hash(tree: Any) -> str:
  """Return a hash of the names, types, shapes and values of all arrays."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    array = np.asarray(leaf)
    name = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n"
    digest.update(name.encode())
    digest.update(np.ascontiguousarray(array).tobytes())
  return digest.hexdigest()[:16]
