import jax
import numpy as np

from foregan_jax.layers import pyramid
from foregan_jax.losses import perceptual


def _features(frozen, image):
  return [frozen * image, image[:, ::2, ::2] ** 2, image]


def test_loss_is_the_weighted_sum_over_scales_and_features():
  loss = perceptual.Perceptual(_features, (10.0, 2.0, 0.0), 3.0, (1, 2))
  x, y = jax.random.uniform(jax.random.key(0), (2, 2, 8, 8, 3))
  found = loss(5.0, x, loss.describe(5.0, y))
  expected = 0.0
  for times in (1, 2):
    a, b = (np.asarray(pyramid.shrink(z, times)) for z in (x, y))
    expected += (10 * 5 + 3) * np.abs(a - b).mean()
    a, b = a[:, ::2, ::2] ** 2, b[:, ::2, ::2] ** 2
    expected += 2 * np.abs(a - b).mean()
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  each = loss.each(5.0, x, loss.describe(5.0, y))
  assert each.shape == (2,) and each[0] != each[1]
  np.testing.assert_allclose(each.mean(), found, rtol=1e-5)


def test_loss_is_zero_for_equal_images_and_has_no_gradient_of_the_target():
  loss = perceptual.Perceptual(_features, (1.0, 1.0, 1.0), 1.0, (1,))
  x = jax.random.uniform(jax.random.key(0), (1, 4, 4, 3))
  assert loss(1.0, x, loss.describe(1.0, x)) == 0
  gradient = jax.grad(lambda y: loss(1.0, 0 * x, loss.describe(1.0, y)))(x)
  assert not gradient.any()
  assert jax.grad(lambda y: loss(1.0, y, loss.describe(1.0, 0 * x)))(x).any()
