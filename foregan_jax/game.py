"""The contract: Player, System, State, and the one generic update.

Each method trains several networks against each other or for each other. A
*player* is a loss and the names of the networks that this loss may change. A
*system* is a set of networks, an ordered tuple of players, and a rule that
says which players move in a *turn*. `update` is the only function that
trains parameters.

Batch: `dict[str, array]`, leading axis = batch. `update` adds
`batch["step"]`, the number of completed steps, for scheduled terms, and the
offers of the players that moved earlier in the same turn.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import flatten_util

Tree = Any
Batch = Mapping[str, Any]
# The average starts at the initial weights. The cap (1 + n) / (10 + n) on the
# decay, with n completed steps, makes it forget them early in a run.
_EMA_WARMUP = 10.0


class State(struct.PyTreeNode):
  """Everything that a run changes: one tree of arrays, without functions.

  It has no PRNG keys. They are derived as
  `fold_in(fold_in(base, step), player)`, so a resumed run draws the same
  numbers as an uninterrupted one. `frozen` is the exception:
  it never changes and no checkpoint contains it.
  """

  step: Tree  # int32 scalar, completed steps
  params: dict[str, Tree]  # by net
  variables: dict[str, Tree]  # by net: {collection: tree}, running statistics
  opt: dict[str, Tree]  # by player
  ema: dict[str, Tree]  # by net; only the averaged nets
  memory: dict[str, Tree]  # by player; only players with a memory
  frozen: dict[str, Tree] = struct.field(default_factory=dict)  # by net


class Nets(struct.PyTreeNode):
  """The networks as losses and predictions read them.

  `nets[name]` is the first argument of the `apply` method of that network.

  Attributes:
    params: parameters by net, those of frozen nets included.
    variables: other collections by net, such as `batch_stats`.
    memory: the memory of the player whose loss is computed; None without one.
  """

  params: dict[str, Tree]
  variables: dict[str, Tree] = struct.field(default_factory=dict)
  memory: Tree = None

  def __getitem__(self, net: str) -> dict[str, Tree]:
    """Return all collections of a net, `params` among them."""
    return {"params": self.params[net], **self.variables.get(net, {})}


class Made(struct.PyTreeNode):
  """What a loss returns beside its scalar.

  Attributes:
    metrics: float32 scalars by term.
    variables: new collections by net; only of nets that the player trains.
    memory: the player's new memory; None leaves it unchanged.
    offers: arrays for the players that move later in the same turn. `update`
      stops their gradient.
  """

  metrics: dict[str, Tree]
  variables: dict[str, Tree] = struct.field(default_factory=dict)
  memory: Tree = None
  offers: dict[str, Tree] = struct.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FrozenNet:
  """A network that nobody trains, with weights from a file or a package.

  Attributes:
    source: the file or package, for error messages.
    load: returns `{"params": ..., other collections}` on the host.
  """

  source: str
  load: Callable[[], dict[str, Tree]]


@dataclasses.dataclass(frozen=True)
class Metric:
  """The metric by which a run keeps its best checkpoint.

  All metrics read the ground truth of the evaluation split. A method that
  uses no labels has none: `System.best` is None, and its latest checkpoint
  counts.

  Attributes:
    name: as checkpoints store it.
    higher_is_better: whether the largest value is the best.
  """

  name: str
  higher_is_better: bool = True


@runtime_checkable
class Player(Protocol):
  """One role: a loss, and the nets that this loss may change."""

  @property
  def name(self) -> str:
    """Return the name, unique in the system."""

  @property
  def trains(self) -> tuple[str, ...]:
    """Return the nets that the loss may change."""

  def loss(self, nets: Nets, batch: Batch, key) -> tuple[jax.Array, Made]:
    """Return the scalar to minimise, and metrics, offers and the like."""


@runtime_checkable
class ForwardPlayer(Protocol):
  """A player whose forward pass others need even when it is not updated.

  With `forward_averaged`, that forward pass uses the averaged nets.
  """

  forward_averaged: bool

  def forward(self, nets: Nets, batch: Batch, key) -> dict[str, Tree]:
    """Return the offers of the forward pass."""


@runtime_checkable
class HasMemory(Protocol):
  """A player that keeps arrays between its updates, such as an image pool."""

  def init_memory(self) -> Tree:
    """Return the memory before the first step."""


@runtime_checkable
class System(Protocol):
  """A method: its nets, its players in the order they move, and the turns.

  What evaluators and predictors call beside this: `tasks.py`.
  """

  name: str
  task: str  # one of `tasks.TASKS`: how the system is evaluated
  best: Metric | None  # None: no checkpoint is the best
  nets: Mapping[str, Any]  # net -> Linen module; trained ones only
  frozen: Mapping[str, FrozenNet]
  players: tuple[Player, ...]
  checkpoint_items: Mapping[str, tuple[str, ...]]  # item -> its nets

  def init(self, key) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Return fresh (params, variables) of the trained nets, both by net."""

  def turn(self, step: int) -> tuple[str, ...]:
    """Return the players that move at `step`; decided on the host."""

  def batch_spec(self, batch_size: int) -> dict[str, Any]:
    """Return shapes and dtypes of one training batch."""


