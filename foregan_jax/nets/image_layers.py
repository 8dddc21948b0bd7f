"""Image layers from noise: the generators of Improved Layered GANs.

Figure A.1 a of Yang et al. (WACV 2022): DCGAN trunks; the public code z draws
background and foreground, the private code c only the foreground. `width` 64
and `size` 128 are the paper's.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import codes, convs, norms

_FIRST = 4  # side of the picture that the trunk starts from
_WIDEST = 16  # channels there at most, in units of `width`
_FEWEST = 16  # channels that a foreground is drawn from: as the paper's last
orthogonal = nn.initializers.orthogonal()


class Foreground(struct.PyTreeNode):
  """Output of the foreground generator.

  Attributes:
    image: [b, h, w, 3] in [-1, 1].
    mask: [b, h, w, 1] in [0, 1].
  """

  image: Any
  mask: Any


class BackgroundGenerator(nn.Module):
  """Draw a background from the public code alone.

  `literal`, here and below, computes the convolutions as the paper writes
  them: the same values, slower.
  """

  size: int = 128
  width: int = 64
  dtype: Any = jnp.float32
  literal: bool = False

  @nn.compact
  def __call__(self, public: Float[Array, "b z"]) -> Float[Array, "b h w 3"]:
    """Return images in [-1, 1], float32."""
    trunk = Trunk(self.size, self.width, self.dtype, self.literal, name="trunk")
    x = trunk(public)
    return jnp.tanh(_head(3, "image")(x.astype(jnp.float32)))


class ForegroundGenerator(nn.Module):
  """Draw a foreground and its mask.

  The mask depends on the public code and on the superclass of the private
  one; the colours, in addition, on the private code itself.
  """

  size: int = 128
  width: int = 64
  num_residuals: int = 2
  dtype: Any = jnp.float32
  literal: bool = False

  @nn.compact
  def __call__(
    self,
    public: Float[Array, "b z"],
    superclass: Float[Array, "b s"],
    private: Float[Array, "b c"],
  ) -> Foreground:
    """Return image and mask, float32; both codes are one-hot."""
    x = jnp.concatenate([superclass, public], axis=-1)
    trunk = Trunk(self.size, self.width, self.dtype, self.literal, name="trunk")
    x = trunk(x)
    refine = lambda features, name: RefinementBlock(
      features, self.num_residuals, self.dtype, self.literal, name=name
    )
    # Otherwise, at small widths, the background has more capacity than the
    # foreground to draw the object.
    channels = lambda share: max(self.width // share, _FEWEST)
    shape = refine(channels(2), "refine_shape")(x, superclass)
    mask = nn.sigmoid(_head(1, "mask")(shape.astype(jnp.float32)))
    look = refine(channels(4), "refine_look")(shape, private)
    image = jnp.tanh(_head(3, "image")(look.astype(jnp.float32)))
    return Foreground(image, mask)


class Trunk(nn.Module):
  """Turn codes into `width` channels at `size`, doubling from 4x4.

  Raises:
    ValueError: if `size` is not 4 times a power of two, 8 at least.
  """

  size: int
  width: int
  dtype: Any
  literal: bool = False

  @nn.compact
  def __call__(self, code: jax.Array) -> jax.Array:
    """Return features [b, size, size, width]."""
    doublings = (self.size // _FIRST).bit_length() - 1
    if doublings < 1 or _FIRST << doublings != self.size:
      raise ValueError(
        f"size is {self.size}, but must be 8, 16, 32 or a further doubling."
      )
    # Small pictures start narrower, so that all end with `width` channels.
    channels = min(1 << doublings, _WIDEST) * self.width
    x = nn.Dense(
      _FIRST * _FIRST * channels,
      use_bias=False,
      dtype=self.dtype,
      kernel_init=orthogonal,
      name="linear",
    )(code)
    norm = lambda name: norms.BatchNorm(dtype=self.dtype, name=name)
    x = nn.relu(norm("linear_norm")(x))
    x = x.reshape(-1, _FIRST, _FIRST, channels)
    for i in range(doublings):
      channels = max(channels // 2, self.width)
      up = convs.UpConv(
        channels, self.dtype, orthogonal, self.literal, name=f"up_{i}"
      )
      x = nn.relu(norm(f"up_{i}_norm")(up(x)))
    return x


class RefinementBlock(nn.Module):
  """Add a code to the features, transform them, change their number."""

  features: int
  num_residuals: int
  dtype: Any
  literal: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, code: jax.Array) -> jax.Array:
    """Return features [b, h, w, features]."""
    conv = lambda features, name: convs.Conv(
      features,
      (3, 3),
      padding=(1, 1),
      dtype=self.dtype,
      kernel_init=orthogonal,
      name=name,
    )
    rectified = lambda x, name: nn.relu(
      norms.BatchNorm(dtype=self.dtype, name=name)(x)
    )
    channels = x.shape[-1]
    told = codes.CodeConv(
      channels, self.dtype, orthogonal, self.literal, name="told"
    )
    x = told(x, code)
    for i in range(self.num_residuals):
      y = conv(channels, f"residual_{i}_conv_0")(
        rectified(x, f"residual_{i}_norm_0")
      )
      x = x + conv(channels, f"residual_{i}_conv_1")(
        rectified(y, f"residual_{i}_norm_1")
      )
    x = conv(self.features, "last")(rectified(x, "middle_norm"))
    return rectified(x, "last_norm")


def _head(features: int, name: str) -> convs.Conv:
  return convs.Conv(
    features, (3, 3), padding=(1, 1), use_bias=True, kernel_init=orthogonal,
    name=name,
  )  # fmt: skip
