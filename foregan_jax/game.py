"""The contract: Player, System, State, and the one generic update.

Every method here is a game in which some networks move while the others
stand still. A *player* is a loss and the names of the networks it may change;
a *system* is a set of networks, an ordered tuple of players and a rule that
says whose turn it is. `update` below is the only place where parameters
change.

Batch: `dict[str, array]`, leading axis = batch. `update` adds
`batch["step"]`, the number of completed steps, for terms that are scheduled.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import flatten_util

Tree = Any
Batch = Mapping[str, Any]
# An EMA that started at the random initial weights would remember them; the
# decay is capped at (1 + n) / (10 + n) for the first updates.
_EMA_WARMUP = 10.0


@struct.dataclass
class State:
  """All that a run changes: one pure array tree, no functions, no keys.

  Keys are derived: `fold_in(fold_in(base, step), player)`, so a resumed run
  draws what an uninterrupted one would have drawn.
  """

  step: Tree  # int32 scalar, completed steps
  params: dict[str, Tree]  # by net
  variables: dict[str, Tree]  # by net: batch statistics and the like
  opt: dict[str, Tree]  # by player
  ema: dict[str, Tree]  # by net; only the nets that are averaged
  memory: dict[str, Tree]  # by player: an image pool, a replay buffer


@struct.dataclass
class Made:
  """What a player's loss hands back beside the scalar."""

  metrics: dict[str, Tree]  # term -> float32 scalar
  variables: dict[str, Tree] = struct.field(default_factory=dict)
  memory: dict[str, Tree] = struct.field(default_factory=dict)
  # Detached by `update` for the players that move later in the same turn.
  offers: dict[str, Tree] = struct.field(default_factory=dict)


@runtime_checkable
class Player(Protocol):
  """One role: what it minimises, which nets it may change."""

  name: str
  trains: tuple[str, ...]

  def loss(
    self, params: dict[str, Tree], variables: dict[str, Tree], batch: Batch, key
  ) -> tuple[jax.Array, Made]:
    """Returns the scalar to minimise and what was made on the way."""


@runtime_checkable
class Plays(Protocol):
  """A player that others learn from also in turns in which it stands still.

  With `plays_averaged`, they then learn from its averaged nets.
  """

  plays_averaged: bool

  def play(
    self, params: dict[str, Tree], variables: dict[str, Tree], batch: Batch, key
  ) -> dict[str, Tree]:
    """Returns the offers of the forward pass alone."""


@runtime_checkable
class System(Protocol):
  """A method: its nets, its players in the order they move, whose turn."""

  name: str
  task: str  # what it is judged on: "videos" or "stills"
  nets: Mapping[str, Any]  # net -> Linen module
  players: tuple[Player, ...]
  checkpoint_items: Mapping[str, tuple[str, ...]]  # item -> its nets

  def init(self, key, batch: Batch) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Returns fresh (params, variables), both by net."""

  def turn(self, step: int) -> tuple[str, ...]:
    """Returns the players that move at `step`; decided on the host."""

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns shapes and dtypes of one training batch."""

  def predict(self, params: dict[str, Tree], batch: Batch) -> dict[str, Tree]:
    """Returns what the trained nets say about a batch, by head."""


@runtime_checkable
class Watched(Protocol):
  """A system that can tell from its metrics that training goes wrong."""

  def diagnose(self, step: int, metrics: Mapping[str, float]) -> dict[str, str]:
    """Returns what is wrong, by kind: a sentence with the first remedy."""


@runtime_checkable
class Measured(Protocol):
  """A system with parts that are worth a line of the benchmark."""

  def parts(self) -> dict[str, Callable]:
    """Returns functions of (params, batch, key), by what they do."""


@runtime_checkable
class Loads(Protocol):
  """A system that can start from a file of another program."""

  def load_weights(self, params: dict[str, Tree], path: str) -> dict[str, Tree]:
    """Returns params with what the file has; the rest is kept.

    Raises:
      ValueError: naming the file, if it does not fit.
    """


Optimizers = Mapping[str, optax.GradientTransformation]


def init_state(
  system: System,
  optimizers: Optimizers,
  key: jax.Array,
  batch: Batch,
  *,
  averaged: tuple[str, ...] = (),
) -> State:
  """Builds the state before the first step.

  Args:
    system: the method.
    optimizers: one gradient transformation per player.
    key: a PRNG key for the initial weights.
    batch: a batch, or zeros of its shapes.
    averaged: the nets that keep an exponential moving average.

  Returns:
    A state whose leaves are all distinct buffers (so it can be donated).
  """
  params, variables = system.init(key, batch)
  opt = {
    player.name: optimizers[player.name].init(
      {net: params[net] for net in player.trains}
    )
    for player in system.players
  }
  ema = {net: jax.tree.map(jnp.copy, params[net]) for net in averaged}
  return State(jnp.zeros((), jnp.int32), params, variables, opt, ema, {})


