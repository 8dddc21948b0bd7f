"""Conversion between stored pixels and the value ranges of networks.

No other device code converts stored pixels. `media.pictures` converts images
on the host, for files and display.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

_WHITE = 255.0


def image_to_float(image: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
  """Map stored pixels [0, 255] to [-1, 1]."""
  return jnp.asarray(image, jnp.float32) * (2.0 / _WHITE) - 1.0


def mask_to_float(mask: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
  """Map a stored mask [0, 255] to a soft mask [0, 1]."""
  return jnp.asarray(mask, jnp.float32) / _WHITE


def image_to_uint8(image: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
  """Map [-1, 1] to stored pixels [0, 255]."""
  return mask_to_uint8((image + 1.0) / 2.0)


def mask_to_uint8(mask: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
  """Map a soft mask [0, 1] to a stored mask [0, 255]."""
  return jnp.round(jnp.clip(mask, 0.0, 1.0) * _WHITE).astype(jnp.uint8)
