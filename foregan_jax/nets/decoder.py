"""A decoder from features at strides 16, 8 and 4 to the logits of a mask."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms, warp

_CHANNELS_PER_GROUP = 8
_LINEAR = nn.initializers.lecun_normal()
_AFTER_RELU = nn.initializers.he_normal()
_SMALL = nn.initializers.normal(1e-3)  # first masks of about one half


def conv(
  channels: int,
  size: int = 3,
  *,
  dtype: Any,
  use_bias: bool = True,
  name: str | None = None,
) -> convs.Conv:
  """Return a convolution of stride 1 that keeps the size."""
  return convs.Conv(
    channels, (size, size), 1, (size // 2, size // 2), use_bias=use_bias,
    dtype=dtype, kernel_init=_LINEAR, name=name,
  )  # fmt: skip


class Decoder(nn.Module):
  """Residual blocks that double the size twice and add finer features.

  Attributes:
    widths: channels at strides 16, 8 and 4.
    dtype: of the convolutions but the last one.
  """

  widths: tuple[int, int, int]
  dtype: Any

  def setup(self):
    """Build the layers."""
    w16, w8, w4 = self.widths
    self.up8 = conv(w8, 1, dtype=self.dtype)
    self.up4 = conv(w4, 1, dtype=self.dtype)
    self.residual16 = Residual(w16, self.dtype)
    self.residual8 = Residual(w8, self.dtype)
    self.residual4 = Residual(w4, self.dtype)
    self.head = convs.Conv(
      1, (3, 3), 1, (1, 1), use_bias=True, dtype=jnp.float32, kernel_init=_SMALL
    )

  def __call__(
    self,
    x: Float[Array, "b h16 w16 c16"],
    skip8: Float[Array, "b h8 w8 c8"],
    skip4: Float[Array, "b h4 w4 c4"],
    size: tuple[int, int],
  ) -> Float[Array, "b h w"]:
    """Return float32 logits of `size` (h, w)."""
    double = lambda x, like: warp.resize(
      x, like.shape[1:3], align_corners=False
    )
    x = self.residual16(x)
    x = self.residual8(double(self.up8(x), skip8) + skip8)
    x = self.residual4(double(self.up4(x), skip4) + skip4)
    logits = self.head(nn.relu(x).astype(jnp.float32))
    return warp.resize(logits, size, align_corners=False)[..., 0]


class Residual(nn.Module):
  """A pre-activation block with group norm."""

  channels: int
  dtype: Any

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the sum of `x` and its correction."""
    y = x
    for i in range(2):
      groups = self.channels // _CHANNELS_PER_GROUP
      y = norms.GroupNorm(max(groups, 1), dtype=self.dtype, name=f"norm{i}")(y)
      y = convs.Conv(
        self.channels, (3, 3), 1, (1, 1), dtype=self.dtype,
        kernel_init=_AFTER_RELU, name=f"conv{i}",
      )(nn.relu(y))  # fmt: skip
    return x + y
