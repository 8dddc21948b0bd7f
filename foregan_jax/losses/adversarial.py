"""Wasserstein losses with gradient penalty (VOS-ForeGAN sec. 6)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Keeps the derivative of the square root finite at a zero gradient.
_EPS = 1e-12


def wasserstein_critic(
  real_scores: Float[Array, " b *map"], fake_scores: Float[Array, " b2 *map2"]
) -> Float[Array, ""]:
  """Return `E D(fake) - E D(real)`, which the critic minimises."""
  real, fake = (s.astype(jnp.float32) for s in (real_scores, fake_scores))
  return fake.mean() - real.mean()


def wasserstein_generator(
  fake_scores: Float[Array, " b *map"],
) -> Float[Array, ""]:
  """Return `-E D(fake)`, which the generator minimises."""
  return -fake_scores.astype(jnp.float32).mean()


def gradient_penalty(
  score_fn: Callable[[Float[Array, "b h w c"]], Float[Array, "b h2 w2 1"]],
  real: Float[Array, "b h w c"],
  fake: Float[Array, "b h w c"],
  key: PRNGKeyArray,
  *,
  reduce: str,
) -> Float[Array, " b"]:
  """Return `(||grad_x D(x)||_2 - 1)^2` per sample, at mixtures of the two.

  `x = a real + (1 - a) fake` with one a ~ U(0, 1) per sample (Gulrajani et
  al. 2017). `score_fn` must treat samples independently and compute in
  float32.

  Args:
    score_fn: The critic with its parameters bound.
    real: Real samples.
    fake: Generated samples; detached here, as the real ones are.
    key: For the mixing weights.
    reduce: Whether D(x) is the "sum" or the "mean" of a sample's score map.
      VOS-ForeGAN has the sum: the mean is then bounded by 1 / entries.

  Raises:
    ValueError: if `reduce` is neither.
  """
  if reduce not in ("sum", "mean"):
    raise ValueError(f'reduce is "sum" or "mean", not {reduce!r}')
  real, fake = (
    jax.lax.stop_gradient(x).astype(jnp.float32) for x in (real, fake)
  )
  a = jax.random.uniform(key, (real.shape[0], 1, 1, 1))

  def total(x: jax.Array) -> jax.Array:
    scores = score_fn(x).astype(jnp.float32)
    scores = scores.reshape(scores.shape[0], -1)
    return (scores.sum(1) if reduce == "sum" else scores.mean(1)).sum()

  # Samples do not interact, so the gradient of the total holds all of them.
  gradient = jax.grad(total)(fake + a * (real - fake))
  norm = jnp.sqrt(jnp.square(gradient).sum(axis=(1, 2, 3)) + _EPS)
  return jnp.square(norm - 1)
