"""Tests of the mesh and of the placement of arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from foregan_jax.runtime import mesh as mesh_lib


def test_mesh_has_one_auto_axis_over_all_devices():
  mesh = mesh_lib.make_mesh()
  assert mesh.shape == {"data": jax.device_count()}
  assert mesh.axis_types == (AxisType.Auto,)


@pytest.mark.parametrize(
  "batch_size, nearest", [(0, "4"), (-4, "4"), (2, "4"), (6, "4 or 8")]
)
def test_uneven_batch_raises_with_the_nearest_ones(batch_size, nearest):
  mesh = mesh_lib.make_mesh(jax.devices()[:4])
  with pytest.raises(
    ValueError, match=rf"batch_size is {batch_size}, .*, 4: {nearest} \("
  ):
    mesh_lib.check_batch(batch_size, mesh)


def test_local_batch_size_is_the_share_of_this_process():
  mesh = mesh_lib.make_mesh()
  assert mesh_lib.local_batch_size(8, mesh) == 8
  with pytest.raises(ValueError):
    mesh_lib.local_batch_size(7, mesh)


def test_to_global_splits_rows_in_order():
  mesh = mesh_lib.make_mesh(jax.devices()[:4])
  batch = {"video": np.arange(8 * 3, dtype=np.uint8).reshape(8, 3)}
  placed = mesh_lib.to_global(mesh, batch)
  assert placed["video"].sharding == mesh_lib.sharded(mesh)
  for i, shard in enumerate(placed["video"].addressable_shards):
    np.testing.assert_array_equal(shard.data, batch["video"][2 * i : 2 * i + 2])


def test_step_on_four_devices_equals_one():
  x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
  w = jnp.ones((5, 2))
  grads = {}
  for count in (1, 4):
    mesh = mesh_lib.make_mesh(jax.devices()[:count])
    replicated, sharded = mesh_lib.replicated(mesh), mesh_lib.sharded(mesh)
    loss = lambda w, x: jnp.mean(jnp.tanh(x @ w) ** 2)
    step = jax.jit(
      jax.grad(loss),
      in_shardings=(replicated, sharded),
      out_shardings=replicated,
    )
    params = jax.device_put(w, replicated)
    grads[count] = step(params, mesh_lib.to_global(mesh, x))
  assert len(grads[4].sharding.device_set) == 4
  np.testing.assert_allclose(grads[1], grads[4], rtol=1e-5)


def test_replicate_puts_keys_and_arrays_on_every_device():
  mesh = mesh_lib.make_mesh()
  tree = {"key": jax.random.key(3), "w": np.arange(3)}
  copies = mesh_lib.replicate(mesh, tree)
  assert copies["w"].sharding == mesh_lib.replicated(mesh)
  assert len(copies["key"].sharding.device_set) == jax.device_count()
  assert jnp.array_equal(
    jax.random.key_data(copies["key"]), jax.random.key_data(tree["key"])
  )
