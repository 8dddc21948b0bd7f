"""The compiled update, and the optimisers and first state of a config."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax

from foregan_jax import game
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import optimizers, platform


class Stepper:
  """`game.update` under `jit`: state replicated and donated, batch split."""

  def __init__(self, system, tx: game.Optimizers, mesh, *, ema_decay: float):
    """Prepare the compilation.

    Args:
      system: the method.
      tx: one gradient transformation per player.
      mesh: from `runtime.mesh`.
      ema_decay: decay of the averaged nets.
    """
    self._mesh = mesh
    replicated, split = mesh_lib.replicated(mesh), mesh_lib.sharded(mesh)
    self._jit = lambda turn: jax.jit(
      functools.partial(game.update, system, tx, turn, ema_decay=ema_decay),
      in_shardings=(replicated, split, replicated),
      out_shardings=(replicated, replicated),
      donate_argnums=0,
    )
    self.programs: dict[tuple[str, ...], Any] = {}
    self.compile_seconds: dict[tuple[str, ...], float] = {}

  def compile(self, turn: tuple[str, ...], state, batch, key) -> None:
    """Compile one turn; arguments may be arrays or their shapes."""
    start = time.perf_counter()
    with jax.set_mesh(self._mesh):  # see `mesh.split_rows`
      lowered = self._jit(turn).lower(state, batch, key)
    self.programs[turn] = lowered.compile()
    self.compile_seconds[turn] = time.perf_counter() - start

  def __call__(self, turn: tuple[str, ...], state, batch, key):
    """Run one turn after its `compile`; the state passed in is donated."""
    return self.programs[turn](state, batch, key)


def make_optimizers(config, system) -> game.Optimizers:
  """Return one optimiser per player.

  Without `decay_steps`, a cosine or linear decay ends with the updates that the
  player makes in the run, see `optimizers.fit_to_run`.
  """
  tx = {}
  for player in system.players:
    c = config.optim[player.name].copy_and_resolve_references()
    if optimizers.ends_with_run(c):
      turns = map(system.turn, range(config.num_steps))
      updates = sum(player.name in turn for turn in turns)
      optimizers.fit_to_run(c, max(1, updates))
    tx[player.name] = optimizers.make(c)
  return tx


def make_init(config, system, tx: game.Optimizers, sharding: Any) -> Callable:
  """Return the compiled function from a key to the first state.

  Args:
    config: of the run.
    system: of the config.
    tx: from `make_optimizers`.
    sharding: of every array of the state.
  """
  # A disabled player has no net to average.
  averaged = [net for net in config.ema_nets if net in system.nets]
  averaged = tuple(averaged) if config.ema_decay else ()

  def init(key):
    return game.init_state(system, tx, key, averaged=averaged)

  return jax.jit(
    init, out_shardings=sharding, compiler_options=platform.COMPILE_FAST
  )


def restart(
  system, names: tuple[str, ...], state: game.State, initial: game.State
) -> game.State:
  """Return the state after some players have started again.

  Args:
    system: the method.
    names: of the players.
    state: the state before; the other players' parts of it are kept.
    initial: the first state of the run.

  Returns:
    The state with the initial nets that these players train, their averages
    and running statistics, and the players' initial optimisers and memories.
  """
  nets = {n for p in system.players if p.name in names for n in p.trains}
  owners = dict(
    params=nets, variables=nets, ema=nets, opt=names, memory=names
  )  # fmt: skip
  parts = {}
  for part, owned in owners.items():
    new = {k: v for k, v in getattr(initial, part).items() if k in owned}
    parts[part] = {**getattr(state, part), **new}
  return state.replace(**parts)
