"""animation: gradients, phases, and the backgrounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import animation as config_lib
from foregan_jax import game, systems
from foregan_jax.nets import animation_inputs as inputs
from foregan_jax.runtime import platform


@pytest.fixture(scope="module")
def system():
  return systems.build(config_lib.get_config("smoke"))


def test_players_start_by_the_step():
  c = config_lib.get_config("fake")
  system = systems.build(c)
  first = ("animator", "painter")
  assert c.starts.refiner == 1_000 and c.starts.background == 2_000
  assert system.turn(0) == system.turn(999) == first
  assert system.turn(1_000) == system.turn(1_999) == (*first, "refiner")
  assert system.turn(2_000) == (*first, "refiner", "bg_base", "bg_refine")
  # Rates drop at epochs 60 and 90 of the run.
  assert c.optim.animator.decay_steps == (60_000, 90_000)
  assert c.optim.refiner.decay_steps == (59_000, 89_000)
  assert c.optim.bg_base.decay_steps == (58_000, 88_000)


@pytest.fixture(scope="module")
def state(system):
  params, variables = jax.jit(system.init)(platform.key(0))
  frozen = {"perceptual": system.frozen["perceptual"].load()}
  return params | {"perceptual": frozen["perceptual"]["params"]}, variables


@pytest.fixture(scope="module")
def batch(system):
  rng = np.random.default_rng(0)
  shape = system.batch_spec(4)["frames"].shape
  coarse = rng.integers(0, 256, (4, 2, 4, 4, 3), np.uint8)
  frames = coarse.repeat(4, 2).repeat(4, 3)
  assert frames.shape == shape
  return {"frames": jnp.asarray(frames), "step": jnp.int32(1)}


def test_only_the_loss_of_l_reaches_the_mask_generator(system, state, batch):
  """Section 10.3 of the method: every loss moves its own nets only."""
  params, variables = state
  players = {player.name: player for player in system.players}

  def losses(params, key):
    nets = game.Nets(params, variables)
    seen, values = batch, {}
    for name, player in players.items():
      values[name], made = player.loss(nets, seen, key)
      seen = seen | jax.lax.stop_gradient(made.offers)
    return values

  gradients = jax.jit(jax.jacrev(losses))(params, platform.key(1))
  for name, by_net in gradients.items():
    norm = lambda tree: sum(
      float(jnp.abs(x).sum()) for x in jax.tree.leaves(tree)
    )
    moved = {net for net in system.nets if norm(by_net[net]) > 0}
    assert moved == set(players[name].trains), name


def test_background_does_not_change_the_other_players(system, state, batch):
  c = config_lib.get_config("smoke")
  c.background = False
  alone = systems.build(c)
  assert set(alone.nets) == {"m", "l", "h", "r"}
  assert set(alone.checkpoint_items) == {"animator"}
  assert "bg_base" in system.nets
  params, _ = jax.jit(alone.init)(platform.key(0))
  for net, tree in params.items():
    jax.tree.map(np.testing.assert_array_equal, tree, state[0][net])
  assert alone.turn(5) == ("animator", "painter", "refiner")


def test_statistics_of_other_masks_begin_with_the_refiner(system, state, batch):
  params, variables = state
  nets = game.Nets(params, variables)
  animator = system.players[0]
  assert animator.cross.start == 1
  run = jax.jit(
    lambda step: animator.loss(nets, batch | {"step": step}, platform.key(1))
  )
  (loss, before), (same, after) = run(jnp.int32(0)), run(jnp.int32(1))
  assert loss == same
  moved = lambda net: (
    not jax.tree.all(
      jax.tree.map(jnp.array_equal, before.variables[net], after.variables[net])
    )
  )
  assert moved("l") and not moved("m")


def test_target_has_the_colours_of_the_source(system):
  """Source and target share one change of colours, driving has another."""
  pairs = system.players[0].pairs
  frame = np.random.default_rng(0).integers(0, 256, (1, 1, 8, 8, 3), np.uint8)
  frames = jnp.asarray(frame.repeat(2, 1).repeat(64, 0))
  views = jax.jit(pairs)(platform.key(2), frames)
  np.testing.assert_array_equal(views.source, views.target)
  assert jnp.abs(views.driving - views.target).mean((1, 2, 3)).min() > 1e-3
  assert views.driving.min() >= 0 and views.driving.max() <= 1


def test_half_of_the_pairs_are_reversed_and_a_quarter_mirrored(system):
  frames = np.zeros((512, 2, 4, 4, 3), np.uint8)
  frames[:, 1] = 200  # later
  frames[:, :, :, 0] += 50  # left
  pairs = type(system.players[0].pairs)((0.0, 0.0, 0.0, 0.0))
  views = jax.jit(pairs)(platform.key(3), jnp.asarray(frames))
  backward = np.asarray(views.source.mean((1, 2, 3)) > 0.5)
  mirrored = np.asarray(views.source[:, 0, 3, 0] > views.source[:, 0, 0, 0])
  assert abs(backward.mean() - 0.5) < 0.08
  assert abs(mirrored.mean() - 0.25) < 0.07
  assert not (backward & mirrored).any()
  later = np.where(backward, views.target.mean((1, 2, 3)), 0)
  assert later.max() < 0.2


def test_foreground_and_background_are_the_image():
  key = platform.key(0)
  image, actor = jax.random.uniform(key, (2, 2, 8, 8, 3))
  mask = jax.random.uniform(key, (2, 4, 4, 1))
  low = jnp.zeros((2, 8, 8, 3))
  x = inputs.background_high_input(image, image, mask, mask, low, 100.0)
  assert x.shape == (2, 8, 8, 11)
  np.testing.assert_allclose(x[..., 2:5] + x[..., 5:8], image, atol=1e-6)
  np.testing.assert_array_equal(x[..., 0], x[..., 1])
  assert set(np.unique(x[..., 0])) == {0.0, 1.0}
  x = inputs.background_low_input(image, actor, 0 * mask, mask, 100.0)
  # An empty mask keeps the whole picture: it is its *background*.
  np.testing.assert_allclose(
    x[..., 2:5], inputs.resize(image, (4, 4)), atol=1e-6
  )


def test_binary_masks_are_strictly_above_the_threshold():
  levels = jnp.asarray(np.array([0, 60, 61, 255]) / 255, jnp.float32)
  binary = inputs.binarise(levels.reshape(1, 2, 2, 1), 60.0)
  np.testing.assert_array_equal(binary.reshape(-1), [0, 0, 1, 1])
  np.testing.assert_array_equal(inputs.binarise(binary, 60.0), binary)


@pytest.mark.parametrize("size", [4, 32])
def test_resizing_equals_that_of_jax(size):
  x = jax.random.uniform(platform.key(0), (1, 16, 16, 2))
  expected = jax.image.resize(x, (1, size, size, 2), "linear", antialias=False)
  np.testing.assert_allclose(
    inputs.resize(x, (size, size)), expected, atol=1e-6
  )


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("data.still_size", 18, "must be a multiple of 4"),
    ("nets.stride", 3, "nets.stride is 3"),
    ("nets.stride", 8, "masks have 2 pixels, but need at least 8"),
    ("nets.bn_scale_init", "one", "Did you mean 'ones'"),
    ("perceptual.kind", "vg", "must be one of vgg, random, trunk"),
    ("perceptual.scales", (1, 16), "become 1, but the last feature needs 2"),
    ("data.samples", "clips", "animation trains on pairs"),
    ("ema_nets", ("q",), "ema_nets has 'q'"),
  ],
)
def test_bad_values_raise_one_sentence(key, value, message):
  config = config_lib.get_config("smoke")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_new_backgrounds_change_the_image(system, state):
  """With the foreground of the third image, as published, they could not."""
  params, variables = state
  nets = game.Nets(params, variables)
  one, two = jax.random.randint(
    platform.key(0), (2, 2, 16, 16, 3), 0, 256, jnp.uint8
  )
  actor = jax.random.uniform(platform.key(1), (2, 16, 16, 3))
  mask = jnp.zeros((2, 8, 8, 1)).at[:, 2:5, 2:5].set(1.0)
  swap = jax.jit(system.swap_background, static_argnames="hole")
  made = {
    hole: swap(nets, one, actor, mask, hole=hole)
    for hole in ("own", "none", "actor")
  }
  other = swap(nets, two, actor, mask, hole="none")
  assert jnp.abs(other - made["none"]).mean() > 1e-4
  assert jnp.abs(made["actor"] - made["none"]).max() > 1e-6
  with pytest.raises(ValueError, match="hole is 'all'"):
    system.swap_background(nets, one, actor, mask, hole="all")


def test_animation_uses_the_refined_mask(system, state):
  nets = game.Nets(*state)
  source, driving = jax.random.randint(
    platform.key(0), (2, 2, 16, 16, 3), 0, 256, jnp.uint8
  )
  made = jax.jit(system.animate)(nets, source, driving)
  same = jax.jit(system.reconstruct)(nets, source, driving)
  np.testing.assert_allclose(made["mask_raw"], same["mask"], atol=1e-6)
  assert jnp.abs(made["mask"] - made["mask_raw"]).max() > 1e-3
  assert jnp.abs(made["low"] - same["low"]).max() > 1e-6
