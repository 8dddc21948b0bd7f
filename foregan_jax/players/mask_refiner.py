"""The player of the mask refiner, which restores deformed masks."""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import strips
from foregan_jax.nets import animation, cross_identity
from foregan_jax.nets import animation_inputs as inputs


@dataclasses.dataclass(frozen=True)
class MaskRefiner:
  """Trains r: restore the mask of the driving frame from a deformed one.

  The source frame and its mask show the shape that the mask must have.

  Attributes:
    r: mask refiner.
    deform: deformation of the masks.
    weight: of the loss.
    cross: statistics of other masks; None: without.
  """

  r: nn.Module
  deform: strips.Deformation
  weight: float
  cross: cross_identity.CrossIdentity | None = None
  name: str = "refiner"
  trains: tuple[str, ...] = ("r",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return w mean |r([D(s), m_s, P(m_d)]) - m_d|; the masks are offers."""
    source = batch["views"].source
    mask_source, mask = batch["mask_source"], batch["mask_driving"]
    r = nets["r"]
    if self.cross:
      _, moved = self.cross.refine(r, source, mask_source, mask)
      r = self.cross.choose(batch["step"], r, moved)
    deformed = self.deform(key, mask)
    x = inputs.low_input(source, mask_source, deformed)
    refined, r = animation.train(self.r, r, x)
    error = jnp.abs(refined - mask).mean()
    metrics = {"l1": error, "l1_deformed": jnp.abs(deformed - mask).mean()}
    variables = {"r": {animation.STATISTICS: r[animation.STATISTICS]}}
    return self.weight * error, game.Made(metrics, variables)
