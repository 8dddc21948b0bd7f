"""The difference of two images in the features of a frozen network."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import pyramid

Images = Float[Array, "b h w 3"]
# By scale: the image itself, and its features.
Description = list[list[jax.Array]]


@dataclasses.dataclass(frozen=True)
class Perceptual:
  """`sum_a sum_i w_i mean |phi_i(x_a) - phi_i(y_a)|` over scales and features.

  x_a is the image at 1 / a of its size (`pyramid.shrink`). The term with
  weight `pixel` compares the images themselves: features without a mean do not
  see the colour.

  Source: Shalev and Wolf (CVPR 2022), their code; Johnson et al. (2016).

  Attributes:
    features: returns a list of features for (collections of the frozen net,
      images in [0, 1]).
    weights: of the features; features after these are ignored.
    pixel: weight of the images.
    scales: factors by which the images are shrunk.
  """

  features: Callable[[Any, Images], list[jax.Array]]
  weights: tuple[float, ...]
  pixel: float
  scales: tuple[int, ...]

  def describe(self, frozen: Any, image: Images) -> Description:
    """Return what `__call__` compares; a target is described once only."""
    small = [pyramid.shrink(image, times) for times in self.scales]
    return [[x, *self.features(frozen, x)] for x in small]

  def __call__(
    self, frozen: Any, image: Images, target: Description
  ) -> jax.Array:
    """Return the mean loss of images against a description."""
    return self.each(frozen, image, target).mean()

  def each(
    self, frozen: Any, image: Images, target: Description
  ) -> Float[Array, " b"]:
    """Return the loss of each image."""
    total = jnp.zeros(image.shape[0])
    made = self.describe(frozen, image)
    for ours, theirs in zip(made, target, strict=True):
      weights = (self.pixel, *self.weights)
      for weight, x, y in zip(weights, ours, theirs, strict=True):
        if weight:
          y = jax.lax.stop_gradient(y)
          total += weight * jnp.abs(x - y).mean((1, 2, 3))
    return total
