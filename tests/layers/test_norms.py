import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from foregan_jax.layers import norms
from foregan_jax.runtime import mesh as mesh_lib


def test_instance_norm_equals_the_formula(key):
  x = 3 * jax.random.normal(key, (2, 5, 7, 4)) + 1
  params = {"scale": jnp.array([1.0, 2, 3, 4]), "bias": jnp.arange(4.0)}
  y = norms.InstanceNorm().apply({"params": params}, x)
  x = np.asarray(x, np.float64)
  mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
  want = (x - mean) / np.sqrt(var + 1e-5) * [1, 2, 3, 4] + np.arange(4)
  np.testing.assert_allclose(y, want, atol=1e-5)


def test_moments_are_accurate_with_a_large_mean(key):
  x = 1e-2 * jax.random.normal(key, (1, 32, 32, 2)) + 1e3
  mean, var = norms.spatial_moments(x)
  x = np.asarray(x, np.float64)
  np.testing.assert_allclose(mean, x.mean((1, 2)), rtol=1e-6)
  np.testing.assert_allclose(var, x.var((1, 2)), rtol=1e-2)


@pytest.mark.parametrize("groups", [2, 6])
def test_gradients_equal_those_of_the_formula(key, groups):
  x = 2 * jax.random.normal(key, (2, 4, 5, 6)) + 3
  module = norms.InstanceNorm() if groups == 6 else norms.GroupNorm(groups)
  params = {"scale": jnp.arange(1.0, 7.0), "bias": jnp.arange(6.0)}

  def plain(params, x):
    y = x.reshape(2, 4, 5, groups, -1)
    mean = y.mean((1, 2, 4), keepdims=True)
    var = y.var((1, 2, 4), keepdims=True)
    y = ((y - mean) / jnp.sqrt(var + 1e-5)).reshape(x.shape)
    scale, bias = (params[k].reshape(1, 1, 1, -1) for k in ("scale", "bias"))
    return y * scale + bias

  weight = jax.random.normal(jax.random.key(1), x.shape)
  # Third degree, so that each term of the gradient matters.
  loss = lambda y: (y**3 * weight).sum()
  apply = lambda params, x: module.apply({"params": params}, x)
  grad = lambda f: jax.grad(lambda p, x: loss(f(p, x)), (0, 1))
  got, want = grad(apply)(params, x), grad(plain)(params, x)
  near = lambda a, b: np.testing.assert_allclose(
    a, b, atol=1e-5 * np.abs(b).max()
  )
  jax.tree.map(near, got, want)
  # Second-order gradients.
  twice = lambda f: jax.grad(lambda x: jnp.square(grad(f)(params, x)[1]).sum())
  near(twice(apply)(x), twice(plain)(x))


def test_group_norm_computes_statistics_per_group(key):
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


def test_bfloat16_input_keeps_its_dtype_with_float32_parameters(key):
  x = jax.random.normal(key, (1, 4, 4, 2), jnp.bfloat16)
  y, params = norms.InstanceNorm().init_with_output(key, x)
  assert y.dtype == jnp.bfloat16
  assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}


def test_running_batch_norm_equals_flax_except_for_the_unbiased_variance(key):
  x = 3.0 + 2.0 * jax.random.normal(key, (3, 4, 5, 2))
  ours = norms.RunningBatchNorm()
  variables = ours.init(key, x, True)
  params = {"scale": jnp.array([2.0, -1.0]), "bias": jnp.array([0.5, 0.0])}
  variables = {**variables, "params": params}
  y, updated = ours.apply(variables, x, True, mutable=["batch_stats"])
  theirs = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
  reference = theirs.init(key, x, use_running_average=False)
  reference = {**reference, "params": params}
  expected, moved = theirs.apply(
    reference, x, use_running_average=False, mutable=["batch_stats"]
  )
  np.testing.assert_allclose(y, expected, atol=1e-5)
  stats, moved = updated["batch_stats"], moved["batch_stats"]
  np.testing.assert_allclose(stats["mean"], moved["mean"], rtol=1e-5)
  biased = moved["var"] - 0.9
  np.testing.assert_allclose(stats["var"], 0.9 + biased * 60 / 59, rtol=1e-4)
  y = ours.apply({**variables, **updated}, x, False)
  mean, var = np.asarray(stats["mean"]), np.asarray(stats["var"])
  scaled = (np.asarray(x) - mean) / np.sqrt(var + 1e-5) * [2.0, -1.0]
  np.testing.assert_allclose(y, scaled + [0.5, 0.0], atol=1e-5)


def test_running_batch_norm_starts_with_standard_statistics(key):
  x = 3.0 + jax.random.normal(key, (2, 4, 4, 2))
  stats = norms.RunningBatchNorm().init(key, x, True)["batch_stats"]
  np.testing.assert_array_equal(stats["mean"], jnp.zeros(2))
  np.testing.assert_array_equal(stats["var"], jnp.ones(2))


def test_running_batch_norm_has_the_statistics_of_all_devices(key):
  x = jax.random.normal(key, (8, 4, 4, 2)) * jnp.arange(8.0).reshape(8, 1, 1, 1)
  norm = norms.RunningBatchNorm()
  variables = norm.init(key, x, True)
  apply = lambda x: norm.apply(variables, x, True, mutable=["batch_stats"])
  devices = mesh_lib.make_mesh(jax.devices()[:4])
  split = jax.device_put(x, mesh_lib.sharded(devices))
  whole, parts = apply(x), jax.jit(apply)(split)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole, parts
  )
