"""The Wasserstein critics of foregrounds, masks and background patches."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import jitter, patch_sampler, ranges
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
  """Moves `df` (foregrounds, masks) and `db` (background patches).

  Real foregrounds and masks are those of frame 0, plain or augmented; real
  patches are cut from frame 0 where there is no object. Fakes come from the
  generator's offer of the same turn.

  Attributes:
    real_fg: `first` (as it is) or `augmented` (sec. 2.6); real masks are
      always augmented.
    gp_reduce: the penalty's gradient is that of the `sum` (source) or the
      `mean` over the critic's output map.
  """

  df: nn.Module
  db: nn.Module
  heads: tuple[str, ...]
  real_fg: str
  real_patches: patch_sampler.Sampler
  fake_patches: patch_sampler.Sampler
  gp_reduce: str
  weights: Weights
  name: str = "critic"
  trains: tuple[str, ...] = ("df", "db")

  def loss(self, params, variables, batch: game.Batch, key):
    """Sums over the transitions of Wasserstein terms and penalties (sec. 6).

    One step on both together; the source took two Adam steps per iteration,
    the second with stale gradients.
    """
    del variables
    clip = batch["clip"]
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
        terms |= self._whole(params, head, real, fold(fake), steps, key_gp)
    terms |= self._patches(params, clip.bg, mask, keys["bg"])
    w = self.weights
    weights = {
      "fg": w.fg, "fg_gp": w.fg_gp, "mask": w.mask, "mask_gp": w.fg_gp,
      "bg": w.bg, "bg_gp": w.bg_gp,
    }  # fmt: skip
    total = sum(weights[name] * steps * value for name, value in terms.items())
    return total, game.Made({k: steps * v for k, v in terms.items()})

  def _real(self, head, key, frame, mask, clip):
    if head == "mask":
      # As pictures of three channels: the penalty's gradient has them all.
      real = jitter.real_mask(key, mask)
      return jnp.broadcast_to(real, (*real.shape[:-1], 3))
    if self.real_fg == "first":
      return clip.fg[:, 0]
    return jitter.real_foreground(key, frame, mask)

  def _whole(self, params, head, real, fake, steps, key):
    """A head of `df` on whole pictures; the same reals stand at every t."""
    score = lambda x: self.df.apply({"params": params["df"]}, x, head)
    fake = jnp.broadcast_to(fake, (*fake.shape[:-1], 3))
    exact = self.df.clone(dtype=jnp.float32)  # differentiated twice
    # The batch is outermost in `fake` [(b t), ...]: repeat, not tile.
    gp = adversarial.gradient_penalty(
      lambda x: exact.apply({"params": params["df"]}, x, head),
      jnp.repeat(real, steps, axis=0),
      fake,
      key,
      reduce=self.gp_reduce,
    )
    gap = adversarial.wasserstein_critic(score(real), score(fake))
    return {head: gap, f"{head}_gp": gp.mean()}

  def _patches(self, params, bg, mask, key):
    """`db` on patches; a video without a free place for one has no say."""
    key_real, key_fake, key_gp = jax.random.split(key, 3)
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    b, steps = bg.shape[0], bg.shape[1] - 1
    real, free = self.real_patches(key_real, bg[:, 0], mask)
    fake, _ = self.fake_patches(
      key_fake, fold(bg[:, 1:]), jnp.repeat(mask, steps, axis=0)
    )
    score = lambda x: self.db.apply({"params": params["db"]}, x, "fg")
    real_bt = jnp.repeat(real, steps, axis=0)
    exact = self.db.clone(dtype=jnp.float32)
    gp = adversarial.gradient_penalty(
      lambda x: exact.apply({"params": params["db"]}, x, "fg"),
      fold(real_bt),
      fold(fake),
      key_gp,
      reduce=self.gp_reduce,
    )
    by_video = lambda x: x.reshape(b, -1).mean(1)
    gap = by_video(score(fold(fake))) - by_video(score(fold(real)))
    says = free.astype(jnp.float32)
    mean = lambda x: (x * says).sum() / jnp.maximum(says.sum(), 1.0)
    return {"bg": mean(gap), "bg_gp": mean(by_video(gp))}
