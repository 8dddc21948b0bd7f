"""Defaults that depend on the platform (CPU or accelerator)."""

import jax
import jax.numpy as jnp

# For programs that run once: full optimisation takes longer than the program
# runs (16 s against 2 s for the initial weights of one generator, on CPU).
COMPILE_FAST = {
  "xla_backend_optimization_level": 0,
  "xla_llvm_disable_expensive_passes": True,
}


def unroll(choice: str) -> bool:
  """Return whether to unroll the scan over time.

  On CPU the weight gradient of a convolution inside a loop is 10 to 30 times
  slower than outside it. Accelerators do not have this problem, and a loop
  compiles faster.

  Args:
    choice: `auto` (full on CPU, else loop), `full` or `loop`.

  Raises:
    ValueError: for any other choice.
  """
  table = {"auto": _on_cpu(), "full": True, "loop": False}
  return _choose("scan_unroll", table, choice)


def remat(choice: str) -> bool:
  """Return whether to recompute each transition in the backward pass.

  Inside a loop this saves memory and costs time. Unrolled on CPU it has no
  advantage.

  Args:
    choice: `auto` (on, except on CPU), `on` or `off`.

  Raises:
    ValueError: for any other choice.
  """
  table = {"auto": not _on_cpu(), "on": True, "off": False}
  return _choose("remat", table, choice)


def dtype(choice: str):
  """Return the compute dtype of nets; parameters are always float32.

  Args:
    choice: `auto` (float32 on CPU, else bfloat16), `float32` or `bfloat16`.

  Raises:
    ValueError: for any other choice.
  """
  table = {
    "auto": jnp.float32 if _on_cpu() else jnp.bfloat16,
    "float32": jnp.float32,
    "bfloat16": jnp.bfloat16,
  }
  return _choose("dtype", table, choice)


def key(seed: int) -> jax.Array:
  """Return a PRNG key of the implementation `rbg`.

  With JAX's default implementation, the initialisation of a network takes ten
  times longer to compile on CPU (29 s instead of 2.5 s for a U-Net of 30
  arrays).
  """
  return jax.random.key(seed, impl="rbg")


def _on_cpu() -> bool:
  return jax.default_backend() == "cpu"


def _choose(name: str, table: dict, choice: str):
  if choice not in table:
    raise ValueError(f"{name}={choice!r}: expected one of {sorted(table)}")
  return table[choice]
