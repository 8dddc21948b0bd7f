import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import perturb

_ZERO = jnp.zeros(1)


def test_preset_none_is_the_identity(key):
  image = jax.random.normal(key, (3, 8, 8, 4))
  theta = perturb.PRESETS["none"].draw(key, 3)
  np.testing.assert_allclose(perturb.apply(theta, image), image, atol=1e-5)


def test_shift_of_a_quarter_leaves_an_eighth_of_the_image_empty():
  theta = perturb.inverse(_ZERO, _ZERO, jnp.array([[0.25], [0.0]]))
  moved = perturb.apply(theta, jnp.ones((1, 16, 16, 1)))
  np.testing.assert_allclose(moved[0, :, :2], 0, atol=1e-5)
  np.testing.assert_allclose(moved[0, :, 2:], 1, atol=1e-5)


def test_inverse_undoes_scale_then_rotate_then_shift():
  """A maps the centre to t for any scale and angle (eq. 9)."""
  s, a = jnp.array([0.7]), jnp.array([0.4])
  t = jnp.array([[0.3], [-0.2]])
  back = np.asarray(perturb.inverse(s, a, t)[0], np.float64)
  scale = np.diag([2.0**0.7] * 2)
  turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
  forward = np.concatenate([turn @ scale, np.asarray(t)], axis=1)
  whole = lambda m: np.concatenate([m, [[0, 0, 1]]])
  np.testing.assert_allclose(whole(back) @ whole(forward), np.eye(3), atol=1e-6)
  np.testing.assert_allclose(forward @ [0, 0, 1], [0.3, -0.2], rtol=1e-6)


def test_object_grows_with_the_scale():
  mask = jnp.zeros((1, 32, 32, 1)).at[:, 12:20, 12:20].set(1)
  theta = perturb.inverse(jnp.ones(1), _ZERO, jnp.zeros((2, 1)))
  assert perturb.apply(theta, mask).sum() == pytest.approx(4 * 64, rel=0.05)


@pytest.mark.parametrize(
  "preset, low, high", [("c3_strong", 0.8, 1.5), ("c3_weak", 0.9, 1.1)]
)
def test_c3_presets_scale_the_sampling_grid_uniformly(preset, low, high, key):
  theta = np.asarray(perturb.PRESETS[preset].draw(key, 4000))
  grid = np.hypot(theta[:, 0, 0], theta[:, 1, 0])
  # The object is 0.67 to 1.25 times as large with c3_strong.
  assert low - 1e-6 <= grid.min() < low + 0.01
  assert high - 0.01 < grid.max() <= high + 1e-6
  # Quartiles of a uniform distribution; those of 2^s differ by up to 0.03.
  quartiles = low + (high - low) * np.array([0.25, 0.5, 0.75])
  np.testing.assert_allclose(
    np.quantile(grid, [0.25, 0.5, 0.75]),
    quartiles,
    atol=0.03 * (high - low),
  )
