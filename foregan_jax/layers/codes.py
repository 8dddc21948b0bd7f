"""Convolutions with a code: the same input vector at every pixel."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs

_TAPS = 3  # kernel size along each axis


class CodeConv(nn.Module):
  """Convolve `[x, code]`, the code repeated at every pixel; 3x3, padding 1.

  The repeated channels are not created. The contribution of a code depends on
  the pixel only through the taps that lie inside the image, so it is a bias
  with nine cases. The kernel is the same as that of the plain convolution, with
  the code channels last. `literal` repeats the code and convolves, for
  comparisons.
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
      shape = (*x.shape[:3], code.shape[-1])
      code_map = jnp.broadcast_to(code[:, None, None], shape)
      return convs.conv(jnp.concatenate([x, code_map], -1), kernel, 1, (1, 1))
    y = convs.conv(x, kernel[:, :, :channels], 1, (1, 1))
    rows, columns = (_taps_inside(n, self.dtype) for n in x.shape[1:3])
    bias = jnp.einsum("bd,ijdn->bijn", code, kernel[:, :, channels:])
    return y + jnp.einsum("hi,wj,bijn->bhwn", rows, columns, bias)


def _taps_inside(length: int, dtype) -> jax.Array:
  """Return 1 where tap `i` of a pixel lies inside the image [length, 3]."""
  index = np.arange(length)[:, None] + np.arange(_TAPS)[None] - 1
  return jnp.asarray((index >= 0) & (index < length), dtype)
