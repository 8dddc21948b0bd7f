import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import composite


def layers(key):
  keys = jax.random.split(key, 3)
  fg, bg = (jax.random.uniform(k, (2, 3, 4, 5, 3), minval=-1) for k in keys[:2])
  return fg, bg, jax.random.uniform(keys[2], (2, 3, 4, 5, 1))


def test_alpha_mixes_the_layers_by_the_mask(key):
  fg, bg, mask = layers(key)
  np.testing.assert_allclose(composite.alpha(fg, bg, 0 * mask), bg, atol=1e-6)
  np.testing.assert_allclose(
    composite.alpha(fg, bg, 0 * mask + 1), fg, atol=1e-6
  )
  mixed = composite.alpha(fg, bg, mask)
  np.testing.assert_allclose(mixed, mask * fg + (1 - mask) * bg, atol=1e-6)
  assert jnp.abs(mixed).max() <= 1


def test_additive_does_not_mask_the_foreground(key):
  fg, bg, mask = layers(key)
  got = composite.additive(fg, bg, mask)
  np.testing.assert_allclose(got, fg + (1 - mask) * bg, atol=1e-6)


def test_dark_is_minus_one_and_grey_is_zero_outside_the_mask(key):
  fg, _, mask = layers(key)
  np.testing.assert_array_equal(composite.dark(fg, 0 * mask), -1)
  np.testing.assert_allclose(composite.dark(fg, 0 * mask + 1), fg, atol=1e-6)
  np.testing.assert_allclose(
    composite.dark(fg, mask), mask * fg - (1 - mask), atol=1e-6
  )
  np.testing.assert_array_equal(composite.grey(fg, 0 * mask), 0)
