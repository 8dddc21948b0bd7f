"""A bump at the centre of an image: where most objects are."""

import jax.numpy as jnp
from jaxtyping import Array, Float

_DEVIATION = 0.5  # in halves of the image's side


def bump(height: int, width: int) -> Float[Array, "h w 1"]:
  """Return a Gaussian of height 1 at the centre of an image."""
  axes = (jnp.linspace(-1, 1, side) / _DEVIATION for side in (height, width))
  y, x = (jnp.exp(-0.5 * axis**2) for axis in axes)
  return (y[:, None] * x[None])[..., None]
