"""Inpainting of the object region in the first frame."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Distance in pixels from the hole to the source colour: VOS-ForeGAN's value.
_DISTANCE = 3


def fill_rows(
  image: Float[Array, "b h w 3"], mask: Float[Array, "b h w 1"]
) -> Float[Array, "b h w 3"]:
  """Fill each row of the hole with the colours left and right of it.

  A row has k hole pixels (mask > 0). The first k // 2 take the colour 3 columns
  left of the hole, the others the colour 3 columns right of it. If the hole
  touches one border, all its pixels take the colour of the other side. If it
  touches both, the row is copied from the row above, or filled with the mean
  colour if there is no row above.

  Source: VOS-ForeGAN sec. 2.3. Its code leaves a seam in the middle and
  overflows at borders.
  """
  hole = mask[..., 0] > 0
  width = hole.shape[-1]
  left = jnp.argmax(hole, axis=-1)
  right = width - 1 - jnp.argmax(hole[..., ::-1], axis=-1)
  rank = jnp.cumsum(hole, axis=-1)
  from_left = rank <= rank[..., -1:] // 2
  # If the hole touches a border, only the other side has colours.
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
  """Replace rows whose hole touches both borders by the next row above."""
  height = hole.shape[1]
  # Such a row has no colour left or right of its hole. It may still have pixels
  # between two parts of the hole; they stay as they are.
  usable = ~(hole[..., 0] & hole[..., -1])
  above = jnp.where(usable, jnp.arange(height)[None], -1)
  above = jax.lax.cummax(above, axis=1)[..., None, None]
  source = jnp.take_along_axis(filled, jnp.maximum(above, 0), axis=1)
  outside = ~hole[..., None]
  mean = jnp.sum(image * outside, axis=(1, 2), keepdims=True)
  mean = mean / jnp.maximum(outside.sum(axis=(1, 2), keepdims=True), 1)
  source = jnp.where(above >= 0, source, mean.astype(image.dtype))
  keep = usable[..., None, None] | outside
  return jnp.where(keep, filled, source)
