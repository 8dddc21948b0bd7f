import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.losses import information


def test_a_blind_estimator_is_off_by_the_log_of_the_choices():
  blind = information.code_error(jnp.zeros((4, 200)), jnp.array([0, 3, 9, 199]))
  np.testing.assert_allclose(blind, np.log(200), rtol=1e-6)


def test_layers_that_hide_copies_leak_more_than_foreign_ones(key):
  fg = jax.random.normal(key, (4, 6, 6, 3))
  foreign = jax.random.normal(jax.random.key(1), (4, 6, 6, 3))
  mask = jnp.full((4, 6, 6, 1), 0.5)
  copies = information.leakage(key, fg, fg, mask)
  assert copies > 1.0
  assert jnp.abs(information.leakage(key, fg, foreign, mask)) < 0.2


def test_leakage_by_hand(key):
  """Two samples: each meets the other one."""
  fg = jnp.array([1.0, 6.0]).reshape(2, 1, 1, 1)
  bg = jnp.array([4.0, 2.0]).reshape(2, 1, 1, 1)
  mask = jnp.full((2, 1, 1, 1), 0.5)
  # Inside, hidden 2, 1 and seen .5, 3; outside, hidden .5, 3 and seen 2, 1.
  inside = (0.5 + 1.0) / 2 - (1.5 + 2.0) / 2
  outside = (1.0 + 0.5) / 2 - (1.5 + 2.0) / 2
  got = information.leakage(key, fg, bg, mask)
  np.testing.assert_allclose(got, inside + outside, atol=1e-6)


def test_every_layer_feels_the_leak(key):
  args = [jax.random.uniform(k, (3, 4, 4, 3)) for k in jax.random.split(key)]
  args.append(jax.random.uniform(key, (3, 4, 4, 1)))
  grads = jax.grad(lambda *a: information.leakage(key, *a), (0, 1, 2))(*args)
  assert all(jnp.abs(g).max() > 0 for g in grads)


def test_leakage_needs_another_sample(key):
  one = jnp.zeros((1, 2, 2, 3))
  with pytest.raises(ValueError, match="batch of 2"):
    information.leakage(key, one, one, one[..., :1])
