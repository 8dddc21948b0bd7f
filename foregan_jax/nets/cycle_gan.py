"""Generator and discriminator of CycleGAN.

Zhu et al. (ICCV 2017, arXiv 1703.10593): a residual generator after Johnson et
al. (2016), and a PatchGAN. All norms are instance norms without parameters, so
a bias before one has no effect; the published networks have them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms

UPSAMPLINGS = ("resize", "transposed")
_NEGATIVE_SLOPE = 0.2
_MAX_WIDTHS = 8  # most channels of the discriminator, in units of `width`


class Generator(nn.Module):
  """Translates pictures; their sides must be multiples of 4.

  Attributes:
    channels: of the pictures.
    width: channels of the first layer; 4 times as many in the blocks.
    blocks: residual blocks; published: 9, or 6 for at most 128 pixels.
    upsample: `transposed` convolutions, as published, or `resize`: repeated
      pixels and a convolution, which leaves no checkerboard.
    residual: the output is `clip(x + tanh(.))`, not `tanh(.)`; this keeps the
      brightness, which the norms erase.
    dtype: of the computation; pictures are float32.
  """

  channels: int = 3
  width: int = 64
  blocks: int = 6
  upsample: str = "resize"
  residual: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return pictures in [-1, 1], of the size of the given ones."""
    x = self._conv(self.width, 7, "first")(reflect(image, 3))
    x = self._norm(x)
    for i in (1, 2):
      x = self._conv(2**i * self.width, 3, f"down_{i}", stride=2)(x)
      x = self._norm(x)
    for i in range(self.blocks):
      y = self._conv(4 * self.width, 3, f"block_{i}_a")(reflect(x, 1))
      y = self._norm(y)
      y = self._conv(4 * self.width, 3, f"block_{i}_b")(reflect(y, 1))
      x = x + self._norm(y, relu=False)
    for i in (1, 0):
      x = self._up(x, 2**i * self.width, f"up_{i}")
      x = self._norm(x)
    x = self._conv(self.channels, 7, "last")(reflect(x, 3))
    x = jnp.tanh(x.astype(jnp.float32))
    return jnp.clip(image + x, -1.0, 1.0) if self.residual else x

  def _conv(self, features: int, side: int, name: str, stride: int = 1):
    """Return a convolution; only those with a stride pad with zeros."""
    return convs.Conv(
      features,
      (side, side),
      stride,
      (stride - 1, stride - 1),
      use_bias=True,
      dtype=self.dtype,
      name=name,
    )

  def _norm(self, x: jax.Array, *, relu: bool = True) -> jax.Array:
    x = norms.InstanceNorm(affine=False)(x)
    return nn.relu(x) if relu else x

  def _up(self, x: jax.Array, features: int, name: str) -> jax.Array:
    if self.upsample == "transposed":
      up = convs.TransposedConv(
        features, self.dtype, kernel_size=3, use_bias=True, name=name
      )
      return up(x)
    return ResizeConv(features, self.dtype, name=name)(x)


class ResizeConv(nn.Module):
  """Repeated pixels, reflected at the border, and a 3x3 convolution."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return `features` channels at twice the size."""
    # Reflected pixels of a picture whose pixels are repeated are those of its
    # border: pad before the repetition, and cut what lies outside.
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    up = convs.UpConv(self.features, self.dtype, use_bias=True, name="conv")
    return up(x)[:, 2:-2, 2:-2]


class Discriminator(nn.Module):
  """The PatchGAN: one score per patch of the picture.

  Attributes:
    width: channels of the first layer; they double up to 8 times as many.
    depth: layers of stride 2; a score depends on 70 x 70 pixels with 3, on
      34 x 34 with 2, on 16 x 16 with 1.
    dtype: of the computation; scores are float32.
  """

  width: int = 64
  depth: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: Float[Array, "b h w c"]
  ) -> Float[Array, "b h2 w2 1"]:
    """Return a map of scores, without a sigmoid."""
    x = image
    for i in range(self.depth + 1):
      features = min(2**i, _MAX_WIDTHS) * self.width
      stride = 2 if i < self.depth else 1
      x = self._conv(features, f"conv_{i}", stride)(x)
      if i:
        x = norms.InstanceNorm(affine=False)(x)
      x = nn.leaky_relu(x, _NEGATIVE_SLOPE)
    return self._conv(1, "score", 1)(x).astype(jnp.float32)

  def _conv(self, features: int, name: str, stride: int):
    return convs.Conv(
      features,
      (4, 4),
      stride,
      (1, 1),
      use_bias=True,
      dtype=self.dtype,
      name=name,
    )


def reflect(x: Float[Array, "b h w c"], pixels: int) -> jax.Array:
  """Pad height and width by reflection."""
  pads = [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)]
  return jnp.pad(x, pads, mode="reflect")
