"""Checkpoint items: a state split by groups of nets, and joined again.

The system names the items (`gan`, `segmenter`, ...) and their nets. Each item
can be saved and restored alone.
"""

from collections.abc import Mapping
from typing import Any

from foregan_jax import game


def split(system: game.System, state: game.State) -> dict[str, game.Tree]:
  """Split a state into the system's checkpoint items.

  An item holds its nets, their averages and variables, the optimisers and
  memories of the players that train them, and `step`, so that each item can be
  restored without the others.

  Raises:
    ValueError: if no item has all nets of a player: its optimiser would be
      lost.
  """
  items, saved = {}, set()
  for item, nets in system.checkpoint_items.items():
    owned = [p.name for p in system.players if set(p.trains) <= set(nets)]
    saved |= set(owned)
    tree = {
      "params": _select(state.params, nets),
      "variables": _select(state.variables, nets),
      "opt": _select(state.opt, owned),
      "ema": _select(state.ema, nets),
      "memory": _select(state.memory, owned),
    }
    items[item] = {"step": state.step}
    items[item] |= {name: part for name, part in tree.items() if part}
  lost = [p.name for p in system.players if p.name not in saved]
  if lost:
    raise ValueError(
      f"no checkpoint item of {system.name} has all nets of {', '.join(lost)}"
    )
  return items


def _select(trees: dict[str, game.Tree], names) -> dict[str, game.Tree]:
  return {name: trees[name] for name in names if name in trees}


def join(state: game.State, items: Mapping[str, game.Tree]) -> game.State:
  """Put restored checkpoint items back; the inverse of `split`.

  Args:
    state: a state of the right structure; nets of other items are kept.
    items: some or all of the items that `split` returned.
  """
  for tree in items.values():
    state = state.replace(
      step=tree["step"],
      params={**state.params, **tree["params"]},
      variables={**state.variables, **tree.get("variables", {})},
      opt={**state.opt, **tree.get("opt", {})},
      ema={**state.ema, **tree.get("ema", {})},
      memory={**state.memory, **tree.get("memory", {})},
    )
  return state


def best_metric(system: game.System) -> dict[str, Any]:
  """Return the arguments of checkpoints that choose the best one."""
  metric = system.best
  if metric is None:
    return {"best": None}
  return {"best": metric.name, "higher_is_better": metric.higher_is_better}
