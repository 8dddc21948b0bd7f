import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import moments


def test_monomials_are_ordered_by_degree():
  got = moments.monomials(jnp.array([2.0, 3.0]), 2)
  np.testing.assert_array_equal(got, [1, 2, 3, 4, 6, 9])


@pytest.mark.parametrize("d, degree, size", [(3, 3, 20), (64, 2, 2145)])
def test_number_of_monomials_equals_the_paper(d, degree, size):
  assert moments.monomials(jnp.ones((1, d)), degree).shape == (1, size)


def test_mean_of_q_over_the_fitted_points_is_the_number_of_monomials(key):
  points = jax.random.uniform(key, (500, 3), minval=-1)
  factor = moments.fit(points, jnp.ones(500), 3, 0.0)
  quality = moments.evaluate(factor, points, 3)
  assert quality.min() >= 0
  np.testing.assert_allclose(quality.mean(), 20, rtol=1e-3)


def test_q_equals_the_quadratic_form_of_the_inverse(key):
  points = jax.random.uniform(key, (400, 3), minval=-1)
  factor = moments.fit(points, jnp.ones(400), 3, 1e-4)
  v = np.asarray(moments.monomials(points, 3), np.float64)
  matrix = v.T @ v / 400 + 1e-4 * np.eye(20)
  np.testing.assert_array_equal(factor, np.tril(factor))
  want = np.einsum("pi,ij,pj->p", v, np.linalg.inv(matrix), v)
  got = moments.evaluate(factor, points, 3)
  np.testing.assert_allclose(got, want, rtol=1e-3)


def test_q_ignores_the_order_of_points_and_points_of_weight_0(key):
  points = jax.random.uniform(key, (300, 3), minval=-1)
  weight = (jnp.arange(300) < 200).astype(jnp.float32)
  other = moments.fit(points[:200][::-1], jnp.ones(200), 2, 1e-4)
  factor = moments.fit(points, weight, 2, 1e-4)
  np.testing.assert_allclose(
    moments.evaluate(factor, points, 2),
    moments.evaluate(other, points, 2),
    rtol=1e-3,
  )


def test_refinement_removes_only_pixels_of_other_colours(key):
  noise = 0.05 * jax.random.normal(key, (2, 4, 16, 16, 3))
  red = jnp.array([0.8, -0.7, -0.7]).reshape(1, 1, 1, 1, 3)
  inside = jnp.zeros((1, 1, 16, 16, 1), bool).at[:, :, 4:12, 4:12].set(True)
  video = jnp.where(inside, red, -red) + noise
  first = inside[:, 0].repeat(2, axis=0).astype(jnp.float32)
  mask = jnp.full((2, 3, 16, 16, 1), 0.6).at[:, :, 5].set(0.01)
  refinement = moments.Refinement(
    degree=3, ridge=1e-4, tau=100.0, low_threshold=0.1
  )
  factor = jax.jit(refinement.fit)(video[:, 0], first)
  got = jax.jit(refinement.refine)(factor, video[:, 1:], mask)
  assert set(np.unique(got)) == {0, 1}
  assert not (got * (mask <= 0.1)).any()
  assert not got[..., :4, :, :].any() and not got[..., 12:, :].any()
  kept = got[..., 6:12, 4:12, :].mean()
  assert kept > 0.9


def test_empty_first_mask_removes_all_pixels():
  refinement = moments.Refinement(
    degree=3, ridge=1e-4, tau=10.0, low_threshold=0.1
  )
  factor = refinement.fit(jnp.zeros((1, 4, 4, 3)), jnp.zeros((1, 4, 4, 1)))
  mask = jnp.ones((1, 1, 4, 4, 1))
  assert not refinement.refine(factor, jnp.zeros((1, 1, 4, 4, 3)), mask).any()
