"""The loss of a propagator with a memory: segment clips with known masks.

The network is unrolled over the frames of a clip, as in STM's main training: it
reads the first frame with its true mask and all frames since then with the
masks that it has predicted itself. The gradient flows through these masks.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from foregan_jax import game
from foregan_jax.losses import segmentation
from foregan_jax.nets import efficientnet, memory


@dataclasses.dataclass(frozen=True)
class MemoryPropagator:
  """Trains `prop` on clips of t + 1 frames; `trunk` is frozen.

  Attributes:
    prop: the network.
    trunk: the network below.
    clips: returns labelled clips (`pseudo_video.Clip`) for (key, batch).
    iou_weight: weight of `1 - IoU` beside the cross-entropy.
    unroll: whether the scan over time is unrolled.
    remat: whether the backward pass recomputes each frame.
  """

  prop: memory.MemoryNet
  trunk: efficientnet.EfficientNetLite0
  clips: Callable[[Any, game.Batch], Any]
  iou_weight: float
  unroll: bool
  remat: bool
  name: str = "propagator"
  trains: tuple[str, ...] = ("prop",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the mean over frames t > 0 of cross-entropy + w (1 - IoU)."""
    clip = self.clips(key, batch)
    apply = lambda method, *args: self.prop.apply(
      nets["prop"], *args, method=method
    )
    queries = self._queries(nets, clip.video)
    at = lambda t: jax.tree.map(lambda x: x[:, t], queries)
    value = lambda t, mask: apply("value", at(t), mask)
    b, frames = clip.video.shape[:2]
    first = value(0, clip.mask[:, 0])
    values = jnp.zeros((b, 1, frames, *first.shape[1:]), first.dtype)
    values = values.at[:, 0, 0].set(first)

    def step(carry, x):
      prev_mask, values = carry
      t, mask, weight = x
      valid = (jnp.arange(frames) < t)[None, None]
      query = at(t)
      read = memory.attend(query.key, queries.key, values, valid)[:, 0]
      logits = apply("decode", query, read, prev_mask)
      soft = jax.nn.sigmoid(logits)
      entropy = segmentation.bce(logits, mask, weight)
      iou_loss = segmentation.soft_iou(soft * weight, mask * weight)
      values = values.at[:, 0, t].set(value(t, soft))
      return (soft, values), (entropy, iou_loss)

    if self.remat:
      step = jax.checkpoint(step)
    later = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)
    _, (entropies, iou_losses) = jax.lax.scan(
      step,
      (clip.guidance, values),
      (jnp.arange(1, frames), later(clip.mask), later(clip.weight)),
      unroll=frames - 1 if self.unroll else 1,
    )
    metrics = {
      "ce": entropies.mean(),
      "iou_first": 1.0 - iou_losses[0],
      "iou_last": 1.0 - iou_losses[-1],
    }
    total = (entropies + self.iou_weight * iou_losses).mean()
    return total, game.Made(metrics)

  def _queries(self, nets: game.Nets, video: jax.Array) -> memory.Query:
    """Return the features of all frames [b, t, ...], computed at once."""
    b, t, *shape = video.shape
    features = self.trunk.apply(nets["trunk"], video.reshape(b * t, *shape))
    features = jax.lax.stop_gradient(features)
    queries = self.prop.apply(nets["prop"], features, method="query")
    return jax.tree.map(lambda x: x.reshape(b, t, *x.shape[1:]), queries)
