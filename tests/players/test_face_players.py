"""Players of face_transfer: terms, gradients, pools, penalty, classifier."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game
from foregan_jax.layers import face_regions
from foregan_jax.nets import cycle_gan, per_region, picture_classifier
from foregan_jax.players import (
  domain_classifier,
  face_critics,
  face_generators,
)
from foregan_jax.runtime import platform

_WEIGHTS = face_generators.Weights(10.0, 20.0, 0.5, 0.0)


class _Shift(per_region.PerRegion):
  """Stands in for nets of one region: adds its parameter."""

  def apply(self, collections, *args):
    return args[0] + collections["params"]


class _Cut(face_regions.Regions):
  """Stands in for the regions: one crop, the whole face."""

  def __call__(self, image, parts, key=None):
    del parts, key
    whole = image[None]
    mask = jnp.zeros_like(whole[..., :1]).at[:, :, :2].set(1.0)
    return face_regions.Crops(whole, mask, jnp.zeros((1, len(image), 4)))


def _stand_in(kind):
  return kind(cycle_gan.Generator(), 1, unroll=True)


def _generators(weights=_WEIGHTS):
  score = lambda collections, x, step, key: collections["params"] * x
  return face_generators.FaceGenerators(
    _stand_in(_Shift),
    score,
    lambda scores: scores.mean(),
    _Cut(("all",), 8),
    weights,
  )


def _nets(g_ab, g_ba, d_a=0.0, d_b=0.0):
  numbers = {"g_ab": g_ab, "g_ba": g_ba, "d_a": d_a, "d_b": d_b}
  return game.Nets({name: jnp.float32(x) for name, x in numbers.items()})


def _faces(a, b):
  face = lambda level: {"image": jnp.full((2, 8, 8, 3), level), "parts": None}
  return {"a": face(a), "b": face(b), "step": jnp.int32(0)}


def test_identity_terms_give_g_the_target_and_f_the_source():
  player = _generators()
  # G clips nothing here: G adds 0.25 to all, F nothing.
  total, made = player.loss(_nets(0.25, 0.0), _faces(0.1, 0.6), platform.key(0))
  near = lambda x: pytest.approx(x, abs=1e-5)
  m = made.metrics
  assert m["identity_b"] == near(0.25) and m["identity_a"] == near(0.0)
  assert m["cycle_a"] == m["cycle_b"] == near(0.25)
  # cycle_a 10, cycle_b 20; identity half of 20 for |G(b) - b|.
  assert total == near(10 * 0.25 + 20 * 0.25 + 0.5 * 20 * 0.25)
  assert made.offers["fake_b"].mean() == near(0.1 + 0.25)
  assert made.offers["fake_a"].mean() == near(0.6)
  assert made.offers["real_b"].mean() == near(0.6)


def test_each_generator_faces_the_critic_of_its_output():
  player = _generators(face_generators.Weights(0.0, 0.0, 0.0, 0.0))
  _, made = player.loss(
    _nets(0.25, 0.5, d_a=1.0, d_b=10.0), _faces(0.1, 0.6), platform.key(0)
  )
  near = lambda x: pytest.approx(x, abs=1e-5)
  assert made.metrics["adv_b"] == near(10 * (0.1 + 0.25))
  assert made.metrics["adv_a"] == near(0.6 + 0.5)


def test_ring_counts_changes_far_from_the_features():
  class Paint(_Shift):
    def apply(self, collections, *args):
      return (
        args[0].at[:, :, :2].add(9.0).at[:, :, 4:].add(collections["params"])
      )

  weights = face_generators.Weights(0.0, 0.0, 0.0, 5.0)
  player = dataclasses.replace(_generators(weights), generate=_stand_in(Paint))
  total, made = player.loss(_nets(1.0, 0.0), _faces(0.1, 0.6), platform.key(0))
  # Rows 0 and 1 are features, row 2 is room for them; 4 of 5 others changed.
  assert made.metrics["ring_a"] == pytest.approx(0.8, abs=1e-6)
  assert total == pytest.approx(5 * 0.8, abs=1e-5)
  assert (
    "ring_a"
    not in _generators()
    .loss(_nets(1.0, 0.0), _faces(0.1, 0.6), platform.key(0))[1]
    .metrics
  )


def test_forward_offers_what_the_loss_offers():
  player, key = _generators(), platform.key(3)
  nets, faces = _nets(0.25, 0.5), _faces(0.1, 0.6)
  offers = player.forward(nets, faces, key)
  for name, want in player.loss(nets, faces, key)[1].offers.items():
    np.testing.assert_array_equal(offers[name], want)


def test_critics_take_fakes_from_their_own_pools():
  score = lambda collections, x, step, key: collections["params"] * x
  player = face_critics.PooledCritics(score, (1, 2, 2, 3), pool=2)
  old = lambda level: {
    "images": jnp.full((1, 2, 2, 2, 3), level),
    "count": jnp.full(1, 2, jnp.int32),
  }
  crops = lambda level: jnp.full((1, 64, 2, 2, 3), level)
  batch = {
    "real_a": crops(1.0), "real_b": crops(1.0), "fake_a": crops(0.0),
    "fake_b": crops(0.0), "step": jnp.int32(0),
  }  # fmt: skip
  nets = _nets(0, 0, 1.0, 1.0).replace(memory={"a": old(64.0), "b": old(0.0)})
  total, made = player.loss(nets, batch, platform.key(0))
  assert made.metrics["fake_b"] == 0 and made.metrics["adv_b"] == 0
  # Both old images have left the pool: two of 64 fakes were 64.
  assert made.memory["a"]["images"].max() == 0
  assert made.metrics["fake_a"] == 2.0
  assert total == pytest.approx(0.5 * 2 * 64**2 / 64)
  empty = player.init_memory()
  assert empty["a"]["images"].shape == (1, 2, 2, 2, 3)
  assert empty["b"]["count"].tolist() == [0]


def test_penalty_is_zero_for_a_critic_with_unit_gradient():
  # D(x) is the first number of x: its gradient has norm 1 everywhere.
  unit = lambda collections, x, step, key: (
    collections["params"] * x[..., :1, :1, :1]
  )
  player = face_critics.WassersteinCritics(unit, penalty=10.0)
  draw = lambda seed: jax.random.normal(jax.random.key(seed), (2, 3, 4, 4, 3))
  batch = {
    "real_a": draw(0), "real_b": draw(1), "fake_a": draw(2), "fake_b": draw(3),
    "step": jnp.int32(0),
  }  # fmt: skip
  one, made = player.loss(_nets(0, 0, 1.0, 1.0), batch, platform.key(0))
  assert made.metrics["penalty_a"] == pytest.approx(0, abs=1e-5)
  first = lambda x: x[..., 0, 0, 0].mean()
  gap = lambda d: first(batch[f"fake_{d}"]) - first(batch[f"real_{d}"])
  # Summed over two regions.
  assert one == pytest.approx(2 * float(gap("a") + gap("b")), abs=1e-4)
  _, made = player.loss(_nets(0, 0, 1.0, 3.0), batch, platform.key(0))
  assert made.metrics["penalty_b"] == pytest.approx(4.0, abs=1e-4)


def test_critics_do_not_reach_the_generators_through_the_offers():
  generators = _generators()
  critics = face_critics.PooledCritics(generators.score, (1, 8, 8, 3), pool=0)
  faces = _faces(0.1, 0.6)

  def losses(params):
    nets = game.Nets(params)
    total, made = generators.loss(nets, faces, platform.key(0))
    # As `game.update` does.
    offers = jax.lax.stop_gradient(made.offers)
    return total, critics.loss(nets, faces | offers, platform.key(0))[0]

  first, second = jax.jacfwd(losses)(_nets(0.25, 0.5, 1.0, 2.0).params)
  assert all(slope != 0 for slope in first.values())
  assert second["g_ab"] == second["g_ba"] == 0
  assert second["d_a"] != 0 and second["d_b"] != 0
  assert generators.trains == ("g_ab", "g_ba")
  assert critics.trains == ("d_a", "d_b") and critics.init_memory() == {}


def test_classifier_learns_two_shades():
  net = picture_classifier.PictureClassifier(2, width=4, depth=2)
  player = domain_classifier.DomainClassifier(net, (0.1, 0.1, 0.1, 0.0))
  face = lambda level: {"image": jnp.full((4, 8, 8, 3), level, jnp.uint8)}
  batch = {"a": face(90), "b": face(160)}
  cls = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))["params"]

  @jax.jit
  def step(cls, key):
    loss = lambda cls: player.loss(game.Nets({"cls": cls}), batch, key)
    (value, made), grads = jax.value_and_grad(loss, has_aux=True)(cls)
    move = lambda p, g: p - 0.2 * g
    return jax.tree.map(move, cls, grads), value, made.metrics["accuracy"]

  values = []
  for i in range(30):
    cls, value, accuracy = step(cls, platform.key(i))
    values.append(float(value))
  assert values[-1] < 0.5 * values[0] and accuracy == 1
  # Class 1 is that of faces b.
  logits = net.apply({"params": cls}, jnp.full((1, 8, 8, 3), 160 / 127.5 - 1))
  assert logits[0, 1] > logits[0, 0]
