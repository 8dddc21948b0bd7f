"""The discriminator of layered images, with the estimators of the codes."""

import dataclasses

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
  """Moves `disc` and `estimator`; learns from `fake`, `mask` and `codes`.

  Looks at the backgrounds of `clip` too, but does not learn from them: that
  they look more real than the pictures is a sign of leakage (ILSGAN).

  Attributes:
    size: (h, w) of the pictures it sees, cut out of the real ones.
  """

  disc: nn.Module
  estimator: nn.Module
  weights: Weights
  adversarial: str
  size: tuple[int, int]
  name: str = "critic"
  trains: tuple[str, ...] = ("disc", "estimator")

  def loss(self, params, variables, batch: game.Batch, key):
    """L_D = adv + info (algorithm 1, line 5).

    Real and drawn pictures go through in two calls, so that the statistics of
    the batch norms do not mix.
    """
    del variables
    say = lambda x: self.disc.apply({"params": params["disc"]}, x)
    image = ranges.image_to_float(batch["image"])
    real = say(jitter.crop_and_flip(key, image, self.size))
    fake = say(batch["fake"])
    codes = batch["codes"]
    guess = self.estimator.apply({"params": params["estimator"]}, batch["mask"])
    terms = {
      "adv": adversarial.critic(real.real, fake.real, kind=self.adversarial),
      "info": information.code_error(fake.code, codes.private)
      + information.code_error(guess, codes.superclass),
    }
    weights = dataclasses.asdict(self.weights)
    total = sum(weights[name] * value for name, value in terms.items())
    hit = lambda logits, code: (jnp.argmax(logits, -1) == code).mean()
    metrics = {
      **terms,
      "real": real.real.mean(),
      "fake": fake.real.mean(),
      "background": say(batch["clip"].bg[:, 0]).real.mean(),
      "knows_image_code": hit(fake.code, codes.private),
      "knows_mask_code": hit(guess, codes.superclass),
    }
    return total, game.Made(metrics)
