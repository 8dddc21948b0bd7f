"""A small segmenter of single images."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms, warp

_CHANNELS_PER_GROUP = 8


class Segmenter(nn.Module):
  """A U-Net that separates the object of an image from the background.

  It halves the image `depth` times; level l has `width 2^l` channels. The
  coarsest level gets the mean over the image, because the choice of the object
  depends on the whole image. Group norms use no batch statistics, so the result
  does not depend on the number of devices.
  """

  width: int = 16
  depth: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w 3"]) -> Float[Array, "b h w 1"]:
    """Return float32 mask logits of an RGB image in [-1, 1]."""
    x = self._two_blocks(image.astype(self.dtype), self.width, "enc_0")
    skips = []
    for level in range(1, self.depth + 1):
      skips.append(x)
      features = self.width * 2**level
      x = self._conv_block(x, features, f"down_{level}", stride=2)
      x = self._two_blocks(x, features, f"enc_{level}")
    context = nn.Dense(x.shape[-1], dtype=self.dtype, name="context")
    x = nn.relu(x + context(x.mean(axis=(1, 2)))[:, None, None])
    for level in reversed(range(self.depth)):
      skip = skips[level]
      x = warp.resize(x, skip.shape[1:3], align_corners=False)
      x = jnp.concatenate([x, skip], axis=-1)
      x = self._two_blocks(x, self.width * 2**level, f"dec_{level}")
    head = nn.Conv(1, (1, 1), dtype=jnp.float32, name="mask_logits")
    return head(x.astype(jnp.float32))

  def _two_blocks(self, x: jax.Array, features: int, name: str) -> jax.Array:
    x = self._conv_block(x, features, f"{name}_0")
    return self._conv_block(x, features, f"{name}_1")

  def _conv_block(
    self, x: jax.Array, features: int, name: str, stride: int = 1
  ) -> jax.Array:
    """Apply a 3x3 convolution, group norm and ReLU."""
    conv = functools.partial(
      convs.Conv, kernel_init=nn.initializers.he_normal()
    )
    groups = max(features // _CHANNELS_PER_GROUP, 1)
    x = conv(features, (3, 3), stride, (1, 1), dtype=self.dtype, name=name)(x)
    x = norms.GroupNorm(groups, dtype=self.dtype, name=f"{name}_norm")(x)
    return nn.relu(x)
