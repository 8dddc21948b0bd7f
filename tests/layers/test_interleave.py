"""Tests of batches that are joined row by row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import interleave
from foregan_jax.runtime import mesh as mesh_lib


@pytest.mark.parametrize("axis", [0, 1])
def test_split_is_the_inverse_of_join(axis):
  shape = (2, 3, 4)
  a, b, c = (jnp.arange(24.0).reshape(shape) + 100 * i for i in range(3))
  joined = interleave.join(a, b, c, axis=axis)
  assert joined.shape[axis] == 3 * shape[axis]
  rows = jnp.moveaxis(joined, axis, 0)
  for i, x in enumerate((a, b, c)):
    np.testing.assert_array_equal(rows[i::3], jnp.moveaxis(x, axis, 0))
  for x, y in zip(
    interleave.split(joined, 3, axis=axis), (a, b, c), strict=True
  ):
    np.testing.assert_array_equal(x, y)


def test_rows_stay_on_their_devices():
  mesh = mesh_lib.make_mesh()
  place = mesh_lib.sharded(mesh)
  x = jax.device_put(jnp.zeros((8, 3)), place)

  def compiled(function):
    program = jax.jit(function, out_shardings=place).lower(x, x).compile()
    return program.as_text()

  def through(a, b):
    first, second = interleave.split(interleave.join(a, b) * 2.0, 2)
    return first + second

  moves = ("all-to-all(", "all-gather(", "collective-permute(")
  assert not any(move in compiled(through) for move in moves)
  # What it is compared with: this test would see such moves.
  text = compiled(lambda a, b: jnp.concatenate([a, b]))
  assert any(move in text for move in moves)
