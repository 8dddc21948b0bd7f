"""What two judges of the same frames agree on."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class Consensus:
  """A target, and how far it can be trusted.

  Attributes:
    target: [*b h w 1] mean of both soft masks, in [0, 1].
    trust: [*b h w 1] in [0, 1].
    consistency: [*b] overlap of the two masks (soft IoU), in [0, 1]; 0 where
      neither sees an object.
  """

  target: Float[Array, "*b h w 1"]
  trust: Float[Array, "*b h w 1"]
  consistency: Float[Array, "*b"]


def agree(
  one: Float[Array, "*b h w 1"], two: Float[Array, "*b h w 1"]
) -> Consensus:
  """Return what two soft masks in [0, 1] agree on.

  A pixel is trusted as far as both are sure of the same,
  `(1 - |p - q|) |p + q - 1|`, and its frame as far as the masks overlap in
  all: two judges that see nothing anywhere agree on every pixel, and following
  them would empty all masks.
  """
  overlap = (one * two).sum((-3, -2, -1))
  union = (one + two - one * two).sum((-3, -2, -1))
  # The pixel keeps two masks of crumbs from looking consistent.
  consistency = overlap / (union + 1.0)
  sure = (1.0 - jnp.abs(one - two)) * jnp.abs(one + two - 1.0)
  return Consensus(
    target=(one + two) / 2.0,
    trust=sure * consistency[..., None, None, None],
    consistency=consistency,
  )


def follow(
  mask: Float[Array, "*b h w 1"], consensus: Consensus
) -> Float[Array, ""]:
  """Return `trust |mask - target|`, a mean over pixels.

  Not over the trust: where little is agreed on, little is said.
  """
  return (consensus.trust * jnp.abs(mask - consensus.target)).mean()
