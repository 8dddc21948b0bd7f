"""Bounds on mutual information."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray


def code_error(
  logits: Float[Array, "b n"], code: Int[Array, " b"]
) -> Float[Array, ""]:
  """Return the loss `-E log q(code | image)`, which is *minimised*.

  It is the negative of InfoGAN's variational bound. Eq. 5 of Improved Layered
  GANs prints the bound, which is maximised.

  Args:
    logits: output of the estimator q.
    code: code from which the image was generated.
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
  """Return a bound on the information that hidden and visible regions share.

  The CLUB bound with a Laplace model of unit scale is
  `-E d(x_i, y_i) + E d(x_p(i), y_i)`, where d is the mean absolute difference.
  Inside the mask x is the hidden background and y the visible foreground;
  outside x is the hidden foreground and y the visible background. The result is
  the sum of both bounds.

  Args:
    key: random key of the permutation p. It rolls the batch by a random number
      of places that is not 0, so that no sample is paired with itself.
    fg: foregrounds, not perturbed.
    bg: backgrounds.
    mask: soft masks in [0, 1]; they receive gradients too.

  Raises:
    ValueError: if the batch has one sample, so there is no other one to compare
      with.

  Source: ILSGAN, AAAI 2023.
  """
  count = fg.shape[0]
  if count < 2:
    raise ValueError("leakage compares samples: it needs a batch of 2 or more")
  inside, outside = jax.random.split(key)
  return _club(inside, mask * bg, mask * fg) + _club(
    outside, (1 - mask) * fg, (1 - mask) * bg
  )


def _club(key, hidden: jax.Array, visible: jax.Array) -> jax.Array:
  """Return the CLUB bound of one region."""
  offset = jax.random.randint(key, (), 1, hidden.shape[0])
  other = jnp.roll(hidden, offset, axis=0)
  distance = lambda x: jnp.abs(x.astype(jnp.float32) - visible).mean()
  return distance(other) - distance(hidden)
