"""The propagator: learns to carry a mask through clips with known masks.

RGMP (CVPR 2018), second stage: unrolled over the frames of a clip it is fed its
own soft masks, and the gradient goes back through them, so that it learns to
live with its own errors.
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

_LEAST = 1e-6  # of a share, against division by nothing


@dataclasses.dataclass(frozen=True)
class Propagator:
  """Moves `prop`; learns from clips of t + 1 frames.

  Attributes:
    prop: the network.
    clips: makes the labelled clips (`pseudo_video.Clip`) of a batch.
    aux_weight: of the coarse predictions' losses (deep supervision).
    iou_weight: of `1 - IoU`, which RGMP does not have: cross-entropy alone is
      slow to find small objects, most of the picture being background.
    recurrence: the number of frames that count grows from 1 to t in so many
      steps; 0: all count from the start.
    truncate: cuts the gradient through the mask in every so manieth frame;
      0: nowhere.
    unroll: whether the scan over time is unrolled.
    remat: whether each frame is computed anew in the backward pass.
  """

  prop: propagator_net.Propagator
  clips: Callable[[Any, game.Batch], Any]
  aux_weight: float
  iou_weight: float
  recurrence: int
  truncate: int
  unroll: bool
  remat: bool
  name: str = "propagator"
  trains: tuple[str, ...] = ("prop",)

  def loss(self, params, variables, batch: game.Batch, key):
    """Mean over frames after the first of cross-entropy + w (1 - IoU)."""
    del variables
    clip = self.clips(key, batch)
    apply = lambda *args, **kwargs: self.prop.apply(
      {"params": params["prop"]}, *args, **kwargs
    )
    # The gradient reaches the shared encoder from both streams.
    memory = apply(clip.video[:, 0], clip.mask[:, 0], method="remember")

    def step(prev_mask, x):
      t, frame, mask, weight = x
      if self.truncate:
        cut = t % self.truncate == 0
        fixed = jax.lax.stop_gradient(prev_mask)
        prev_mask = jnp.where(cut, fixed, prev_mask)
      logits, sides = apply(frame, prev_mask, memory)
      loss = _cross_entropy(logits, mask, weight)
      if self.aux_weight:
        # pred2 is what `logits` come from.
        coarse = sum(_coarse(side, mask, weight) for side in sides[1:])
        loss += self.aux_weight * coarse
      soft = propagator_net.probability(logits)
      miss = segmentation.soft_iou(soft * weight, mask * weight)
      return soft, (loss, loss + self.iou_weight * miss, miss)

    if self.remat:
      step = jax.checkpoint(step)
    first = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)
    count = clip.video.shape[1] - 1
    _, (entropies, losses, misses) = jax.lax.scan(
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
    counts = self._counts(batch["step"], count)
    total = (losses * counts).sum() / counts.sum()
    numbers = {
      "ce_first": entropies[0],
      "iou_first": 1.0 - misses[0],
      "iou_last": 1.0 - misses[-1],
      "frames": counts.sum(),
    }
    return total, game.Made(numbers)

  def _counts(self, step: jax.Array, count: int) -> jax.Array:
    """Returns 1 for the frames that count at a step, 0 for the others [t]."""
    if not self.recurrence:
      return jnp.ones(count)
    reached = 1 + jnp.asarray(step) * count // self.recurrence
    return (jnp.arange(count) < reached).astype(jnp.float32)


def _cross_entropy(logits, mask, weight) -> jax.Array:
  """-log softmax of two classes is the binary one of their difference."""
  return segmentation.bce(logits[..., 1:] - logits[..., :1], mask, weight)


def _coarse(logits, mask, weight) -> jax.Array:
  times = mask.shape[1] // logits.shape[1]
  shrink = lambda x: nn.avg_pool(x, (times, times), (times, times))
  share = shrink(weight)
  # What nobody knows is no background.
  target = shrink(mask * weight) / jnp.maximum(share, _LEAST)
  return _cross_entropy(logits, target, share)
