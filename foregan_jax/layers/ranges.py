"""From stored pixels to what networks see, and back; only here.

The way back for files and eyes, on the host, is `media.pictures`.
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


def image_to_uint8(image: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
  """Maps [-1, 1] to stored pixels [0, 255]."""
  return mask_to_uint8((image + 1.0) / 2.0)


def mask_to_uint8(mask: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
  """Maps a soft mask [0, 1] to stored coverage [0, 255]."""
  return jnp.round(jnp.clip(mask, 0.0, 1.0) * _WHITE).astype(jnp.uint8)
