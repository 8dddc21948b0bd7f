"""Resizing of a part of each axis of an image, by one matrix per axis.

A gather would do the same, but its gradient is a scatter; and matrices carry
gradients to the places themselves.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_THINNEST = 1e-3  # of what `resize_matrix` resizes, pixels


def resample(
  image: Float[Array, "b h w c"],
  y: Float[Array, "b h2 h"],
  x: Float[Array, "b w2 w"],
) -> Float[Array, "b h2 w2 c"]:
  """Apply the weights of the rows, then those of the columns."""
  # Accelerators would multiply with fewer bits.
  exact = jax.lax.Precision.HIGHEST
  rows = jnp.einsum("bih,bhwc->biwc", y, image, precision=exact)
  return jnp.einsum("bjw,biwc->bijc", x, rows, precision=exact)


def resize_matrix(
  start: Float[Array, " b"], stop: Float[Array, " b"], length: int, size: int
) -> Float[Array, "b s n"]:
  """Return the weights that resize a part of an axis.

  Args:
    start: the beginning of the part, in pixels of the axis.
    stop: its end; less than 1e-3 pixels after `start` counts as that much.
    length: number of pixels n of the axis.
    size: number of pixels s of the result.

  Returns:
    The weight of each pixel of the axis for each pixel of the result.
  """
  scale = jnp.maximum(stop - start, _THINNEST) / size
  centres = (jnp.arange(size) + 0.5)[None] * scale[:, None] + start[:, None]
  centres = jnp.clip(centres - 0.5, 0, length - 1)
  pixels = jnp.arange(length, dtype=jnp.float32)
  distance = jnp.abs(pixels[None, None] - centres[..., None])
  weights = jnp.maximum(1 - distance / jnp.maximum(scale, 1)[:, None, None], 0)
  return weights / weights.sum(-1, keepdims=True)
