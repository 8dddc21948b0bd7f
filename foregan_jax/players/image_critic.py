"""The discriminator of layered images, with the estimators of the codes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import jitter, ranges
from foregan_jax.losses import adversarial, information


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the discriminator's terms."""

  adv: float
  info: float


@dataclasses.dataclass(frozen=True)
class ImageCritic:
  """Trains `disc` and `estimator` on generated and real pictures.

  Of the generated ones it uses `fake`, `mask` and `codes`. It also scores the
  backgrounds of `clip`, without a gradient: backgrounds that score higher than
  whole pictures are a sign of leakage (ILSGAN).

  Attributes:
    size: (h, w) of its input; real pictures are cropped to it.
    draw: draws new generated pictures from (nets, batch, key), in the form of
      the generator's offers; None: the generator's offers are used.
  """

  disc: nn.Module
  estimator: nn.Module
  weights: Weights
  adversarial: str
  size: tuple[int, int]
  draw: Callable[[game.Nets, game.Batch, Any], dict[str, Any]] | None = None
  name: str = "critic"
  trains: tuple[str, ...] = ("disc", "estimator")

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return L_D = adv + info (algorithm 1, line 5).

    Real and generated pictures take two calls, so that the statistics of the
    batch norms do not mix.
    """
    discriminate = lambda x: self.disc.apply(nets["disc"], x)
    image = ranges.image_to_float(batch["image"])
    real = discriminate(jitter.crop_and_flip(key, image, self.size))
    made = batch
    if self.draw:
      made = self.draw(nets, batch, jax.random.fold_in(key, 1))
    fake = discriminate(made["fake"])
    codes = made["codes"]
    guess = self.estimator.apply(nets["estimator"], made["mask"])
    terms = {
      "adv": adversarial.critic(real.real, fake.real, kind=self.adversarial),
      "info": information.code_error(fake.code, codes.private)
      + information.code_error(guess, codes.superclass),
    }
    weights = dataclasses.asdict(self.weights)
    total = sum(weights[name] * value for name, value in terms.items())
    accuracy = lambda logits, code: (jnp.argmax(logits, -1) == code).mean()
    metrics = {
      **terms,
      "real": real.real.mean(),
      "fake": fake.real.mean(),
      "background": discriminate(made["clip"].bg[:, 0]).real.mean(),
      "image_code_accuracy": accuracy(fake.code, codes.private),
      "mask_code_accuracy": accuracy(guess, codes.superclass),
    }
    return total, game.Made(metrics)