Optimizers = Mapping[str, optax.GradientTransformation]


def init_state(
  system: System,
  optimizers: Optimizers,
  key: jax.Array,
  *,
  averaged: tuple[str, ...] = (),
) -> State:
  """Build the state before the first step, without frozen nets.

  Args:
    system: the method.
    optimizers: one gradient transformation per player.
    key: a PRNG key for the initial weights.
    averaged: the nets that keep an exponential moving average.

  Returns:
    A state whose leaves are all distinct buffers, so that it can be donated.
  """
  params, variables = system.init(key)
  opt = {
    player.name: optimizers[player.name].init(
      {net: params[net] for net in player.trains}
    )
    for player in system.players
  }
  memory = {
    player.name: player.init_memory()
    for player in system.players
    if isinstance(player, HasMemory)
  }
  ema = {net: jax.tree.map(jnp.copy, params[net]) for net in averaged}
  return State(jnp.zeros((), jnp.int32), params, variables, opt, ema, memory)


def current_nets(state: State) -> Nets:
  """Return the nets as they are, frozen ones included."""
  params, variables = dict(state.params), dict(state.variables)
  for net, collections in state.frozen.items():
    params[net] = collections["params"]
    variables[net] = {k: v for k, v in collections.items() if k != "params"}
  return Nets(params, variables)


def evaluation_nets(state: State) -> Nets:
  """Return the nets for evaluation and prediction.

  Averaged parameters replace the current ones where there are any. Running
  statistics are the current ones: they are averages already.
  """
  nets = current_nets(state)
  return nets.replace(params={**nets.params, **state.ema})


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
  """Update the players of one turn, in the system's order.

  The gradient of a player's loss is taken with respect to the nets it trains
  and nothing else, so every other net is frozen by construction. A player that
  is not in the turn runs its forward pass alone if a later player is in it.

  Args:
    system: the method (static).
    optimizers: one gradient transformation per player (static).
    turn: names of the players to update (static: compiled once per turn).
    state: the state before the turn.
    batch: one global batch.
    base_key: the run's key; all randomness follows from it and `state.step`.
    ema_decay: decay of the averaged nets.

  Returns:
    The state after the turn, and float32 scalars named `player/term`.

  Raises:
    ValueError: if the turn names an unknown player, an offer would replace
      data or another offer, or a loss returns variables or a memory that its
      player does not own.
  """
  unknown = set(turn) - {player.name for player in system.players}
  if unknown:
    raise ValueError(f"turn names unknown players {sorted(unknown)}")
  key = jax.random.fold_in(base_key, state.step)
  batch = _add(batch, {"step": state.step}, "the update")
  metrics = {}
  for index, player in enumerate(system.players):
    player_key = jax.random.fold_in(key, index)
    if player.name in turn:
      with jax.named_scope(player.name):
        state, made, scalars = _move(
          player, optimizers[player.name], state, batch, player_key, ema_decay
        )
      metrics |= {f"{player.name}/{k}": v for k, v in scalars.items()}
      offers = made.offers
    elif isinstance(player, ForwardPlayer) and _is_needed(system, index, turn):
      with jax.named_scope(f"{player.name}_forward"):
        averaged = player.forward_averaged
        nets = evaluation_nets(state) if averaged else current_nets(state)
        offers = player.forward(nets, batch, player_key)
    else:
      continue
    batch = _add(batch, jax.lax.stop_gradient(offers), f"player {player.name}")
  return state.replace(step=state.step + 1), metrics


