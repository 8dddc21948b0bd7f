"""A player that paints the target from offers: H, BGBase or BGRefine."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.losses import perceptual
from foregan_jax.nets import animation


@dataclasses.dataclass(frozen=True)
class Painter:
  """Trains one generator on the offers of the animator.

  The inputs are offers, which have no gradient: every generator trains alone.

  Attributes:
    name: of the player.
    net_name: of the net.
    net: the generator.
    inputs: returns the generator's input for a batch with offers.
    loss_of: the perceptual loss.
    offer: name under which the image is offered; "": it is not.
  """

  name: str
  net_name: str
  net: nn.Module
  inputs: Callable[[game.Batch], jax.Array]
  loss_of: perceptual.Perceptual
  offer: str = ""
  forward_averaged: bool = False

  @property
  def trains(self) -> tuple[str, ...]:
    """Return the one net."""
    return (self.net_name,)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return Perc(image, target); the target's features are an offer."""
    del key
    image, collections = animation.train(
      self.net, nets[self.net_name], self.inputs(batch)
    )
    value = self.loss_of(nets["perceptual"], image, batch["target_features"])
    statistics = collections[animation.STATISTICS]
    return value, game.Made(
      {"l1": jnp.abs(image - batch["views"].target).mean()},
      {self.net_name: {animation.STATISTICS: statistics}},
      offers={self.offer: image} if self.offer else {},
    )

  def forward(self, nets: game.Nets, batch: game.Batch, key):
    """Return the offer without training."""
    del key
    if not self.offer:
      return {}
    x = self.inputs(batch)
    return {self.offer: animation.train(self.net, nets[self.net_name], x)[0]}
