"""Choices that depend on what the program runs on, and can be overruled."""

import jax
import jax.numpy as jnp

# For programs that run once: compiling them well takes longer than they run
# (16 s against 2 s for the weights of one generator, on CPU).
COMPILE_FAST = {
  "xla_backend_optimization_level": 0,
  "xla_llvm_disable_expensive_passes": True,
}


def unroll(choice: str) -> bool:
  """Says whether to unroll the scan over time.

  On CPU the weight gradient of a convolution inside a loop is 10 to 30 times
  slower than outside it; accelerators have no such trouble, and a rolled loop
  compiles faster.

  Args:
    choice: `auto`, `full` or `loop`.

  Raises:
    ValueError: for any other word.
  """
  table = {"auto": _on_cpu(), "full": True, "loop": False}
  return _choose("scan_unroll", table, choice)


def remat(choice: str) -> bool:
  """Says whether to recompute each transition in the backward pass.

  It trades time for memory inside a loop and gains nothing once unrolled on
  CPU.

  Args:
    choice: `auto`, `on` or `off`.

  Raises:
    ValueError: for any other word.
  """
  table = {"auto": not _on_cpu(), "on": True, "off": False}
  return _choose("remat", table, choice)


def dtype(choice: str):
  """Returns the compute dtype of nets; parameters stay float32.

  Args:
    choice: `auto` (bfloat16 on accelerators), `float32` or `bfloat16`.

  Raises:
    ValueError: for any other word.
  """
  table = {
    "auto": jnp.float32 if _on_cpu() else jnp.bfloat16,
    "float32": jnp.float32,
    "bfloat16": jnp.bfloat16,
  }
  return _choose("dtype", table, choice)


def key(seed: int) -> jax.Array:
  """Returns a key of the hardware-friendly generator.

  Drawing a network's weights with JAX's default generator takes ten times
  longer to compile on CPU (29 s instead of 2.5 s for a U-Net of 30 arrays).
  """
  return jax.random.key(seed, impl="rbg")


def _on_cpu() -> bool:
  return jax.default_backend() == "cpu"


def _choose(name: str, table: dict, choice: str):
  if choice not in table:
    raise ValueError(f"{name}={choice!r}: expected one of {sorted(table)}")
  return table[choice]
