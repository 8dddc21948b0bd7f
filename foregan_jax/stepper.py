"""The update, compiled: once per distinct turn, with explicit shardings."""

import functools
import time
from typing import Any

import jax

from foregan_jax import game
from foregan_jax.runtime import mesh as mesh_lib


class Stepper:
  """`game.update` under `jit`: state replicated and donated, batch split."""

  def __init__(self, system, optimizers, mesh, *, ema_decay: float):
    """Remembers what to compile.

    Args:
      system: the method.
      optimizers: one gradient transformation per player.
      mesh: from `runtime.mesh`.
      ema_decay: decay of the averaged nets.
    """
    everywhere, split = mesh_lib.replicated(mesh), mesh_lib.sharded(mesh)
    self._jit = lambda turn: jax.jit(
      functools.partial(
        game.update, system, optimizers, turn, ema_decay=ema_decay
      ),
      in_shardings=(everywhere, split, everywhere),
      out_shardings=(everywhere, everywhere),
      donate_argnums=0,
    )
    self.programs: dict[tuple[str, ...], Any] = {}
    self.compile_seconds: dict[tuple[str, ...], float] = {}

  def compile(self, turn: tuple[str, ...], state, batch, key) -> None:
    """Compiles one turn; arguments may be arrays or their shapes."""
    began = time.perf_counter()
    self.programs[turn] = self._jit(turn).lower(state, batch, key).compile()
    self.compile_seconds[turn] = time.perf_counter() - began

  def __call__(self, turn: tuple[str, ...], state, batch, key):
    """Plays one turn; the state that is passed in is gone afterwards."""
    return self.programs[turn](state, batch, key)
