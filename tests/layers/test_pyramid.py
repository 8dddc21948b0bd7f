import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import pyramid


@pytest.mark.parametrize("times", [2, 4, 8])
def test_shrink_equals_a_loop_over_pixels(times):
  """A Gaussian of 5, 13 or 29 taps, zero padding, every n-th pixel from 0."""
  taps = {2: 5, 4: 13, 8: 29}[times]
  grid = np.arange(taps) - taps // 2
  kernel = np.exp(-(grid**2) / (2 * ((times - 1) / 2) ** 2))
  kernel /= kernel.sum()
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.random((2, 24, 16, 1)), jnp.float32)
  found = np.asarray(pyramid.shrink(image, times))
  assert found.shape == (2, 24 // times, 16 // times, 1)
  pad = taps // 2
  padded = np.pad(np.asarray(image)[..., 0], ((0, 0), (pad, pad), (pad, pad)))
  for y in range(found.shape[1]):
    for x in range(found.shape[2]):
      top, left = y * times, x * times
      window = padded[:, top : top + taps, left : left + taps]
      expected = np.einsum("bij,i,j->b", window, kernel, kernel)
      np.testing.assert_allclose(found[:, y, x, 0], expected, atol=1e-6)


def test_shrink_by_one_is_the_identity():
  image = jnp.ones((1, 3, 3, 1))
  assert pyramid.shrink(image, 1) is image
