"""The loss of a segmenter of the parts of faces."""

import dataclasses
from collections.abc import Callable

import jax

from foregan_jax import game
from foregan_jax.layers import face_boxes, face_jitter, ranges
from foregan_jax.losses import segmentation


@dataclasses.dataclass(frozen=True)
class FaceParts:
  """Trains `parts` on faces with masks.

  A part covers about a hundredth of a face or less. With a plain mean over
  pixels, most parts stay empty; so their pixels weigh more, and the IoU is that
  of the whole batch, because half of the mouths are closed.

  Attributes:
    segment: applies the network: nets and images to logits.
    jitter: changes the faces.
    balance: weight of the pixels of a part; other pixels have weight 1.
    iou_weight: weight of `1 - IoU`.
  """

  segment: Callable
  jitter: face_jitter.FaceJitter
  balance: float
  iou_weight: float
  name: str = "parts"
  trains: tuple[str, ...] = ("parts",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return BCE, and w (1 - IoU) averaged over the parts."""
    faces = batch["faces"]
    image = ranges.image_to_float(faces["image"])
    masks = ranges.mask_to_float(faces["parts"])
    image, masks = self.jitter(key, image, masks)
    logits = self.segment(nets, image)
    bce = segmentation.balanced_bce(logits, masks, self.balance)
    losses = segmentation.pooled_iou(jax.nn.sigmoid(logits), masks)
    metrics = {"bce": bce, "iou": 1.0 - losses.mean()}
    for name, value in zip(face_boxes.PARTS, losses, strict=True):
      metrics[f"iou_{name}"] = 1.0 - value
    return bce + self.iou_weight * losses.mean(), game.Made(metrics)
