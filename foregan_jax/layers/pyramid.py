"""Images at smaller sizes, without aliasing, as matrix products."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def shrink(x: Float[Array, "b h w c"], times: int) -> Float[Array, "b h2 w2 c"]:
  """Blur by a Gaussian and keep the pixels 0, `times`, 2 `times`, ...

  The standard deviation is `(times - 1) / 2` pixels, and the normalised kernel
  has `2 round(4 std) + 1` taps per axis; pixels from outside are 0. `times` 1
  returns the input.

  Source: the authors' code of image animation with perturbed masks (CVPR 2022).
  """
  if times == 1:
    return x
  rows, columns = (_matrix(n, times) for n in x.shape[1:3])
  x = jnp.einsum("yh,bhwc->bywc", rows, x, precision=_PRECISION)
  return jnp.einsum("xw,bhwc->bhxc", columns, x, precision=_PRECISION)


# The default of accelerators rounds to bfloat16 or TF32.
_PRECISION = jax.lax.Precision.HIGHEST


@functools.cache
def _matrix(size: int, times: int) -> np.ndarray:
  """Return the [ceil(size / times), size] matrix of `shrink` on one axis."""
  std = (times - 1) / 2
  radius = round(4 * std)
  kept = np.arange(0, size, times)
  distance = np.arange(size)[None] - kept[:, None]
  taps = np.exp(-0.5 * np.square(distance / std))
  total = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / std)).sum()
  taps = np.where(np.abs(distance) <= radius, taps / total, 0.0)
  return taps.astype(np.float32)
