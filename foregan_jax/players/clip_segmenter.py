"""The segmenter's loss on the frames of synthesised clips."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from foregan_jax import game
from foregan_jax.losses import segmentation


@dataclasses.dataclass(frozen=True)
class ClipSegmenter:
  """Trains `seg` to find the object of labelled clips without any mask.

  Attributes:
    segment: returns logits of images, for (nets, images).
    clips: returns labelled clips (`pseudo_video.Clip`) for (key, batch).
    bce_weight: weight of the binary cross-entropy.
    iou_weight: weight of `1 - IoU`.
  """

  segment: Callable[[game.Nets, jax.Array], jax.Array]
  clips: Callable[[Any, game.Batch], Any]
  bce_weight: float
  iou_weight: float
  name: str = "segmenter"
  trains: tuple[str, ...] = ("seg",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return w_bce BCE(S(x), m) + w_iou (1 - IoU(S(x), m)) of all frames."""
    clip = self.clips(key, batch)
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    target, weight = fold(clip.mask), fold(clip.weight)
    logits = self.segment(nets, fold(clip.video))
    soft = jax.nn.sigmoid(logits)
    terms = {
      "bce": segmentation.bce(logits, target, weight),
      "iou": segmentation.soft_iou(soft * weight, target * weight),
    }
    total = self.bce_weight * terms["bce"] + self.iou_weight * terms["iou"]
    return total, game.Made(terms)
