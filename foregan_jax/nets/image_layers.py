"""Generators of image layers from noise (Improved Layered GANs).

Figure A.1 a of Yang et al. (WACV 2022), with DCGAN trunks. The public code z
controls background and foreground; the private code c controls only the
foreground. The paper uses `width` 64 and `size` 128.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import bumps, codes, convs, norms

_FIRST_SIDE = 4  # height and width of the trunk's first map
_MAX_WIDTHS = 16  # most channels of that map, in units of `width`
_MIN_CHANNELS = 16  # least input channels of a foreground head, as published
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
  """A generator of backgrounds from the public code alone.

  `literal`, here and below, computes the convolutions exactly as the paper
  writes them: the values are the same, the computation is slower.
  """

  size: int = 128
  width: int = 64
  dtype: Any = jnp.float32
  literal: bool = False

  @nn.compact
  def __call__(self, public: Float[Array, "b z"]) -> Float[Array, "b h w 3"]:
    """Return float32 images in [-1, 1]."""
    trunk = Trunk(self.size, self.width, self.dtype, self.literal, name="trunk")
    x = trunk(public)
    return jnp.tanh(_head(3, "image")(x.astype(jnp.float32)))


class ForegroundGenerator(nn.Module):
  """A generator of foregrounds and their masks.

  The mask depends on the public code and on the superclass of the private
  code. The colours depend on the private code too.

  Attributes:
    size: height and width of the images.
    width: channels of the trunk's last features.
    num_residuals: residual blocks before each head.
    dtype: of the convolutions.
    literal: see `BackgroundGenerator`.
    prior: added to the mask's logits at the image's centre, and subtracted far
      from it; 0 as published. Ours: without it, the background may draw the
      objects of varied pictures, and the masks only their outlines.
  """

  size: int = 128
  width: int = 64
  num_residuals: int = 2
  dtype: Any = jnp.float32
  literal: bool = False
  prior: float = 0.0

  @nn.compact
  def __call__(
    self,
    public: Float[Array, "b z"],
    superclass: Float[Array, "b s"],
    private: Float[Array, "b c"],
  ) -> Foreground:
    """Return a float32 image and mask.

    Args:
      public: normally distributed code.
      superclass: one-hot superclass of the private code.
      private: one-hot code.
    """
    x = jnp.concatenate([superclass, public], axis=-1)
    trunk = Trunk(self.size, self.width, self.dtype, self.literal, name="trunk")
    x = trunk(x)
    refine = lambda features, name: RefinementBlock(
      features, self.num_residuals, self.dtype, self.literal, name=name
    )
    # Without the minimum, at small widths, the background has more capacity
    # than the foreground to draw the object.
    channels = lambda divisor: max(self.width // divisor, _MIN_CHANNELS)
    x = refine(channels(2), "refine_shape")(x, superclass)
    logits = _head(1, "mask")(x.astype(jnp.float32))
    logits += self.prior * (2 * bumps.bump(self.size, self.size)[None] - 1)
    mask = nn.sigmoid(logits)
    x = refine(channels(4), "refine_look")(x, private)
    image = jnp.tanh(_head(3, "image")(x.astype(jnp.float32)))
    return Foreground(image, mask)


class Trunk(nn.Module):
  """A trunk that doubles a map from 4x4 to `size`, with `width` channels.

  Raises:
    ValueError: if `size` is not 8, 16, 32 or a further doubling.
  """

  size: int
  width: int
  dtype: Any
  literal: bool = False

  @nn.compact
  def __call__(self, code: jax.Array) -> jax.Array:
    """Return features [b, size, size, width]."""
    doublings = (self.size // _FIRST_SIDE).bit_length() - 1
    if doublings < 1 or _FIRST_SIDE << doublings != self.size:
      raise ValueError(
        f"size is {self.size}, but must be 8, 16, 32 or a further doubling"
      )
    # Small images start with fewer channels, so all sizes end with `width`.
    channels = min(1 << doublings, _MAX_WIDTHS) * self.width
    x = nn.Dense(
      _FIRST_SIDE * _FIRST_SIDE * channels,
      use_bias=False,
      dtype=self.dtype,
      kernel_init=orthogonal,
      name="linear",
    )(code)
    norm = lambda name: norms.BatchNorm(dtype=self.dtype, name=name)
    x = nn.relu(norm("linear_norm")(x))
    x = x.reshape(-1, _FIRST_SIDE, _FIRST_SIDE, channels)
    for i in range(doublings):
      channels = max(channels // 2, self.width)
      up = convs.UpConv(
        channels, self.dtype, orthogonal, self.literal, name=f"up_{i}"
      )
      x = nn.relu(norm(f"up_{i}_norm")(up(x)))
    return x


class RefinementBlock(nn.Module):
  """Residual blocks conditioned on a code, with `features` output channels."""

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
    norm_relu = lambda x, name: nn.relu(
      norms.BatchNorm(dtype=self.dtype, name=name)(x)
    )
    channels = x.shape[-1]
    # Checkpoints store these parameters as "told".
    code_conv = codes.CodeConv(
      channels, self.dtype, orthogonal, self.literal, name="told"
    )
    x = code_conv(x, code)
    for i in range(self.num_residuals):
      y = conv(channels, f"residual_{i}_conv_0")(
        norm_relu(x, f"residual_{i}_norm_0")
      )
      x = x + conv(channels, f"residual_{i}_conv_1")(
        norm_relu(y, f"residual_{i}_norm_1")
      )
    x = conv(self.features, "last")(norm_relu(x, "middle_norm"))
    return norm_relu(x, "last_norm")


def _head(features: int, name: str) -> convs.Conv:
  return convs.Conv(
    features, (3, 3), padding=(1, 1), use_bias=True, kernel_init=orthogonal,
    name=name,
  )  # fmt: skip
