"""From stored pixels to what networks see; only here.

The way back, for files and eyes, is `foregan_jax.pictures`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

_WHITE = 255.0


def image_to_float(image: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
  """Maps stored pixels [0, 255] to [-1, 1]."""
  return jnp.asarray(image, jnp.float32) * (2.0 / _WHITE) - 1.0


def mask_to_float(mask: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
  """Maps stored coverage [0, 255] to a soft mask [0, 1]."""
  return jnp.asarray(mask, jnp.float32) / _WHITE
