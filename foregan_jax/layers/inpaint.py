"""Filling the hole that an object leaves in the first frame."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# How far from the object's edge the colour is taken: VOS-ForeGAN's value.
_DISTANCE = 3


def rows(
  image: Float[Array, "b h w 3"], mask: Float[Array, "b h w 1"]
) -> Float[Array, "b h w 3"]:
  """Fill each row of the hole with the colours left and right of it.

  Of the k hole pixels of a row (mask > 0) the first k // 2 take the colour
  3 columns left of the first, the others that 3 columns right of the last
  (VOS-ForeGAN sec. 2.3; its code leaves a seam in the middle and overflows
  at borders). A side that the hole leaves no column of yields to the other;
  a row whose hole touches both takes the row above, or the mean colour.
  """
  hole = mask[..., 0] > 0
  width = hole.shape[-1]
  left = jnp.argmax(hole, axis=-1)
  right = width - 1 - jnp.argmax(hole[..., ::-1], axis=-1)
  rank = jnp.cumsum(hole, axis=-1)
  from_left = rank <= rank[..., -1:] // 2
  # The hole touches one border: only the other side has colours.
  from_left = (from_left | (right == width - 1)[..., None]) & (left > 0)[
    ..., None
  ]
  column = jnp.where(
    from_left,
    jnp.maximum(left - _DISTANCE, 0)[..., None],
    jnp.minimum(right + _DISTANCE, width - 1)[..., None],
  )
  fill = jnp.take_along_axis(image, column[..., None], axis=2)
  filled = jnp.where(hole[..., None], fill, image)
  return _fill_whole_rows(filled, hole, image)


def _fill_whole_rows(
  filled: jax.Array, hole: jax.Array, image: jax.Array
) -> jax.Array:
  """Replace rows that are all hole by the nearest other row above them."""
  height = hole.shape[1]
  # A hole that touches both borders leaves no colour beside it, only inside.
  usable = ~(hole[..., 0] & hole[..., -1])
  above = jnp.where(usable, jnp.arange(height)[None], -1)
  above = jax.lax.cummax(above, axis=1)[..., None, None]
  source = jnp.take_along_axis(filled, jnp.maximum(above, 0), axis=1)
  seen = ~hole[..., None]
  mean = jnp.sum(image * seen, axis=(1, 2), keepdims=True)
  mean = mean / jnp.maximum(seen.sum(axis=(1, 2), keepdims=True), 1)
  source = jnp.where(above >= 0, source, mean.astype(image.dtype))
  keep = usable[..., None, None] | seen
  return jnp.where(keep, filled, source)
