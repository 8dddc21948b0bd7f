"""The segmenter's loss: predict the masks of generated pictures.

From improved layered GANs (Yang et al., WACV 2022, sec. 3.3): the segmenter
trains on the generator's composed pictures and masks. While it is frozen, the
generator's loss uses it to keep objects out of generated backgrounds.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from foregan_jax import game
from foregan_jax.layers import composite, jitter
from foregan_jax.losses import segmentation


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the segmenter's terms."""

  bce: float
  iou: float


@dataclasses.dataclass(frozen=True)
class Augment:
  """Augmentation of the segmenter's training pictures.

  Attributes:
    colour: maximum changes of brightness, contrast, saturation and hue.
    degrees: maximum rotation of the object, degrees.
    scale: smallest and largest size factor of the object.
    shift: maximum shift of the object, as fractions of (height, width).
    recompose: fraction of pictures whose object is moved and composed with
      the background of the previous sample of the batch (WACV 2022, eq. 3); in
      a batch of one, with its own background in a mirror.
  """

  colour: tuple[float, float, float, float]
  degrees: float
  scale: tuple[float, float]
  shift: tuple[float, float]
  recompose: float


@dataclasses.dataclass(frozen=True)
class Segmenter:
  """Trains `seg` on the offer `clip` (frame, fg, bg, mask).

  Attributes:
    segment: applies the network; `nets.segmenter.Plain` or `OnTrunk`.
    frames: frames used of each clip: frame 0, whose mask is ground truth, and
      random others.
    min_area: pictures with a smaller fraction of object pixels get weight 0;
      0 keeps all of them.
  """

  segment: Any
  weights: Weights
  augment: Augment
  frames: int
  min_area: float = 0.0
  name: str = "segmenter"
  trains: tuple[str, ...] = ("seg",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return w_bce BCE(S(x), [m > 1/2]) + w_iou (1 - IoU(S(x), [m > 1/2]))."""
    key_frames, key_layers, key_colour = jax.random.split(key, 3)
    count = batch["clip"].frame.shape[1]
    others = 1 + jax.random.permutation(key_frames, count - 1)
    chosen = jnp.concatenate([jnp.zeros(1, others.dtype), others])
    chosen = chosen[: self.frames]
    clip = jax.tree.map(lambda x: x[:, chosen], batch["clip"])
    images, masks = self._pictures(key_layers, clip)
    brightness, contrast, saturation, hue = self.augment.colour
    images = jitter.colour(
      key_colour, images, brightness=brightness, contrast=contrast,
      saturation=saturation, hue=hue,
    )  # fmt: skip
    target = (masks > 0.5).astype(jnp.float32)
    logits, updated = self.segment.train(nets, images)
    keep = (target.mean((1, 2, 3)) >= self.min_area).astype(jnp.float32)
    terms = {
      "bce": segmentation.bce(logits, target, keep[:, None, None, None]),
      "iou": segmentation.soft_iou(jax.nn.sigmoid(logits), target, keep),
    }
    weights = dataclasses.asdict(self.weights)
    total = sum(weights[name] * value for name, value in terms.items())
    accuracy = ((logits > 0) == (target > 0)).mean()
    variables = {"seg": updated} if updated else {}
    return total, game.Made({**terms, "accuracy": accuracy}, variables)

  def _pictures(self, key, clip):
    """Return pictures [(b t), h, w, 3] and masks, some of them recomposed."""
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    frame, mask = fold(clip.frame), fold(clip.mask)
    a = self.augment
    if not a.recompose:
      return frame, mask
    key_place, key_which = jax.random.split(key)
    layers = jnp.concatenate([fold(clip.frame), mask], axis=-1)
    moved = jitter.affine(
      key_place, layers, degrees=a.degrees, scale=a.scale, shift=a.shift,
      share=1.0,
    )  # fmt: skip
    alone = clip.bg.shape[0] == 1
    other = clip.bg[..., ::-1, :] if alone else jnp.roll(clip.bg, 1, axis=0)
    new_frame = composite.alpha(moved[..., :3], fold(other), moved[..., 3:])
    which = jax.random.bernoulli(key_which, a.recompose, (frame.shape[0],))
    pick = lambda new, old: jnp.where(which[:, None, None, None], new, old)
    return pick(new_frame, frame), pick(moved[..., 3:], mask)
