"""foregan with heads on a trunk: frames are larger than the layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import davis
from foregan_jax import game, runs, systems
from foregan_jax.data import fake
from foregan_jax.runtime import platform


@pytest.fixture(scope="module")
def setup():
  """Return system, nets and a batch with the offers of the generator."""
  config = davis.get_config("smoke,heads=trunk")
  config.clips.synthesis.staging.cut_out = 1.0
  config.clips.times = 1
  system = systems.build(config)
  init = jax.jit(system.init, compiler_options=platform.COMPILE_FAST)
  params, variables = init(platform.key(0))
  frozen = runs.load_frozen(system, None)
  state = game.State(0, params, variables, {}, {}, {}, frozen)
  nets = game.current_nets(state)
  source = fake.Fake(system.batch_spec(1), seed=0)
  rows = [source[i] for i in range(2)]
  batch = jax.tree.map(lambda *x: np.stack(x), *rows)
  # A mask that is not noise.
  batch["ref_mask"][:] = 0
  batch["ref_mask"][:, 20:40, 30:60] = 255
  batch["step"] = jnp.int32(50)
  offers = jax.jit(system.players[0].forward)(nets, batch, jax.random.key(0))
  return system, nets, batch | offers


def test_layers_are_half_as_large_as_the_frames(setup):
  system, _, batch = setup
  assert batch["video"].shape[2:4] == (64, 96)
  assert batch["clip"].frame.shape[2:4] == (32, 48)
  assert set(system.frozen) == {"trunk"}
  assert set(system.nets) == {"gf", "gb", "df", "db", "seg", "prop"}


def test_heads_have_the_size_of_the_frames(setup):
  system, nets, batch = setup
  made = jax.jit(system.predict)(nets, batch)
  layers = made.pop("layers")
  assert set(made) == set(system.heads)
  frames = (2, system.clip_len - 1, 64, 96)
  for soft in made.values():
    assert soft.shape == (*frames, 1)
    assert 0.0 <= float(soft.min()) and float(soft.max()) <= 1.0
  for image in (layers.frame, layers.fg, layers.bg, layers.plate):
    assert image.shape == (*frames, 3)


def test_consensus_has_the_size_of_the_layers(setup):
  system, nets, batch = setup
  one, two = jax.jit(system.players[0].predict_masks)(nets, batch)
  assert one.shape == two.shape == (2, system.clip_len - 1, 32, 48, 1)


def test_clips_have_their_own_size(setup):
  system, _, batch = setup
  player = {p.name: p for p in system.players}["propagator"]
  clip = jax.jit(player.clips)(jax.random.key(1), batch)
  assert clip.video.shape == (2, 3, 32, 64, 3)
  assert clip.mask.shape == (2, 3, 32, 64, 1)
  assert float(clip.mask[:, 0].max()) > 0.9
  assert (np.asarray(clip.weight) == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segmenter", "propagator"])
def test_losses_of_the_heads_reach_their_nets(setup, name):
  system, nets, batch = setup
  player = {p.name: p for p in system.players}[name]

  (net,) = player.trains

  def loss(own):
    changed = nets.replace(params={**nets.params, net: own})
    return player.loss(changed, batch, jax.random.key(2))[0]

  grads = jax.jit(jax.grad(loss))(nets.params[net])
  norms = [float(jnp.abs(x).sum()) for x in jax.tree.leaves(grads)]
  assert np.isfinite(norms).all() and sum(norms) > 0


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("heads.times", 3, "multiples of 48"),
    ("data.width", 72, "multiples of 16"),
    ("w_generator.bg_seg", 0.1, "its gradient would need the trunk"),
    ("clips.size", (48, 64), "multiples of 32"),
  ],
)
def test_bad_values_are_refused(key, value, message):
  config = davis.get_config("smoke,heads=trunk")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_own_heads_see_the_size_of_the_layers():
  config = davis.get_config("smoke")
  config.heads.times = 2
  with pytest.raises(ValueError, match="heads.times is 2, but must be 1"):
    systems.build(config)
