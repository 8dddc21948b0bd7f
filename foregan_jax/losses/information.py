"""How much one thing says about another: bounds on mutual information."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray


def code_error(
  logits: Float[Array, "b n"], code: Int[Array, " b"]
) -> Float[Array, ""]:
  """Return `-E log q(code | picture)`, to be *minimised*.

  The variational bound of InfoGAN is its negative; Improved Layered GANs'
  eq. 5 prints the bound, which is maximised.

  Args:
    logits: of the estimator q.
    code: which code the picture was drawn with.
  """
  loss = optax.softmax_cross_entropy_with_integer_labels(
    logits.astype(jnp.float32), code
  )
  return loss.mean()


def leakage(
  key: PRNGKeyArray,
  fg: Float[Array, "b h w c"],
  bg: Float[Array, "b h w c"],
  mask: Float[Array, "b h w 1"],
) -> Float[Array, ""]:
  """Return how much hidden regions say about visible ones (ILSGAN, AAAI 2023).

  The CLUB bound with a Laplace model of unit scale, of the background inside
  the mask given the foreground there, plus of the foreground outside given the
  background there:
  `-E d(x_i, y_i) + E d(x_p(i), y_i)`, d the mean absolute difference.

  Args:
    key: for p. It turns the batch by a random number of places, so that no
      sample meets itself.
    fg: foregrounds, not perturbed.
    bg: backgrounds.
    mask: soft masks in [0, 1]; they receive gradients too.

  Raises:
    ValueError: for a batch of one, which has no other sample to compare with.
  """
  count = fg.shape[0]
  if count < 2:
    raise ValueError("leakage compares samples: it needs a batch of 2 or more")
  inside, outside = jax.random.split(key)
  return _club(inside, mask * bg, mask * fg) + _club(
    outside, (1 - mask) * fg, (1 - mask) * bg
  )


def _club(key, hidden: jax.Array, seen: jax.Array) -> jax.Array:
  turn = jax.random.randint(key, (), 1, hidden.shape[0])
  other = jnp.roll(hidden, turn, axis=0)
  apart = lambda x: jnp.abs(x.astype(jnp.float32) - seen).mean()
  return apart(other) - apart(hidden)
