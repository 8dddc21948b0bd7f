"""Running statistics of masks that come from other videos."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax.layers import strips
from foregan_jax.nets import animation
from foregan_jax.nets import animation_inputs as inputs

Collections = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CrossIdentity:
  """An extra pass with masks of other videos; `choose` stops gradients.

  At prediction r and L get masks of other objects. The published code applies
  both to such masks in every step, just before the step, so about half of their
  running statistics comes from them. It reads further frames for this; here the
  masks are those of the batch's next sample.

  Attributes:
    r: the mask refiner.
    threshold: see `strips.scale_and_cut`.
    scale: see there.
    start: first step.
  """

  r: nn.Module
  threshold: float
  scale: float
  start: int

  def refine(
    self, r: Collections, source: jax.Array, mask_source, mask_driving
  ) -> tuple[jax.Array, dict[str, Any]]:
    """Return refined masks of other samples, and the new collections of r."""
    other = jnp.roll(mask_driving, 1, axis=0)
    other = strips.scale_and_cut(
      other, threshold=self.threshold, scale=self.scale
    )
    x = inputs.low_input(source, mask_source, other)
    return animation.train(self.r, dict(r), x)

  def choose(
    self, step: jax.Array, old: Collections, new: Collections
  ) -> dict[str, Any]:
    """Return `old` with the running statistics of `new` from `start` on."""
    name = animation.STATISTICS
    pick = lambda a, b: jnp.where(step >= self.start, b, a)
    chosen = jax.tree.map(pick, old[name], new[name])
    return {**old, name: jax.lax.stop_gradient(chosen)}
