"""The benchmark's count of operations."""

import jax
import jax.numpy as jnp
import pytest

from foregan_jax import bench
from foregan_jax.runtime import mesh as mesh_lib

_ROWS, _INNER, _COLUMNS = 8, 16, 4


@pytest.mark.parametrize("sharded", [False, True])
def test_operations_of_all_devices_are_counted(sharded):
  a, b = jnp.ones((_ROWS, _INNER)), jnp.ones((_INNER, _COLUMNS))
  if sharded:
    a = mesh_lib.to_global(mesh_lib.make_mesh(), a)
    assert len(a.sharding.device_set) == len(jax.devices()) > 1
  assert bench._count(jnp.dot, a, b) == 2 * _ROWS * _INNER * _COLUMNS


def test_keys_are_accepted():
  draw = lambda key: jax.random.normal(key, (3,)) + 1
  assert bench._count(draw, jax.random.key(0, impl="rbg")) > 0
