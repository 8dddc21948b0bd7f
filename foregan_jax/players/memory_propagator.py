"""The loss of a propagator with a memory: segment clips with known masks.

The network is unrolled over the frames of a clip, as in STM's main training: it
reads the first frame with its true mask and all frames since then with the
masks that it has predicted itself. The gradient flows through these masks.
The objects of a clip share a softmax at each pixel.
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
    masks = jnp.moveaxis(clip.mask, -1, 2)  # [b, t, n, h, w]
    b, frames, n = masks.shape[:3]
    live = masks[:, 0].any((-2, -1))
    # An object that the first frame does not show is background.
    masks = masks * live[:, None, :, None, None]
    queries = self._queries(nets, clip.video)
    at = lambda t: jax.tree.map(lambda x: x[:, t], queries)
    # The networks see each object of each clip as a row of the batch.
    rows = lambda x: x.reshape(b * n, *x.shape[2:])
    objects = lambda x: x.reshape(b, n, *x.shape[1:])

    def value(t, masks):
      beside = rows(memory.beside(masks))
      return objects(apply("value", at(t).repeat(n), beside))

    first = value(0, masks[:, 0])
    values = jnp.zeros((b, n, frames, *first.shape[2:]), first.dtype)
    values = values.at[:, :, 0].set(first)

    def step(carry, x):
      prev_masks, values = carry
      t, masks, weight = x
      valid = (jnp.arange(frames) < t)[None, None]
      query = at(t)
      beside = memory.beside(prev_masks)
      read = apply("match", query, queries.key, values, valid, beside)
      logits = apply("decode", query.repeat(n), rows(read), rows(beside))
      log_prob = memory.merge(objects(logits), live)
      soft = jnp.exp(log_prob[:, 1:])
      background = 1.0 - masks.sum(1, keepdims=True)
      targets = jnp.concatenate([background, masks], axis=1)
      entropy = segmentation.cross_entropy(log_prob, targets, weight[:, 0])
      iou_loss = segmentation.soft_iou(
        rows(soft * weight)[..., None],
        rows(masks * weight)[..., None],
        live.reshape(-1).astype(jnp.float32),
      )
      values = values.at[:, :, t].set(value(t, soft))
      return (soft, values), (entropy, iou_loss)

    if self.remat:
      step = jax.checkpoint(step)
    guidance = jnp.moveaxis(clip.guidance, -1, 1) * live[..., None, None]
    weight = jnp.moveaxis(clip.weight, -1, 2)
    later = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)
    _, (entropies, iou_losses) = jax.lax.scan(
      step,
      (guidance, values),
      (jnp.arange(1, frames), later(masks), later(weight)),
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
