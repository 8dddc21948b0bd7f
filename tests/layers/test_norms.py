import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import norms


def test_instance_norm_is_affine_of_standardised_pixels(key):
  x = 3 * jax.random.normal(key, (2, 5, 7, 4)) + 1
  params = {"scale": jnp.array([1.0, 2, 3, 4]), "bias": jnp.arange(4.0)}
  y = norms.InstanceNorm().apply({"params": params}, x)
  x = np.asarray(x, np.float64)
  mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
  want = (x - mean) / np.sqrt(var + 1e-5) * [1, 2, 3, 4] + np.arange(4)
  np.testing.assert_allclose(y, want, atol=1e-5)


def test_moments_survive_a_large_mean(key):
  x = 1e-2 * jax.random.normal(key, (1, 32, 32, 2)) + 1e3
  mean, var = norms.spatial_moments(x)
  x = np.asarray(x, np.float64)
  np.testing.assert_allclose(mean, x.mean((1, 2)), rtol=1e-6)
  np.testing.assert_allclose(var, x.var((1, 2)), rtol=1e-2)


def test_gradient_equals_that_of_the_plain_formula(key):
  x = jax.random.normal(key, (2, 4, 6, 3))
  module = norms.InstanceNorm()
  params = module.init(key, x)

  def plain(x):
    mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / jnp.sqrt(var + 1e-5)

  weight = jax.random.normal(jax.random.key(1), x.shape)
  got = jax.grad(lambda x: (module.apply(params, x) * weight).sum())(x)
  want = jax.grad(lambda x: (plain(x) * weight).sum())(x)
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_group_norm_shares_statistics_within_groups_only(key):
  x = (
    jax.random.normal(key, (2, 4, 5, 6))
    * jnp.arange(1.0, 7.0)[None, None, None]
  )
  module = norms.GroupNorm(2)
  y = module.apply(module.init(key, x), x)
  groups = np.asarray(x, np.float64).reshape(2, 4, 5, 2, 3)
  mean = groups.mean((1, 2, 4), keepdims=True)
  var = groups.var((1, 2, 4), keepdims=True)
  want = ((groups - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)
  np.testing.assert_allclose(y, want, atol=1e-5)
  with pytest.raises(ValueError, match="6 channels"):
    norms.GroupNorm(4).init(key, x)


def test_bfloat16_in_bfloat16_out_with_float32_parameters(key):
  x = jax.random.normal(key, (1, 4, 4, 2), jnp.bfloat16)
  y, params = norms.InstanceNorm().init_with_output(key, x)
  assert y.dtype == jnp.bfloat16
  assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}