def update(
  system: System,
  optimizers: Optimizers,
  turn: tuple[str, ...],
  state: State,
  batch: Batch,
  base_key: jax.Array,
  *,
  ema_decay: float = 0.0,
) -> tuple[State, dict[str, jax.Array]]:
  """Plays one turn: the named players move, in the system's order.

  A moving player's loss is differentiated with respect to the nets it trains
  and nothing else, so every other net is frozen by construction. A player that
  stands still but whose offers a later one needs is only played forward.

  Args:
    system: the method (static).
    optimizers: one gradient transformation per player (static).
    turn: names of the players that move (static: compiled once per turn).
    state: the state before the turn.
    batch: one global batch.
    base_key: the run's key; the turn's randomness follows from it and `step`.
    ema_decay: decay of the averaged nets.

  Returns:
    The state after the turn, and float32 scalars named `player/term`.

  Raises:
    ValueError: if the turn names an unknown player.
  """
  unknown = set(turn) - {player.name for player in system.players}
  if unknown:
    raise ValueError(f"turn names unknown players {sorted(unknown)}")
  key = jax.random.fold_in(base_key, state.step)
  table = {**batch, "step": state.step}
  metrics = {}
  for index, player in enumerate(system.players):
    player_key = jax.random.fold_in(key, index)
    if player.name in turn:
      with jax.named_scope(player.name):
        state, made, numbers = _move(
          player, optimizers[player.name], state, table, player_key, ema_decay
        )
      metrics |= {f"{player.name}/{k}": v for k, v in numbers.items()}
      offers = made.offers
    elif isinstance(player, Plays) and _someone_later(system, index, turn):
      with jax.named_scope(f"{player.name}_plays"):
        params = state.params
        if player.plays_averaged:
          params = evaluation_params(state)
        offers = player.play(params, state.variables, table, player_key)
    else:
      continue
    table |= jax.lax.stop_gradient(offers)
  return state.replace(step=state.step + 1), metrics


def _someone_later(system: System, index: int, turn: tuple[str, ...]) -> bool:
  return any(player.name in turn for player in system.players[index + 1 :])


def _move(player, optimizer, state: State, batch, key, ema_decay):
  """One player's gradient step."""

  def loss(own):
    return player.loss({**state.params, **own}, state.variables, batch, key)

  own = {net: state.params[net] for net in player.trains}
  (value, made), grads = jax.value_and_grad(loss, has_aux=True)(own)
  updates, opt = optimizer.update(grads, state.opt[player.name], own)
  moved = optax.apply_updates(own, updates)
  numbers = {"loss": value, **made.metrics}
  for net in player.trains:
    numbers[f"{net}/grad_norm"] = _norm(grads[net])
    numbers[f"{net}/update_norm"] = _norm(updates[net])
    numbers[f"{net}/param_norm"] = _norm(moved[net])
  count = state.step.astype(jnp.float32)
  decay = jnp.minimum(ema_decay, (1.0 + count) / (_EMA_WARMUP + count))
  ema = {
    net: _average(tree, moved[net], decay) if net in moved else tree
    for net, tree in state.ema.items()
  }
  state = state.replace(
    params={**state.params, **moved},
    variables={**state.variables, **made.variables},
    opt={**state.opt, player.name: opt},
    ema=ema,
    memory={**state.memory, **made.memory},
  )
  return state, made, {k: jnp.float32(v) for k, v in numbers.items()}


def _norm(tree: Tree) -> jax.Array:
  # Of one long vector, for a quick compilation as in `runtime.optimizers`.
  return jnp.linalg.norm(flatten_util.ravel_pytree(tree)[0])


def _average(old: Tree, new: Tree, decay: jax.Array) -> Tree:
  return jax.tree.map(lambda o, n: o * decay + n * (1.0 - decay), old, new)


def evaluation_params(state: State) -> dict[str, Tree]:
  """Returns the parameters to judge a run by: averaged where there are any."""
  return {**state.params, **state.ema}


def split(system: System, state: State) -> dict[str, Tree]:
  """Cuts a state into the system's checkpoint items.

  An item holds its nets, their averages, the optimisers of the players that
  train them, and `step`, so that each can be restored without the others.
  """
  items = {}
  for item, nets in system.checkpoint_items.items():
    owned = [p.name for p in system.players if set(p.trains) <= set(nets)]
    tree = {
      "params": {net: state.params[net] for net in nets},
      "variables": {
        n: state.variables[n] for n in nets if n in state.variables
      },
      "opt": {name: state.opt[name] for name in owned},
      "ema": {net: state.ema[net] for net in nets if net in state.ema},
      "memory": {n: state.memory[n] for n in owned if n in state.memory},
    }
    items[item] = {"step": state.step}
    items[item] |= {name: part for name, part in tree.items() if part}
  return items


def _only(trees: dict[str, Tree], names) -> dict[str, Tree]:
  return {name: trees[name] for name in names if name in trees}


def join(state: State, items: Mapping[str, Tree]) -> State:
  """Puts restored checkpoint items back; the inverse of `split`.

  Args:
    state: a state of the right structure (its other nets are kept).
    items: some or all of what `split` gave.
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