def _is_needed(system: System, index: int, turn: tuple[str, ...]) -> bool:
  return any(player.name in turn for player in system.players[index + 1 :])


def _add(batch: Batch, offers: Mapping[str, Tree], source: str) -> Batch:
  """Add offers to a batch; they never replace data or other offers."""
  repeated = sorted(set(offers) & set(batch))
  if repeated:
    raise ValueError(
      f"{source} offers {', '.join(repeated)}, but the batch has that already"
    )
  return {**batch, **offers}


def _move(player, optimizer, state: State, batch, key, ema_decay):
  """Take one player's gradient step."""
  nets = current_nets(state).replace(memory=state.memory.get(player.name))

  def loss(own):
    return player.loss(nets.replace(params={**nets.params, **own}), batch, key)

  own = {net: state.params[net] for net in player.trains}
  (value, made), grads = jax.value_and_grad(loss, has_aux=True)(own)
  _check_made(player, made)
  updates, opt = optimizer.update(grads, state.opt[player.name], own)
  moved = optax.apply_updates(own, updates)
  scalars = {"loss": value, **made.metrics}
  for net in player.trains:
    scalars[f"{net}/grad_norm"] = _norm(grads[net])
    scalars[f"{net}/update_norm"] = _norm(updates[net])
    scalars[f"{net}/param_norm"] = _norm(moved[net])
  decay = _ema_decay(ema_decay, state, opt)
  ema = {
    net: _average(tree, moved[net], decay) if net in moved else tree
    for net, tree in state.ema.items()
  }
  memory = {} if made.memory is None else {player.name: made.memory}
  state = state.replace(
    params={**state.params, **moved},
    variables={**state.variables, **made.variables},
    opt={**state.opt, player.name: opt},
    ema=ema,
    memory={**state.memory, **memory},
  )
  return state, made, {k: jnp.float32(v) for k, v in scalars.items()}


def _ema_decay(limit: float, state: State, opt: Tree) -> jax.Array:
  """Return the decay of averages, which rises to `limit` in early updates.

  A player that starts late, or moves rarely, needs the rise as well, so it
  counts the player's own updates: every optimiser with a schedule or with
  moments has a `count`. Without one, it counts the steps.
  """
  counts = optax.tree_utils.tree_get_all_with_path(opt, "count")
  updates = counts[0][1] - 1 if counts else state.step
  count = updates.astype(jnp.float32)
  return jnp.minimum(limit, (1.0 + count) / (_EMA_WARMUP + count))


def _check_made(player, made: Made) -> None:
  """Refuse variables of other players' nets, and an undeclared memory."""
  foreign = sorted(set(made.variables) - set(player.trains))
  if foreign:
    raise ValueError(
      f"player {player.name} returns variables of {', '.join(foreign)}, but "
      f"trains {', '.join(player.trains)}"
    )
  if made.memory is not None and not isinstance(player, HasMemory):
    raise ValueError(
      f"player {player.name} returns a memory, but has no init_memory"
    )


def _norm(tree: Tree) -> jax.Array:
  # One long vector compiles faster than a sum over leaves; see
  # `runtime.optimizers`.
  return jnp.linalg.norm(flatten_util.ravel_pytree(tree)[0])


def _average(old: Tree, new: Tree, decay: jax.Array) -> Tree:
  return jax.tree.map(lambda o, n: o * decay + n * (1.0 - decay), old, new)
