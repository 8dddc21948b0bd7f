"""The consensus of two mask predictions, as a target for a third one."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


class Consensus(struct.PyTreeNode):
  """A target mask with its reliability.

  Attributes:
    target: [*b h w 1] mean of both soft masks, in [0, 1].
    trust: [*b h w 1] weight of each pixel, in [0, 1].
    consistency: [*b] overlap of both masks (soft IoU), in [0, 1]; 0 if both are
      empty.
  """

  target: Float[Array, "*b h w 1"]
  trust: Float[Array, "*b h w 1"]
  consistency: Float[Array, "*b"]


def combine_masks(
  one: Float[Array, "*b h w 1"], two: Float[Array, "*b h w 1"]
) -> Consensus:
  """Return the consensus of two soft masks in [0, 1].

  The trust of a pixel is `(1 - |p - q|) |p + q - 1|`, times the consistency of
  its frame: it is high if both masks are confident and equal. The factor
  `consistency` is needed, because two empty masks are equal at every pixel;
  with them as a target the trained masks would become empty too.
  """
  overlap = (one * two).sum((-3, -2, -1))
  union = (one + two - one * two).sum((-3, -2, -1))
  # One more pixel, so that masks of a few pixels do not count as consistent.
  consistency = overlap / (union + 1.0)
  agreement = (1.0 - jnp.abs(one - two)) * jnp.abs(one + two - 1.0)
  return Consensus(
    target=(one + two) / 2.0,
    trust=agreement * consistency[..., None, None, None],
    consistency=consistency,
  )


def consensus_loss(
  mask: Float[Array, "*b h w 1"], consensus: Consensus
) -> Float[Array, ""]:
  """Return `trust |mask - target|`, a mean over pixels.

  The loss is not divided by the sum of the trust, because low agreement should
  yield a small loss.
  """
  return (consensus.trust * jnp.abs(mask - consensus.target)).mean()
