"""The Wasserstein critics of foregrounds, masks and background patches."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import jitter, patch_sampler, ranges, sizes
from foregan_jax.losses import adversarial


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the critics' terms (VOS-ForeGAN sec. 6, L_D and L_gp)."""

  fg: float
  mask: float
  fg_gp: float  # also the mask head's
  bg: float
  bg_gp: float


@dataclasses.dataclass(frozen=True)
class Critic:
  """Trains `df` (foregrounds, masks) and `db` (background patches).

  Real foregrounds and masks come from frame 0, plain or augmented. Real
  patches are cut from frame 0 outside the object. Fakes come from the
  generator's offer of the same turn.

  Attributes:
    real_fg: real foregrounds are the masked frame 0 (`first`), or augmented
      (`augmented`, sec. 2.6); real masks are always augmented.
    gp_reduce: whether the penalty takes the gradient of the `sum` (source) or
      of the `mean` over the critic's output map.
    times: how many times larger the frames of the batch are than the layers.
  """

  df: nn.Module
  db: nn.Module
  heads: tuple[str, ...]
  real_fg: str
  real_patches: patch_sampler.Sampler
  fake_patches: patch_sampler.Sampler
  gp_reduce: str
  weights: Weights
  times: int = 1
  name: str = "critic"
  trains: tuple[str, ...] = ("df", "db")

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the sum over transitions of Wasserstein terms and penalties.

    Both nets take one step together. The original code takes two Adam steps
    per iteration, the second one with stale gradients. Source: sec. 6.
    """
    clip = batch["clip"]
    batch = sizes.shrink_batch(batch, self.times)
    keys = dict(
      zip(("fg", "mask", "bg"), jax.random.split(key, 3), strict=True)
    )
    frame = ranges.image_to_float(batch["video"][:, 0])
    mask = ranges.mask_to_float(batch["ref_mask"])
    steps = clip.fg.shape[1] - 1
    fold = lambda x: x[:, 1:].reshape(-1, *x.shape[2:])
    terms = {}
    for head, fake in (("fg", clip.fg), ("mask", clip.mask)):
      if head in self.heads:
        key_real, key_gp = jax.random.split(keys[head])
        real = self._real(head, key_real, frame, mask, clip)
        terms |= self._whole(nets, head, real, fold(fake), steps, key_gp)
    terms |= self._patches(nets, clip.bg, mask, keys["bg"])
    w = self.weights
    weights = {
      "fg": w.fg, "fg_gp": w.fg_gp, "mask": w.mask, "mask_gp": w.fg_gp,
      "bg": w.bg, "bg_gp": w.bg_gp,
    }  # fmt: skip
    total = sum(weights[name] * steps * value for name, value in terms.items())
    return total, game.Made({k: steps * v for k, v in terms.items()})

  def _real(self, head, key, frame, mask, clip):
    if head == "mask":
      # Three channels, as the critic sees fakes: the norm of the penalty's
      # gradient runs over all of them.
      real = jitter.real_mask(key, mask)
      return jnp.broadcast_to(real, (*real.shape[:-1], 3))
    if self.real_fg == "first":
      return clip.fg[:, 0]
    return jitter.real_foreground(key, frame, mask)

  def _whole(self, nets, head, real, fake, steps, key):
    """Return the terms of one head of `df`; the reals repeat at every t."""
    score = lambda x: self.df.apply(nets["df"], x, head)
    fake = jnp.broadcast_to(fake, (*fake.shape[:-1], 3))
    exact = self.df.clone(dtype=jnp.float32)  # differentiated twice
    # The batch is outermost in `fake` [(b t), ...]: repeat, not tile.
    gp = adversarial.gradient_penalty(
      lambda x: exact.apply(nets["df"], x, head),
      jnp.repeat(real, steps, axis=0),
      fake,
      key,
      reduce=self.gp_reduce,
    )
    gap = adversarial.wasserstein_critic(score(real), score(fake))
    return {head: gap, f"{head}_gp": gp.mean()}

  def _patches(self, nets, bg, mask, key):
    """Return the terms of `db`; skip videos without a valid real patch."""
    key_real, key_fake, key_gp = jax.random.split(key, 3)
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    b, steps = bg.shape[0], bg.shape[1] - 1
    real, valid = self.real_patches(key_real, bg[:, 0], mask)
    fake, _ = self.fake_patches(
      key_fake, fold(bg[:, 1:]), jnp.repeat(mask, steps, axis=0)
    )
    score = lambda x: self.db.apply(nets["db"], x, "fg")
    real_bt = jnp.repeat(real, steps, axis=0)
    exact = self.db.clone(dtype=jnp.float32)
    gp = adversarial.gradient_penalty(
      lambda x: exact.apply(nets["db"], x, "fg"),
      fold(real_bt),
      fold(fake),
      key_gp,
      reduce=self.gp_reduce,
    )
    by_video = lambda x: x.reshape(b, -1).mean(1)
    gap = by_video(score(fold(fake))) - by_video(score(fold(real)))
    weight = valid.astype(jnp.float32)
    mean = lambda x: (x * weight).sum() / jnp.maximum(weight.sum(), 1.0)
    return {"bg": mean(gap), "bg_gp": mean(by_video(gp))}
