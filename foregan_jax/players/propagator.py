"""The propagator's loss: propagate a mask through clips with known masks.

RGMP (CVPR 2018), second stage: the network is unrolled over the frames of a
clip and receives its own soft masks. The gradient flows through them, so it
learns to correct its own errors.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.losses import segmentation
from foregan_jax.nets import propagator as propagator_net

_EPSILON = 1e-6  # against division by zero


@dataclasses.dataclass(frozen=True)
class Bootstrap:
  """A schedule of the share of pixels, the hardest ones, in the loss.

  RGMP does not mention it. STCN uses 15 % and steps 20k and 70k.

  Attributes:
    share: the last share; 1 disables the selection.
    start: steps with all pixels.
    end: the share falls linearly from `start` to this step.
  """

  share: float = 1.0
  start: int = 20_000
  end: int = 70_000

  def at(self, step: jax.Array) -> jax.Array:
    """Return the share at a training step."""
    left = (self.end - step) / max(self.end - self.start, 1)
    return self.share + (1.0 - self.share) * jnp.clip(left, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Propagator:
  """Trains `prop` on clips of t + 1 frames.

  Attributes:
    prop: the network.
    clips: returns labelled clips (`pseudo_video.Clip`) for (key, batch).
    aux_weight: weight of the losses on coarse predictions (deep supervision).
    iou_weight: weight of `1 - IoU`; not in RGMP. Cross-entropy alone is slow
      to find small objects, because most pixels are background.
    recurrence: steps with 1 frame in the loss, then with 2, and so on up to t;
      0: all frames from the start. Frames without loss are computed too.
    truncate: stop the gradient through the mask at every n-th frame; 0: never.
    unroll: whether the scan over time is unrolled.
    remat: whether the backward pass recomputes each frame.
    bootstrap: selects the pixels in the cross-entropy at full resolution.
  """

  prop: propagator_net.Propagator
  clips: Callable[[Any, game.Batch], Any]
  aux_weight: float
  iou_weight: float
  recurrence: int
  truncate: int
  unroll: bool
  remat: bool
  bootstrap: Bootstrap = Bootstrap()
  name: str = "propagator"
  trains: tuple[str, ...] = ("prop",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the mean over frames t > 0 of cross-entropy + w (1 - IoU)."""
    clip = self.clips(key, batch)
    apply = lambda *args, **kwargs: self.prop.apply(
      nets["prop"], *args, **kwargs
    )
    # The gradient reaches the shared encoder from both streams.
    reference = apply(
      clip.video[:, 0], clip.mask[:, 0], method="encode_reference"
    )

    share = self.bootstrap.at(batch["step"])

    def step(prev_mask, x):
      t, frame, mask, weight = x
      if self.truncate:
        cut = t % self.truncate == 0
        fixed = jax.lax.stop_gradient(prev_mask)
        prev_mask = jnp.where(cut, fixed, prev_mask)
      logits, sides = apply(frame, prev_mask, reference)
      if self.bootstrap.share < 1:
        difference = _difference(logits)
        loss = segmentation.hardest_bce(difference, mask, weight, share)
      else:
        loss = _cross_entropy(logits, mask, weight)
      if self.aux_weight:
        # sides[0] (pred2) is the source of `logits` already.
        coarse = sum(_coarse(side, mask, weight) for side in sides[1:])
        loss += self.aux_weight * coarse
      soft = propagator_net.probability(logits)
      iou_loss = segmentation.soft_iou(soft * weight, mask * weight)
      return soft, (loss, loss + self.iou_weight * iou_loss, iou_loss)

    if self.remat:
      step = jax.checkpoint(step)
    first = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)
    count = clip.video.shape[1] - 1
    _, (entropies, losses, iou_losses) = jax.lax.scan(
      step,
      clip.guidance,
      (
        jnp.arange(count),
        first(clip.video),
        first(clip.mask),
        first(clip.weight),
      ),
      unroll=count if self.unroll else 1,
    )
    weights = self._weights(batch["step"], count)
    total = (losses * weights).sum() / weights.sum()
    metrics = {
      "ce_first": entropies[0],
      "iou_first": 1.0 - iou_losses[0],
      "iou_last": 1.0 - iou_losses[-1],
      "frames": weights.sum(),
    }
    return total, game.Made(metrics)

  def _weights(self, step: jax.Array, count: int) -> jax.Array:
    """Return 1 for frames in the loss at this step, 0 for others [t]."""
    if not self.recurrence:
      return jnp.ones(count)
    reached = 1 + jnp.asarray(step) // self.recurrence
    return (jnp.arange(count) < reached).astype(jnp.float32)


def _cross_entropy(logits, mask, weight) -> jax.Array:
  """Return the two-class cross-entropy as the binary one of the difference."""
  return segmentation.bce(_difference(logits), mask, weight)


def _difference(logits) -> jax.Array:
  return logits[..., 1:] - logits[..., :1]


def _coarse(logits, mask, weight) -> jax.Array:
  """Return the cross-entropy at the resolution of a coarse prediction."""
  times = mask.shape[1] // logits.shape[1]
  shrink = lambda x: nn.avg_pool(x, (times, times), (times, times))
  share = shrink(weight)
  # Exclude unlabelled pixels from the target.
  target = shrink(mask * weight) / jnp.maximum(share, _EPSILON)
  return _cross_entropy(logits, target, share)
