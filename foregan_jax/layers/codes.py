"""Convolutions that are told a code: the same vector at every pixel."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs

_TAPS = 3  # of a kernel, along each axis


class CodeConv(nn.Module):
  """Convolve `[x, code]`, the code repeated at every pixel; 3x3, padding 1.

  The repeated channels are never made: what a code adds depends on the pixel
  only through the taps that lie inside the image, so it is a bias with nine
  cases. The kernel is that of the plain convolution, code channels last.
  `literal` computes it as it is written, for comparisons.
  """

  features: int
  dtype: Any = jnp.float32
  kernel_init: Any = convs.dcgan_init
  literal: bool = False

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w m"], code: Float[Array, "b d"]
  ) -> Float[Array, "b h w n"]:
    """Return `features` channels."""
    channels = x.shape[-1]
    shape = (_TAPS, _TAPS, channels + code.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    kernel = jnp.asarray(kernel, self.dtype)
    x, code = x.astype(self.dtype), code.astype(self.dtype)
    if self.literal:
      told = (*x.shape[:3], code.shape[-1])
      told = jnp.broadcast_to(code[:, None, None], told)
      return convs.conv(jnp.concatenate([x, told], -1), kernel, 1, (1, 1))
    y = convs.conv(x, kernel[:, :, :channels], 1, (1, 1))
    rows, columns = (_taps_inside(n, self.dtype) for n in x.shape[1:3])
    told = jnp.einsum("bd,ijdn->bijn", code, kernel[:, :, channels:])
    return y + jnp.einsum("hi,wj,bijn->bhwn", rows, columns, told)


def _taps_inside(length: int, dtype) -> jax.Array:
  """Return 1 where tap `i` of a pixel lies inside the image [length, 3]."""
  at = np.arange(length)[:, None] + np.arange(_TAPS)[None] - 1
  return jnp.asarray((at >= 0) & (at < length), dtype)
