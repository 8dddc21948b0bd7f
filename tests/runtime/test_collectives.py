"""Tests of the count of bytes that devices send."""

import jax
import jax.numpy as jnp

from foregan_jax.runtime import collectives
from foregan_jax.runtime import mesh as mesh_lib


def test_sums_over_the_batch_are_counted():
  mesh = mesh_lib.make_mesh()
  x = jnp.ones((8, 5))

  def compiled(function, out):
    jitted = jax.jit(
      function, in_shardings=mesh_lib.sharded(mesh), out_shardings=out
    )
    return jitted.lower(x).compile().as_text()

  everywhere = mesh_lib.replicated(mesh)
  summed = compiled(lambda x: (x.sum(0), x.astype(bool).all()), everywhere)
  assert collectives.count_bytes(summed) == {"all-reduce": 5 * 4 + 1}
  gathered = compiled(lambda x: x * 2, everywhere)
  assert collectives.count_bytes(gathered) == {"all-gather": 8 * 5 * 4}
  kept = compiled(lambda x: x * 2, mesh_lib.sharded(mesh))
  assert not collectives.count_bytes(kept)


def test_operations_in_two_instructions_count_once():
  # As XLA prints programs for GPUs.
  text = """
  %s = (f32[2]{0}, f32[8]{0}) all-gather-start(%x), dimensions={0}
  %d = f32[8]{0} all-gather-done(%s)
  %r = (f32[3,4]{1,0}, bf16[2]{0}) all-reduce-start(%a, %b), to_apply=%add
  %e = (f32[3,4]{1,0}, bf16[2]{0}) all-reduce-done(%r)
  """
  assert collectives.count_bytes(text) == {"all-gather": 32, "all-reduce": 52}
