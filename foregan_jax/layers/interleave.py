"""Several batches as one, without communication between devices."""

import jax
import jax.numpy as jnp


def join(*batches: jax.Array, axis: int = 0) -> jax.Array:
  """Join n batches row by row: a0 b0 a1 b1 ..., for one call of a net.

  The batch axis is split over the devices. If the batches were joined one after
  the other (`jnp.concatenate`), rows would move to other devices and back.

  Args:
    batches: of the same shape.
    axis: the batch axis.
  """
  joined = jnp.stack(batches, axis + 1)
  shape = batches[0].shape
  return joined.reshape(*shape[:axis], -1, *shape[axis + 1 :])


def split(joined: jax.Array, count: int, *, axis: int = 0) -> list[jax.Array]:
  """Return the n batches of `join`."""
  shape = joined.shape
  rows = joined.reshape(*shape[:axis], -1, count, *shape[axis + 1 :])
  pick = jax.lax.index_in_dim
  return [pick(rows, i, axis + 1, keepdims=False) for i in range(count)]
