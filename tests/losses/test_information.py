import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.losses import information


def test_code_error_of_a_uniform_estimator_is_the_log_of_the_count():
  error = information.code_error(jnp.zeros((4, 200)), jnp.array([0, 3, 9, 199]))
  np.testing.assert_allclose(error, np.log(200), rtol=1e-6)


def test_leakage_is_larger_if_both_layers_are_equal(key):
  fg = jax.random.normal(key, (4, 6, 6, 3))
  other = jax.random.normal(jax.random.key(1), (4, 6, 6, 3))
  mask = jnp.full((4, 6, 6, 1), 0.5)
  copies = information.leakage(key, fg, fg, mask)
  assert copies > 1.0
  assert jnp.abs(information.leakage(key, fg, other, mask)) < 0.2


def test_leakage_equals_the_formula(key):
  """With two samples each one is paired with the other."""
  fg = jnp.array([1.0, 6.0]).reshape(2, 1, 1, 1)
  bg = jnp.array([4.0, 2.0]).reshape(2, 1, 1, 1)
  mask = jnp.full((2, 1, 1, 1), 0.5)
  # Inside: hidden 2, 1, visible .5, 3. Outside: hidden .5, 3, visible 2, 1.
  inside = (0.5 + 1.0) / 2 - (1.5 + 2.0) / 2
  outside = (1.0 + 0.5) / 2 - (1.5 + 2.0) / 2
  got = information.leakage(key, fg, bg, mask)
  np.testing.assert_allclose(got, inside + outside, atol=1e-6)


def test_leakage_has_gradients_for_all_layers(key):
  args = [jax.random.uniform(k, (3, 4, 4, 3)) for k in jax.random.split(key)]
  args.append(jax.random.uniform(key, (3, 4, 4, 1)))
  grads = jax.grad(lambda *a: information.leakage(key, *a), (0, 1, 2))(*args)
  assert all(jnp.abs(g).max() > 0 for g in grads)


def test_leakage_of_one_sample_raises(key):
  one = jnp.zeros((1, 2, 2, 3))
  with pytest.raises(ValueError, match="batch of 2"):
    information.leakage(key, one, one, one[..., :1])
