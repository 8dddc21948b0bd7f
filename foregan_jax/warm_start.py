"""Start a run from the weights of another run, or of another program."""

import jax
import jax.numpy as jnp
from absl import logging

from foregan_jax import game, items, runs, storage, tasks
from foregan_jax.runtime import base_config, restore, settings


def start_from(c, system, state: game.State) -> game.State:
  """Take weights from another run, from a file, or from neither.

  Args:
    c: `init_from` of a config.
    system: of the new run.
    state: its first state.

  Raises:
    ValueError: if the run or the file does not fit.
  """
  if c.workdir and c.weights:
    raise ValueError("init_from names both a workdir and a weight file")
  if c.workdir:
    return _with_nets(state, *_read_items(c, system, state))
  if c.weights:
    if not isinstance(system, tasks.LoadsWeights):
      raise ValueError(
        f"init_from.weights is {c.weights!r}, but {system.name} reads no "
        "weight file of another program"
      )
    # On the host; nets that the file lacks keep their initial weights.
    params = system.load_weights(jax.device_get(state.params), c.weights)
    logging.info("weights of %s", c.weights)
    return _with_nets(state, params, {})
  return state


def _read_items(c, system, state: game.State) -> tuple[dict, dict]:
  """Read params and variables of chosen items; optimisers start afresh."""
  directory = storage.open_path(c.workdir) / "checkpoints"
  if not c.checkpoint_items:
    raise ValueError("init_from names a workdir, but no checkpoint_items")
  unknown = set(c.checkpoint_items) - set(system.checkpoint_items)
  if unknown:
    raise ValueError(
      f"init_from.checkpoint_items names {sorted(unknown)}; this system has "
      f"{sorted(system.checkpoint_items)}"
    )
  path = storage.open_path(c.workdir) / settings.FILE
  if path.exists():
    base_config.check(settings.load(path), path)
  (step,) = runs.pick_steps(directory, c.step, system)
  targets = {
    item: {part: tree[part] for part in ("params", "variables") if part in tree}
    for item, tree in items.split(system, state).items()
    if item in c.checkpoint_items
  }
  loaded = restore.load_items(
    directory, step, targets, ignore=("step", "opt", "ema", "memory")
  )
  params, variables = {}, {}
  for tree in loaded.values():
    params |= tree["params"]
    variables |= tree.get("variables", {})
  nets = c.nets or tuple(params)
  absent = set(nets) - set(params)
  if absent:
    raise ValueError(
      f"init_from.nets names {sorted(absent)}; the items "
      f"{', '.join(c.checkpoint_items)} have {sorted(params)}"
    )
  logging.info(
    "weights of %s from step %d of %s", ", ".join(nets), step, directory
  )
  chosen = lambda trees: {net: trees[net] for net in nets if net in trees}
  return chosen(params), chosen(variables)


def _with_nets(state: game.State, params: dict, variables: dict) -> game.State:
  """Replace nets of a state, and their averages."""
  place = lambda old, new: jax.tree.map(
    lambda o, n: jax.device_put(n, o.sharding), old, new
  )
  params = {net: place(state.params[net], new) for net, new in params.items()}
  variables = {
    net: place(state.variables[net], new) for net, new in variables.items()
  }
  # Donated buffers must be distinct.
  ema = {
    net: jax.tree.map(jnp.copy, new)
    for net, new in params.items()
    if net in state.ema
  }
  return state.replace(
    params={**state.params, **params},
    variables={**state.variables, **variables},
    ema={**state.ema, **ema},
  )
