"""foregan: turns, and the consensus of segmenter and propagator."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game, systems
from foregan_jax.data import fake
from foregan_jax.runtime import platform
from foregan_jax.systems.foregan import system as foregan


@pytest.fixture(scope="module")
def small():
  """Return config, system, nets and a batch at the smoke size."""
  davis = importlib.import_module("configs.davis")
  config = davis.get_config("smoke")
  config.schedule.agree_start, config.schedule.agree_ramp = 10, 20
  system = systems.build(config)
  init = jax.jit(system.init, compiler_options=platform.COMPILE_FAST)
  nets = game.Nets(*init(platform.key(0)))
  source = fake.Fake(system.batch_spec(1), seed=0)
  rows = [source[i] for i in range(2)]
  batch = jax.tree.map(lambda *x: np.stack(x), *rows)
  return config, system, nets, batch


def test_turns_follow_the_schedule():
  schedule = foregan.MoveEvery(3, start=4)
  assert [s for s in range(14) if schedule(s)] == [6, 9, 12]
  assert not any(map(foregan.MoveEvery(0), range(5)))
  assert all(map(foregan.MoveEvery(1), range(5)))


def test_turns_list_the_players_in_their_order(small):
  config, system, *_ = small
  config = config.copy_and_resolve_references()
  config.turn.propagator_start = 4
  later = systems.build(config)
  all_four = ("generator", "critic", "segmenter", "propagator")
  assert system.turn(1) == later.turn(5) == all_four
  assert later.turn(3) == all_four[:3]
  assert system.turn(0) == ("critic",)


def test_agree_loss_starts_after_its_warm_up(small):
  """The predicted masks are the generator's, of the same or the last frame."""
  _, system, nets, batch = small
  generator = system.players[0]
  key = jax.random.key(0)

  @jax.jit
  def run(nets, batch):
    mask = generator.forward(nets, batch, key)["clip"].mask
    hard = (mask > mask.mean()).astype(jnp.float32)
    same, late = hard[:, 1:], hard[:, :-1] * 0.5
    loss = lambda masks: dataclasses.replace(
      generator, predict_masks=lambda nets, batch: (masks, masks)
    ).loss(nets, batch, key)
    return loss(same), loss(late), mask

  at = lambda step: run(nets, batch | {"step": jnp.int32(step)})
  (before, made), _, _ = at(10)
  assert float(made.metrics["agree"]) == 0.0
  assert float(made.metrics["consistency"]) > 0.0
  (half, made), (other, _), mask = at(20)
  (whole, all_made), _, _ = at(99)
  agree = float(made.metrics["agree"])
  assert float(all_made.metrics["agree"]) == pytest.approx(2 * agree, rel=1e-4)
  # The weight of a frame is the overlap of the two masks, here equal and hard.
  hard = np.asarray(mask > mask.mean(), np.float32)[:, 1:]
  area = hard.sum((2, 3, 4), keepdims=True)
  gap = np.abs(np.asarray(mask)[:, 1:] - hard) * area / (area + 1)
  steps = hard.shape[1]
  assert agree == pytest.approx(0.5 * steps * gap.mean(), rel=1e-3)
  # No other term depends on the step.
  weight = generator.weights.agree
  assert float(whole - before) == pytest.approx(2 * weight * agree, rel=0.01)
  assert float(half) != float(other)


def test_predicted_masks_are_those_of_the_heads(small):
  _, system, nets, batch = small
  one, two = jax.jit(system.players[0].predict_masks)(nets, batch)
  assert one.shape == two.shape == (2, system.clip_len - 1, 32, 48, 1)
  heads = jax.jit(system.predict)(nets, batch)
  np.testing.assert_allclose(one, heads["segmenter"], atol=1e-5)
  np.testing.assert_allclose(two, heads["propagator"], atol=1e-5)
  parts = [heads[name] for name in ("generator", "segmenter", "propagator")]
  np.testing.assert_allclose(heads["average"], sum(parts) / 3, atol=1e-6)
