"""One net per region of a face, with stacked parameters."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Tree = Any


@dataclasses.dataclass(frozen=True)
class PerRegion:
  """Independent nets of one architecture, one per region.

  Every array of their collections has a leading axis of regions.

  Attributes:
    net: the architecture.
    count: number of regions.
    unroll: apply one net after another, not all at once by `jax.vmap`. This is
      faster on CPU, where XLA's grouped convolutions are slow: a vmapped one
      took 1.6 times as long.
  """

  net: nn.Module
  count: int
  unroll: bool

  def init(self, key: jax.Array, x: jax.ShapeDtypeStruct) -> Tree:
    """Return fresh collections for pictures of the shape of one region."""
    each = [
      self.net.lazy_init(jax.random.fold_in(key, i), x)
      for i in range(self.count)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

  def apply(self, collections: Tree, *args: Any) -> Any:
    """Apply each net to its region: arrays and results are [r, ...]."""
    if not self.unroll:
      return jax.vmap(self.net.apply)(collections, *args)
    results = []
    for i in range(self.count):
      own, inputs = jax.tree.map(lambda x, i=i: x[i], (collections, args))
      results.append(self.net.apply(own, *inputs))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
