"""Depthwise convolutions that are fast on every platform.

On CPU, XLA computes a grouped convolution 17 to 37 times slower than the sum of
its k x k shifted products (96 channels at 120x214: 108 ms against 6.5).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
  """Return the padding (low, high) of TensorFlow's SAME along one axis.

  For an even size and stride 2 the high side has one pixel more.
  """
  total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
  return total // 2, total - total // 2


def pad_same(
  x: Float[Array, "b h w c"], kernel: int, stride: int
) -> Float[Array, "b h2 w2 c"]:
  """Pad height and width by zeros, as TensorFlow's SAME does."""
  pads = [same_padding(n, kernel, stride) for n in x.shape[1:3]]
  return jnp.pad(x, [(0, 0), *pads, (0, 0)])


def depthwise(
  x: Float[Array, "b h w c"], kernel: Float[Array, "k k c"], stride: int
) -> Float[Array, "b h2 w2 c"]:
  """Convolve every channel with its own kernel; x has its padding already."""
  return jax.lax.platform_dependent(
    x,
    kernel,
    cpu=lambda x, kernel: _by_shifts(x, kernel, stride),
    default=lambda x, kernel: _native(x, kernel, stride),
  )


def _by_shifts(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  size = kernel.shape[0]
  h, w = ((n - size) // stride + 1 for n in x.shape[1:3])
  total = jnp.zeros((x.shape[0], h, w, x.shape[3]), x.dtype)
  for i in range(size):
    for j in range(size):
      rows = slice(i, i + (h - 1) * stride + 1, stride)
      columns = slice(j, j + (w - 1) * stride + 1, stride)
      total += x[:, rows, columns] * kernel[i, j].reshape(1, 1, 1, -1)
  return total


def _native(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  return jax.lax.conv_general_dilated(
    x,
    kernel[:, :, None],
    (stride, stride),
    "VALID",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=x.shape[-1],
  )


class DepthwiseConv(nn.Module):
  """A depthwise convolution with TensorFlow's SAME padding and no bias.

  Parameters are float32; the convolution is computed in `dtype`.
  """

  kernel_size: int
  stride: int = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], affine: convs.Affine | None = None
  ) -> Float[Array, "b h2 w2 c"]:
    """Return the convolved `x`; for `affine` see `convs.Conv`."""
    k = self.kernel_size
    init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
    kernel = self.param("kernel", init, (k, k, x.shape[-1]), jnp.float32)
    if affine is not None:
      kernel = kernel * affine[0].reshape(1, 1, -1)
    x = pad_same(x.astype(self.dtype), k, self.stride)
    y = depthwise(x, jnp.asarray(kernel, self.dtype), self.stride)
    if affine is None:
      return y
    return (y + affine[1].reshape(1, 1, 1, -1)).astype(self.dtype)
