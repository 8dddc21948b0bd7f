import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax.losses import adversarial
from foregan_jax.nets import critic


def test_wasserstein_losses_have_the_right_signs():
  real = jnp.array([3.0, 5.0]).reshape(2, 1, 1, 1)
  fake = jnp.array([1.0, 2.0, 0.0]).reshape(3, 1, 1, 1)
  assert adversarial.wasserstein_critic(real, fake) == 1 - 4
  assert adversarial.wasserstein_generator(fake) == -1


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_gradient_penalty_of_a_linear_critic(reduce, key):
  weight = jax.random.normal(key, (1, 4, 5, 3))
  # Two scores per sample, w.x and 2 w.x: their sum has gradient 3 w.
  score = lambda x: jnp.stack(
    [s * (x * weight).sum((1, 2, 3)) for s in (1, 2)], axis=1
  ).reshape(-1, 2, 1, 1)
  real, fake = jax.random.normal(key, (2, 6, 4, 5, 3))
  got = adversarial.gradient_penalty(score, real, fake, key, reduce=reduce)
  factor = 3 if reduce == "sum" else 1.5
  want = (factor * jnp.linalg.norm(weight) - 1) ** 2
  np.testing.assert_allclose(got, jnp.full(6, want), rtol=1e-4)


def test_gradient_penalty_samples_between_real_and_fake(key):
  real, fake = jnp.full((400, 1, 1, 1), 2.0), jnp.full((400, 1, 1, 1), 4.0)
  score = lambda x: jnp.square(x) / 2  # The gradient is x.
  got = adversarial.gradient_penalty(score, real, fake, key, reduce="sum")
  points = jnp.sqrt(got) + 1
  assert points.min() >= 2 and points.max() <= 4
  assert points.min() < 2.1 and points.max() > 3.9


def test_gradient_penalty_of_a_constant_critic_has_a_finite_gradient(key):
  real, fake = jax.random.normal(key, (2, 3, 4, 4, 1))

  def loss(scale):
    score = lambda x: scale * x.sum((1, 2, 3), keepdims=True)
    return adversarial.gradient_penalty(
      score, real, fake, key, reduce="sum"
    ).mean()

  value, slope = jax.value_and_grad(loss)(0.0)
  np.testing.assert_allclose(value, 1, rtol=1e-4)
  assert jnp.isfinite(slope)


def test_unknown_reduce_raises(key):
  x = jnp.zeros((1, 1, 1, 1))
  score = lambda x: x
  with pytest.raises(ValueError, match="'max'"):
    adversarial.gradient_penalty(score, x, x, key, reduce="max")


def test_generator_step_lowers_the_generator_loss(key):
  module = critic.Critic(4, num_down=1)
  fake = jax.random.normal(key, (2, 12, 16, 3))
  params = jax.jit(module.init, static_argnums=2)(key, fake, "fg")
  loss = lambda x: adversarial.wasserstein_generator(
    module.apply(params, x, "fg")
  )
  moved = fake - 10 * jax.jit(jax.grad(loss))(fake)
  assert loss(moved) < loss(fake)


def test_critic_steps_lower_the_critic_loss_with_penalty(key):
  module = critic.Critic(4, num_down=1)
  real = 0.5 + 0.1 * jax.random.normal(key, (4, 12, 16, 3))
  fake = -real
  params = jax.jit(module.init, static_argnums=2)(key, real, "fg")
  optimizer = optax.adam(1e-2)

  @jax.jit
  def step(params, state):
    def loss(p):
      score = lambda x: module.apply(p, x, "fg")
      gap = adversarial.wasserstein_critic(score(real), score(fake))
      penalty = adversarial.gradient_penalty(
        score, real, fake, key, reduce="mean"
      )
      return gap + 10 * penalty.mean(), gap

    (_, gap), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, gap

  state, gaps = optimizer.init(params), []
  for _ in range(30):
    params, state, gap = step(params, state)
    gaps.append(float(gap))
  assert gaps[-1] < gaps[0] - 0.1


def test_losses_at_zero_logits():
  zero = jnp.zeros(4)
  np.testing.assert_allclose(
    adversarial.critic(zero, zero, kind="ns"), 2 * np.log(2), rtol=1e-6
  )
  np.testing.assert_allclose(
    adversarial.generator(zero, kind="ns"), np.log(2), rtol=1e-6
  )
  assert adversarial.critic(zero, zero, kind="hinge") == 2
  assert adversarial.generator(zero, kind="hinge") == 0


@pytest.mark.parametrize("kind", ["ns", "hinge"])
def test_critic_and_generator_have_opposite_gradients(kind):
  real, fake = jnp.array([0.3, -0.2]), jnp.array([-0.1, 0.4])
  grad_real, grad_fake = jax.grad(
    lambda *a: adversarial.critic(*a, kind=kind), (0, 1)
  )(real, fake)
  assert (grad_real < 0).all() and (grad_fake > 0).all()
  grad = jax.grad(lambda x: adversarial.generator(x, kind=kind))(fake)
  assert (grad < 0).all()


def test_unknown_kind_raises():
  with pytest.raises(ValueError, match="'lsgan'"):
    adversarial.generator(jnp.zeros(2), kind="lsgan")


def test_least_squares_have_targets_one_and_zero():
  real, fake = jnp.array([1.0, 3.0]), jnp.array([0.0, 2.0, 1.0, 1.0])
  critic = adversarial.least_squares_critic(real, fake)
  # Means of (0, 4) and (0, 4, 1, 1), halved.
  assert critic == pytest.approx(0.5 * (2.0 + 1.5))
  assert adversarial.least_squares_generator(fake) == pytest.approx(0.5)
