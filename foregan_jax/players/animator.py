"""The player of mask generator and low-resolution generator."""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.losses import perceptual
from foregan_jax.nets import animation, cross_identity
from foregan_jax.nets import animation_inputs as inputs
from foregan_jax.synthesis import frame_pairs


@dataclasses.dataclass(frozen=True)
class Animator:
  """Trains m and L: the masks must carry what L needs to paint the target.

  L is the only net whose loss reaches m. The others get masks as offers, which
  have no gradient.

  Attributes:
    m: mask generator.
    l: low-resolution generator.
    pairs: makes the views of a sample.
    loss_of: the perceptual loss.
    cross: statistics of other masks; None: without.
  """

  m: nn.Module
  l: nn.Module
  pairs: frame_pairs.FramePairs
  loss_of: perceptual.Perceptual
  cross: cross_identity.CrossIdentity | None = None
  name: str = "animator"
  trains: tuple[str, ...] = ("m", "l")
  forward_averaged: bool = False

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return Perc(L([D(s), m(s), m(d)]), target)."""
    offers, collections = self._run(nets, batch, key)
    value = self.loss_of(
      nets["perceptual"], offers["low"], offers["target_features"]
    )
    source, driving = offers["mask_source"], offers["mask_driving"]
    target = offers["views"].target
    metrics = {
      "l1": jnp.abs(offers["low"] - target).mean(),
      "mask_mean": driving.mean(),
      # 0: the masks carry no pose.
      "mask_motion": jnp.abs(driving - source).mean(),
      "mask_contrast": driving.std((1, 2, 3)).mean(),
    }
    variables = {
      net: {animation.STATISTICS: tree[animation.STATISTICS]}
      for net, tree in collections.items()
    }
    return value, game.Made(metrics, variables, offers=offers)

  def forward(self, nets: game.Nets, batch: game.Batch, key):
    """Return the offers without training."""
    return self._run(nets, batch, key)[0]

  def _run(self, nets, batch, key):
    """Return the offers, and collections with new running statistics."""
    views = self.pairs(key, batch["frames"])
    # Two passes as published: each has its own statistics.
    mask_source, m = animation.train(self.m, nets["m"], views.source)
    mask_driving, m = animation.train(self.m, m, views.driving)
    l = nets["l"]
    if self.cross:
      masks = mask_source, mask_driving
      refined, _ = self.cross.refine(nets["r"], views.source, *masks)
      x = inputs.low_input(views.source, mask_source, refined)
      _, moved = animation.train(self.l, l, x)
      l = self.cross.choose(batch["step"], l, moved)
    x = inputs.low_input(views.source, mask_source, mask_driving)
    low, l = animation.train(self.l, l, x)
    offers = {
      "views": views,
      "mask_source": mask_source,
      "mask_driving": mask_driving,
      "low": low,
      "target_features": self.loss_of.describe(
        nets["perceptual"], views.target
      ),
    }
    return offers, {"m": m, "l": l}
