"""Adversarial losses.

Wasserstein with gradient penalty (VOS-ForeGAN sec. 6), non-saturating and
hinge (Improved Layered GANs eq. 1).
"""

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


def critic(
  real_logits: Float[Array, " b *map"],
  fake_logits: Float[Array, " b2 *map2"],
  *,
  kind: str,
) -> Float[Array, ""]:
  """Return what the discriminator minimises.

  "ns": `E softplus(-D(real)) + E softplus(D(fake))`;
  "hinge": `E relu(1 - D(real)) + E relu(1 + D(fake))`.

  Raises:
    ValueError: if `kind` is neither.
  """
  soft = _penalty_of(kind)
  real, fake = (x.astype(jnp.float32) for x in (real_logits, fake_logits))
  return soft(-real).mean() + soft(fake).mean()


def generator(
  fake_logits: Float[Array, " b *map"], *, kind: str
) -> Float[Array, ""]:
  """Return what the generator minimises.

  "ns": `E softplus(-D(fake))`; "hinge": `-E D(fake)`.

  Raises:
    ValueError: if `kind` is neither.
  """
  fake = fake_logits.astype(jnp.float32)
  if kind == "hinge":
    return -fake.mean()
  return _penalty_of(kind)(-fake).mean()


def _penalty_of(kind: str) -> Callable[[jax.Array], jax.Array]:
  if kind == "ns":
    return jax.nn.softplus
  if kind == "hinge":
    return lambda x: jax.nn.relu(1.0 + x)
  raise ValueError(f'kind is "ns" or "hinge", not {kind!r}')


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
