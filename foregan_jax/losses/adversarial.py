"""Adversarial losses.

Wasserstein with gradient penalty (VOS-ForeGAN sec. 6); non-saturating and hinge
(Improved Layered GANs eq. 1); least squares (CycleGAN).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Keeps the derivative of the square root finite if the gradient is zero.
_EPS = 1e-12


def wasserstein_critic(
  real_scores: Float[Array, " b *map"], fake_scores: Float[Array, " b2 *map2"]
) -> Float[Array, ""]:
  """Return the critic's loss `E D(fake) - E D(real)`."""
  real, fake = (s.astype(jnp.float32) for s in (real_scores, fake_scores))
  return fake.mean() - real.mean()


def wasserstein_generator(
  fake_scores: Float[Array, " b *map"],
) -> Float[Array, ""]:
  """Return the generator's loss `-E D(fake)`."""
  return -fake_scores.astype(jnp.float32).mean()


def least_squares_critic(
  real_scores: Float[Array, " b *map"], fake_scores: Float[Array, " b2 *map2"]
) -> Float[Array, ""]:
  """Return the critic's loss `(E (D(real) - 1)^2 + E D(fake)^2) / 2`.

  The half slows the critic down, as in CycleGAN.
  """
  real, fake = (s.astype(jnp.float32) for s in (real_scores, fake_scores))
  return 0.5 * (jnp.square(real - 1).mean() + jnp.square(fake).mean())


def least_squares_generator(
  fake_scores: Float[Array, " b *map"],
) -> Float[Array, ""]:
  """Return the generator's loss `E (D(fake) - 1)^2`."""
  return jnp.square(fake_scores.astype(jnp.float32) - 1).mean()


def critic(
  real_logits: Float[Array, " b *map"],
  fake_logits: Float[Array, " b2 *map2"],
  *,
  kind: str,
) -> Float[Array, ""]:
  """Return the discriminator's loss.

  "ns": `E softplus(-D(real)) + E softplus(D(fake))`;
  "hinge": `E relu(1 - D(real)) + E relu(1 + D(fake))`.

  Raises:
    ValueError: if `kind` is neither.
  """
  penalty = _penalty(kind)
  real, fake = (x.astype(jnp.float32) for x in (real_logits, fake_logits))
  return penalty(-real).mean() + penalty(fake).mean()


def generator(
  fake_logits: Float[Array, " b *map"], *, kind: str
) -> Float[Array, ""]:
  """Return the generator's loss.

  "ns": `E softplus(-D(fake))`; "hinge": `-E D(fake)`.

  Raises:
    ValueError: if `kind` is neither.
  """
  fake = fake_logits.astype(jnp.float32)
  if kind == "hinge":
    return -fake.mean()
  return _penalty(kind)(-fake).mean()


def _penalty(kind: str) -> Callable[[jax.Array], jax.Array]:
  """Return the penalty of large logits, a function of arrays."""
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
  """Return `(||grad_x D(x)||_2 - 1)^2` per sample, at interpolated samples.

  `x = a real + (1 - a) fake`, with one a ~ U(0, 1) per sample (Gulrajani et
  al. 2017).

  Args:
    score_fn: critic with its parameters bound. It must treat samples
      independently and compute in float32.
    real: real samples; no gradient flows into them.
    fake: generated samples; no gradient flows into them.
    key: random key of the interpolation weights.
    reduce: "sum" or "mean": how the score map of a sample becomes D(x).
      VOS-ForeGAN uses the sum, which bounds the gradient of the mean by
      1 / entries.

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

  # Samples do not interact, so one gradient of the total holds the gradients
  # of all samples.
  gradient = jax.grad(total)(fake + a * (real - fake))
  norm = jnp.sqrt(jnp.square(gradient).sum(axis=(1, 2, 3)) + _EPS)
  return jnp.square(norm - 1)
