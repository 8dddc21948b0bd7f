"""The player of both generators of a CycleGAN for regions of faces."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import face_regions, interleave
from foregan_jax.nets import per_region

# Of a crop's side: room around the features, which may grow in translation.
_ROOM = 0.1


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the generators' terms.

  Attributes:
    cycle_a: of |F(G(a)) - a|.
    cycle_b: of |G(F(b)) - b|.
    identity: of |G(b) - b| and |F(a) - a|, in units of `cycle_b`, `cycle_a`.
    ring: of |G(a) - a| and |F(b) - b| far from the features.
  """

  cycle_a: float
  cycle_b: float
  identity: float
  ring: float


@dataclasses.dataclass(frozen=True)
class FaceGenerators:
  """Trains `g_ab` (G) and `g_ba` (F), on regions of unpaired faces.

  The batch has faces `a` and `b` of two emotions. Crops are drawn here and
  offered, with what was generated of them, so that the critics compare the
  same ones.

  Attributes:
    generate: applies either generator.
    score: applies either critic, to (collections, crops, step, key).
    adversarial: the loss of scores of generated crops.
    regions: cuts the crops.
  """

  generate: per_region.PerRegion
  score: Callable[..., jax.Array]
  adversarial: Callable[[jax.Array], jax.Array]
  regions: face_regions.Regions
  weights: Weights
  name: str = "generators"
  trains: tuple[str, ...] = ("g_ab", "g_ba")
  forward_averaged: bool = False

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the sum of the terms, and of it the sum over regions.

    adv(D_B(G(a))) + adv(D_A(F(b))) + cycle_a |F(G(a)) - a|
    + cycle_b |G(F(b)) - b| + identity (cycle_b |G(b) - b| + cycle_a |F(a) - a|)
    + ring (|G(a) - a| + |F(b) - b|, both far from the features).

    Source: CycleGAN, eq. 3 and section 5.2, and its code for the weights of the
    identity; the ring is ours.
    """
    key_crops, *keys = jax.random.split(key, 3)
    a, b = self._crops(batch, key_crops)
    ab = lambda x: self.generate.apply(nets["g_ab"], x)
    ba = lambda x: self.generate.apply(nets["g_ba"], x)
    # One call for both: larger convolutions are faster.
    fake_b, same_b = _both(ab, a.image, b.image)
    fake_a, same_a = _both(ba, b.image, a.image)
    cycle_a, cycle_b = ba(fake_b), ab(fake_a)
    score = lambda net, x, key: self.adversarial(
      self.score(nets[net], x, batch["step"], key)
    )
    l1 = lambda x, y: jnp.abs(x - y).mean()
    w = self.weights
    terms = {
      "adv_b": score("d_b", fake_b, keys[0]),
      "adv_a": score("d_a", fake_a, keys[1]),
      "cycle_a": l1(cycle_a, a.image),
      "cycle_b": l1(cycle_b, b.image),
      "identity_a": l1(same_a, a.image),
      "identity_b": l1(same_b, b.image),
    }
    weights = {
      "adv_b": 1.0,
      "adv_a": 1.0,
      "cycle_a": w.cycle_a,
      "cycle_b": w.cycle_b,
      "identity_a": w.identity * w.cycle_a,
      "identity_b": w.identity * w.cycle_b,
    }
    if w.ring:
      terms |= {"ring_a": _ring(fake_b, a), "ring_b": _ring(fake_a, b)}
      weights |= {"ring_a": w.ring, "ring_b": w.ring}
    total = sum(weights[name] * value for name, value in terms.items())
    metrics = {
      **terms,
      # 0: the generators return their input.
      "change_a": l1(fake_b, a.image),
      "change_b": l1(fake_a, b.image),
    }
    offers = _offers(a, b, fake_a, fake_b)
    # The terms are means over regions.
    return self.generate.count * total, game.Made(metrics, offers=offers)

  def forward(self, nets: game.Nets, batch: game.Batch, key):
    """Return the offers without training."""
    a, b = self._crops(batch, jax.random.split(key, 3)[0])
    fake_a = self.generate.apply(nets["g_ba"], b.image)
    fake_b = self.generate.apply(nets["g_ab"], a.image)
    return _offers(a, b, fake_a, fake_b)

  def _crops(self, batch, key) -> tuple[face_regions.Crops, face_regions.Crops]:
    cut = lambda domain, key: self.regions(
      batch[domain]["image"], batch[domain]["parts"], key
    )
    key_a, key_b = jax.random.split(key)
    return cut("a", key_a), cut("b", key_b)


def _both(net, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Apply a net to two sets of crops [r, b, s, s, c] in one call."""
  made = net(interleave.join(x, y, axis=1))
  first, second = interleave.split(made, 2, axis=1)
  return first, second


def _ring(fake: jax.Array, crops: face_regions.Crops) -> jax.Array:
  """Return the mean change of the pixels that are far from the features."""
  reach = 2 * round(_ROOM * fake.shape[2]) + 1
  mask = crops.mask.reshape(-1, *crops.mask.shape[2:])
  for window in ((reach, 1), (1, reach)):
    mask = nn.max_pool(mask, window, padding="SAME")
  off = 1.0 - mask.reshape(crops.mask.shape)
  change = jnp.abs(fake - crops.image).mean(-1, keepdims=True)
  return (change * off).sum() / jnp.maximum(off.sum(), 1.0)


def _offers(a, b, fake_a, fake_b) -> dict[str, jax.Array]:
  return {
    "real_a": a.image, "real_b": b.image, "fake_a": fake_a, "fake_b": fake_b,
  }  # fmt: skip
