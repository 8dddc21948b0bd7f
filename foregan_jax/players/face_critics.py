"""The players of both critics of a CycleGAN for regions of faces.

Both use the offers of the generators: `real_a`, `real_b`, `fake_a`, `fake_b`,
crops [r, b, s, s, c] of r regions, generated before the generators' update.
"""

import dataclasses
from collections.abc import Callable

import jax

from foregan_jax import game
from foregan_jax.layers import image_pool, interleave
from foregan_jax.losses import adversarial

_DOMAINS = ("a", "b")


@dataclasses.dataclass(frozen=True)
class PooledCritics:
  """Trains `d_a` and `d_b` with least squares and image pools.

  Attributes:
    score: applies either critic, to (collections, crops, step, key).
    shape: of the crops, (regions, s, s, c).
    pool: images in the pool of each region and domain; 0: no pools.
  """

  score: Callable[..., jax.Array]
  shape: tuple[int, ...]
  pool: int
  name: str = "critics"
  trains: tuple[str, ...] = ("d_a", "d_b")

  def init_memory(self):
    """Return an empty pool for each domain."""
    if not self.pool:
      return {}
    regions, *image = self.shape
    new = lambda: image_pool.empty(regions, self.pool, tuple(image))
    return {domain: new() for domain in _DOMAINS}

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return `((D(real) - 1)^2 + D(pooled fake)^2) / 2` of both domains.

    Means over patches, summed over domains and regions. Source: CycleGAN,
    section 4.
    """
    total, metrics, memory = 0.0, {}, {}
    for i, domain in enumerate(_DOMAINS):
      key_pool, key_score = jax.random.split(jax.random.fold_in(key, i))
      fake = batch[f"fake_{domain}"]
      if self.pool:
        memory[domain], fake = image_pool.exchange(
          nets.memory[domain], fake, key_pool
        )
      both = interleave.join(batch[f"real_{domain}"], fake, axis=1)
      scores = self.score(nets[f"d_{domain}"], both, batch["step"], key_score)
      real, fake = interleave.split(scores, 2, axis=1)
      value = adversarial.least_squares_critic(real, fake)
      total += value
      metrics |= {
        f"adv_{domain}": value,
        f"real_{domain}": real.mean(),
        f"fake_{domain}": fake.mean(),
      }
    return self.shape[0] * total, game.Made(metrics, memory=memory)


@dataclasses.dataclass(frozen=True)
class WassersteinCritics:
  """Trains `d_a` and `d_b` with Wasserstein's loss and a gradient penalty.

  Attributes:
    score: applies either critic, to (collections, crops, step, key).
    penalty: weight of the gradient penalty.
  """

  score: Callable[..., jax.Array]
  penalty: float
  name: str = "critics"
  trains: tuple[str, ...] = ("d_a", "d_b")

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return `D(fake) - D(real) + penalty (||grad D|| - 1)^2` of both domains.

    Means, summed over domains and regions.
    """
    total, metrics = 0.0, {}
    for i, domain in enumerate(_DOMAINS):
      key_score, key_mix = jax.random.split(jax.random.fold_in(key, i))
      real, fake = batch[f"real_{domain}"], batch[f"fake_{domain}"]
      score = lambda x, domain=domain, key=key_score: self.score(
        nets[f"d_{domain}"], x, batch["step"], key
      )
      both = interleave.split(
        score(interleave.join(real, fake, axis=1)), 2, axis=1
      )
      value = adversarial.wasserstein_critic(*both)
      penalty = _penalty(score, real, fake, key_mix)
      total += value + self.penalty * penalty
      metrics |= {f"adv_{domain}": value, f"penalty_{domain}": penalty}
    return real.shape[0] * total, game.Made(metrics)


def _penalty(score, real, fake, key) -> jax.Array:
  """Return the mean gradient penalty of crops of all regions."""
  shape = real.shape
  flat = lambda x: x.reshape(-1, *shape[2:])

  def score_flat(x):
    scores = score(x.reshape(shape))
    return scores.reshape(-1, *scores.shape[2:])

  return adversarial.gradient_penalty(
    score_flat, flat(real), flat(fake), key, reduce="mean"
  ).mean()
