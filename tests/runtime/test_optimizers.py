"""Tests of the optimiser: schedule, clipping and flattening."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from foregan_jax.runtime import optimizers


def _config(**kwargs):
  defaults = dict(
    learning_rate=0.1,
    b1=0.5,
    b2=0.9,
    eps=1e-8,
    grad_clip=0.0,
    warmup_steps=0,
    decay="none",
    decay_steps=0,
    decay_factor=1.0,
  )
  return ml_collections.ConfigDict({**defaults, **kwargs})


def test_rate_is_constant_without_warmup():
  rate = optimizers.schedule(_config())
  assert float(rate(0)) == float(rate(10**6)) == pytest.approx(0.1)


def test_rate_is_constant_after_warmup():
  rate = optimizers.schedule(_config(warmup_steps=10))
  np.testing.assert_allclose(
    [rate(0), rate(5), rate(10), rate(99)], [0, 0.05, 0.1, 0.1], rtol=1e-6
  )


def test_cosine_ends_at_decay_steps_including_warmup():
  config = _config(warmup_steps=10, decay="cosine", decay_steps=30)
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(10), rate(20), rate(30), rate(40)], [0.1, 0.05, 0, 0], atol=1e-8
  )


def test_step_decay_multiplies_the_rate_after_each_interval():
  config = _config(decay="step", decay_steps=8, decay_factor=0.2)
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(n) for n in (0, 7, 8, 15, 16)],
    [0.1, 0.1, 0.02, 0.02, 0.004],
    rtol=1e-6,
  )


def test_step_decay_counts_the_warmup():
  config = _config(
    decay="step", decay_steps=8, decay_factor=0.5, warmup_steps=4
  )
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(n) for n in (2, 4, 7, 8)], [0.05, 0.1, 0.1, 0.05], rtol=1e-6
  )


def test_linear_decay_equals_that_of_cyclegan():
  """Constant for epochs 1 to 100; 1/101 is left after epoch 200."""
  epoch = 30
  config = _config(decay="linear", decay_steps=(100 * epoch, 201 * epoch))
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(epoch * n) for n in (0, 1, 100, 150, 200, 201, 300)],
    [0.1, 0.1, 0.1, 0.1 * 51 / 101, 0.1 / 101, 0, 0],
    rtol=1e-4,
    atol=1e-9,
  )


@pytest.mark.parametrize(
  "decay, ends", [("cosine", 400), ("linear", (200, 402))]
)
def test_decay_without_steps_is_fitted_to_the_run(decay, ends):
  config = _config(decay=decay)
  assert optimizers.ends_with_run(config)
  optimizers.fit_to_run(config, 400)
  assert config.decay_steps == ends and not optimizers.ends_with_run(config)
  assert optimizers.schedule(config)(400) < 0.01 * config.learning_rate
  fixed = _config(decay="step", decay_steps=8)
  assert not optimizers.ends_with_run(fixed)


def test_linear_decay_counts_the_warmup():
  config = _config(decay="linear", decay_steps=(4, 8), warmup_steps=2)
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(n) for n in (1, 2, 4, 6, 8)], [0.05, 0.1, 0.1, 0.05, 0], atol=1e-7
  )


def test_first_update_equals_adam():
  optimizer = optimizers.make(_config())
  params = {"w": jnp.zeros(2)}
  grads = {"w": jnp.array([3.0, -0.2])}
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  # Adam's first update is -learning_rate * sign(gradient).
  np.testing.assert_allclose(updates["w"], [-0.1, 0.1], rtol=1e-5)


def test_clip_bounds_the_global_norm():
  grads = {"a": jnp.array([30.0]), "b": jnp.array([40.0])}
  optimizer = optimizers.make(_config(grad_clip=5.0, b1=0.0))
  _, state = optimizer.update(grads, optimizer.init(grads), grads)
  mu = optax.tree_utils.tree_get(state, "mu")
  np.testing.assert_allclose(mu, [3, 4], rtol=1e-6)
  # Without clipping, the moments use the gradient unchanged.
  optimizer = optimizers.make(_config(b1=0.0))
  _, state = optimizer.update(grads, optimizer.init(grads), grads)
  assert float(optax.tree_utils.tree_get(state, "mu")[1]) == 40.0


def test_flattened_optimizer_equals_plain_adam():
  config = _config(grad_clip=1.0, warmup_steps=2)
  optimizer = optimizers.make(config)
  plain = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adam(optimizers.schedule(config), b1=0.5, b2=0.9),
  )
  draw = np.random.default_rng(0).normal
  params = {"net": {"a": jnp.zeros((2, 3)), "b": jnp.zeros(4)}}
  state, plain_state = optimizer.init(params), plain.init(params)
  for _ in range(3):
    grads = jax.tree.map(lambda x: jnp.asarray(draw(size=x.shape)), params)
    updates, state = optimizer.update(grads, state, params)
    expected, plain_state = plain.update(grads, plain_state, params)
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5),
      updates,
      expected,
    )


@pytest.mark.parametrize(
  "changes, message",
  [
    (
      {"decay": "stairs"},
      "decay is 'stairs', but must be one of none, cosine, step, linear",
    ),
    ({"decay": "step"}, "decay_steps is 0, but must be at least 1"),
    (
      {"decay": "cosine", "warmup_steps": 5, "decay_steps": 5},
      "decay_steps is 5, but must be at least 6 .*warmup_steps 5",
    ),
    ({"decay": "linear", "decay_steps": 9}, "decay_steps is 9, .*two numbers"),
    ({"decay": "linear", "decay_steps": (9, 9)}, r"is \(9, 9\), .*one larger"),
    ({"learning_rate": -1.0}, "learning_rate is -1.0"),
    ({"grad_clip": -1.0}, "grad_clip is -1.0"),
  ],
)
def test_invalid_config_raises(changes, message):
  with pytest.raises(ValueError, match=message):
    optimizers.make(_config(**changes))


def test_step_decay_after_given_numbers_of_updates():
  config = _config(decay="step", decay_steps=(6, 9), decay_factor=0.1)
  rate = optimizers.schedule(config)
  np.testing.assert_allclose(
    [rate(n) for n in (0, 5, 6, 8, 9, 99)],
    [0.1, 0.1, 0.01, 0.01, 0.001, 0.001],
    rtol=1e-5,
  )


@pytest.mark.parametrize("decay", ["step", "cosine"])
def test_bad_tuples_of_decay_steps_are_refused(decay):
  steps = (0, 9) if decay == "step" else (6, 9)
  with pytest.raises(ValueError, match=r"decay_steps is \("):
    optimizers.schedule(_config(decay=decay, decay_steps=steps))
