"""The loss of two classifiers of expressions: of part masks and of pictures.

Source: MarcisTU/thesis_work. The classifier of masks filters faces there; that
of pictures scores the edited ones.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import face_jitter, ranges


@dataclasses.dataclass(frozen=True)
class Expressions:
  """Trains `expr_masks` and `expr_images` on faces with labels.

  The masks are those of the net `parts`, which this player does not train.

  Attributes:
    segment: applies the net `parts`: nets and images to logits.
    of_masks: the classifier of soft masks.
    of_images: the classifier of pictures.
    jitter: changes the faces.
  """

  segment: Callable
  of_masks: nn.Module
  of_images: nn.Module
  jitter: face_jitter.FaceJitter
  name: str = "expressions"
  trains: tuple[str, ...] = ("expr_masks", "expr_images")

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the sum of both cross-entropies."""
    faces = batch["labelled"]
    image = ranges.image_to_float(faces["image"])
    image, _ = self.jitter(key, image, image[..., :0])
    masks = jax.nn.sigmoid(self.segment(nets, image))
    label = jnp.asarray(faces["label"], jnp.int32)
    logits = {
      "masks": self.of_masks.apply(nets["expr_masks"], masks),
      "images": self.of_images.apply(nets["expr_images"], image),
    }
    total, metrics = jnp.float32(0), {}
    for name, x in logits.items():
      loss = optax.softmax_cross_entropy_with_integer_labels(x, label).mean()
      total += loss
      metrics[f"ce_{name}"] = loss
      metrics[f"accuracy_{name}"] = (x.argmax(-1) == label).mean()
    return total, game.Made(metrics)
