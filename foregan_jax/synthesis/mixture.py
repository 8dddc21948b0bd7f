"""A batch of clips of several kinds, mixed by weights that may change."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from foregan_jax.synthesis import pseudo_video

Batch = Mapping[str, Any]
Weight = float | Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Mixture:
  """A mixture of kinds of clips.

  Attributes:
    kinds: functions from (key, batch) to b clips, with their weights: numbers
      above 0, or functions of the step.
    times: clips per sample of the batch.
  """

  kinds: tuple[tuple[Callable, Weight], ...]
  times: int

  def __call__(self, key, batch: Batch) -> pseudo_video.Clip:
    """Return `times` b clips, in proportion to the weights of the kinds."""
    key_which, *keys = jax.random.split(key, 1 + len(self.kinds))
    repeat = lambda x: jnp.concatenate([x] * self.times) if x.ndim else x
    batch = jax.tree.map(repeat, dict(batch))
    made = [
      make(key, batch) for key, (make, _) in zip(keys, self.kinds, strict=True)
    ]
    # Not every kind has flow and visibility, and no loss reads them.
    made = [clip.replace(flow_fwd=None, visible=None) for clip in made]
    weights = [w(batch["step"]) if callable(w) else w for _, w in self.kinds]
    which = _draw(
      key_which,
      len(made[0].video),
      jnp.stack([jnp.asarray(w, jnp.float32) for w in weights]),
    )

    def pick(*options):
      shape = (-1, *(1,) * (options[0].ndim - 1))
      chosen = options[0]
      for i, option in enumerate(options[1:], start=1):
        chosen = jnp.where((which == i).reshape(shape), option, chosen)
      return chosen

    return jax.tree.map(pick, *made)


def _draw(key, count: int, weights: jax.Array) -> jax.Array:
  """Return the kind of each clip [count], by stratified sampling."""
  bounds = jnp.cumsum(weights / weights.sum())[:-1]
  key_offset, key_order = jax.random.split(key)
  # A common offset: the count of each kind is its share, rounded up or down.
  places = (jnp.arange(count) + jax.random.uniform(key_offset)) / count
  places = jax.random.permutation(key_order, places)
  return jnp.searchsorted(bounds, places)
