"""The player of a classifier of two domains of faces."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import interleave, jitter, ranges


@dataclasses.dataclass(frozen=True)
class DomainClassifier:
  """Trains `cls` to tell faces `a` (class 0) and `b` (class 1) apart.

  It is for the evaluation: no other player uses it.

  Attributes:
    net: the classifier of whole faces.
    colour: half-widths of random brightness, contrast, saturation and hue.
  """

  net: nn.Module
  colour: tuple[float, ...]
  name: str = "classifier"
  trains: tuple[str, ...] = ("cls",)

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the mean cross-entropy of faces mirrored at random."""
    key_colour, key_side = jax.random.split(key)
    faces = [batch[domain]["image"] for domain in ("a", "b")]
    labels = jnp.tile(jnp.arange(2), len(faces[0]))
    image = ranges.image_to_float(interleave.join(*faces))
    names = ("brightness", "contrast", "saturation", "hue")
    widths = dict(zip(names, self.colour, strict=True))
    image = jitter.colour(key_colour, image, **widths)
    image = jitter.crop_and_flip(key_side, image, image.shape[1:3])
    logits = self.net.apply(nets["cls"], image)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    accuracy = (jnp.argmax(logits, -1) == labels).mean()
    return loss.mean(), game.Made({"accuracy": accuracy})
