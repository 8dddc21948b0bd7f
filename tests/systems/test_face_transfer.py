"""face_transfer: turns, edits, bad configs, and a pool that resumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import face_transfer as config_lib
from foregan_jax import game, items, stepper, systems
from foregan_jax.data import fake
from foregan_jax.layers import face_boxes
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import optimizers, platform


@pytest.fixture(scope="module")
def system():
  return systems.build(config_lib.get_config("smoke"))


@pytest.fixture(scope="module")
def nets(system):
  params, variables = jax.jit(system.init)(platform.key(0))
  return game.Nets(params, variables)


@pytest.fixture(scope="module")
def faces(system):
  source = fake.Fake(system.batch_spec(1), seed=3)
  return jax.tree.map(lambda *x: jnp.stack(x), *[source[i] for i in range(4)])


def test_both_players_move_at_every_step(system):
  turn = ("generators", "critics", "classifier")
  assert all(system.turn(step) == turn for step in range(12))


def test_critics_of_wgan_gp_move_four_times_as_often():
  c = config_lib.get_config("fake,variant=wgan_gp")
  assert c.critics.generators_every == 5
  system = systems.build(c)
  turns = [system.turn(step) for step in range(100)]
  moves = lambda name: sum(name in turn for turn in turns)
  assert moves("generators") == 20 and moves("critics") == 80
  assert moves("classifier") == 100
  assert not any({"generators", "critics"} <= set(turn) for turn in turns)
  assert turns[0][0] == "generators" and turns[1][0] == "critics"


def test_published_recipe():
  c = config_lib.get_config("fake")
  optim = c.optim.generators
  assert (optim.learning_rate, optim.b1, optim.b2) == (2e-4, 0.5, 0.999)
  assert optim.decay == "linear" and optimizers.ends_with_run(optim)
  assert c.w_generator.to_dict() == {
    "cycle_a": 10.0, "cycle_b": 10.0, "identity": 0.5, "ring": 0.0,
  }  # fmt: skip
  assert (c.critics.pool, c.nets.blocks, c.nets.width) == (50, 6, 64)


@pytest.mark.parametrize("blend", ["replace", "add"])
def test_edits_change_faces_near_their_parts_only(blend, nets, faces):
  c = config_lib.get_config("smoke")
  c.paste.blend = blend
  system = systems.build(c)
  edit = jax.jit(system.edit, static_argnums=3)
  for domain, direction in (("a", "ab"), ("b", "ba")):
    face = faces[domain]
    made = edit(nets, face["image"], face["parts"], direction)
    before = jnp.asarray(face["image"], jnp.float32) * (2 / 255) - 1
    same = np.asarray(made["image"] == before).all(-1)
    assert not same[np.asarray(face["parts"]).max(-1) > 0].all()
    # Bit for bit outside of both boxes.
    top, left, bottom, right = np.asarray(made["boxes"]).astype(int).T
    outside = np.ones(same.shape, bool)
    for i, j in np.ndindex(top.shape):
      outside[i, top[i, j] : bottom[i, j], left[i, j] : right[i, j]] = False
    assert outside.any() and same[outside].all()
    assert made["regions"].shape == (2, 4, 16, 16, 3)
    assert made["alphas"].shape == (2, 4, 16, 16, 1)
    assert jnp.abs(made["image"]).max() <= 1
  assert system.regions == ("eyes", "mouth")


def test_matching_keeps_the_brightness_around_the_features(nets, faces):
  """Regions of constant brightness errors: the ring has that of the face."""
  face, drifts = faces["a"], []
  for match in (False, True):
    c = config_lib.get_config("smoke")
    c.paste.ring_match = match
    made = jax.jit(systems.build(c).edit, static_argnums=3)(
      nets, face["image"], face["parts"], "ab"
    )
    off = (made["alphas"] < 0.05).astype(jnp.float32)
    mean = lambda x, off=off: (x * off).sum((2, 3)) / off.sum((2, 3))
    drift = mean(made["regions"]) - mean(made["crops"])
    drifts.append(float(jnp.abs(drift).max()))
  assert drifts[0] > 0.02 and drifts[1] < 0.01


def test_another_direction_is_refused(system, nets, faces):
  with pytest.raises(ValueError, match="direction is 'up', .*ab, ba"):
    system.edit(nets, faces["a"]["image"], faces["a"]["parts"], "up")


def test_one_region_of_all_parts(faces):
  c = config_lib.get_config("smoke")
  c.regions = ("all",)
  system = systems.build(c)
  assert face_boxes.REGIONS["all"][0] == face_boxes.PARTS
  params, _ = jax.eval_shape(system.init, platform.key(0))
  assert {leaf.shape[0] for leaf in jax.tree.leaves(params["g_ab"])} == {1}
  made = jax.eval_shape(
    lambda p: system.edit(game.Nets(p), *faces["a"].values(), "ab"), params
  )
  assert made["regions"].shape[0] == 1


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("nets.kind", "wgan", "nets.kind is 'wgan', .*cyclegan, wgan_gp"),
    ("nets.upsample", "resise", "Did you mean 'resize'"),
    ("paste.alpha", "none", "paste.alpha is 'none', .*feature, window, self"),
    ("paste.blend", "ad", "Did you mean 'add'"),
    ("regions", (), "regions is empty"),
    ("regions", ("eye",), "Did you mean 'eyes'"),
    ("crops.size", 18, "crops.size is 18, .*multiple of 4"),
    ("crops.size", 12, "crops.size is 12, .*at least 16"),
    ("data.samples", "pairs", "'pairs', but face_transfer trains on face_pai"),
    ("data.target", "neutral", "both 'neutral'"),
    ("critics.generators_every", 1, "generators_every is 1"),
    ("w_generator.ring", -1.0, "w_generator.ring is -1.0"),
    ("ema_nets", ("g",), "ema_nets has 'g'"),
  ],
)
def test_bad_values_raise_one_sentence(key, value, message):
  config = config_lib.get_config("smoke")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_pools_go_on_bit_for_bit_after_a_checkpoint():
  """Items of a checkpoint hold the pools, and steps depend on them."""
  c = config_lib.get_config("smoke")
  c.regions = ("mouth",)
  system, turn = systems.build(c), ("critics",)  # compiles faster than all
  tx = stepper.make_optimizers(c, system)
  mesh = mesh_lib.make_mesh(jax.devices()[:1])
  place = mesh_lib.replicated(mesh)
  make = stepper.make_init(c, system, tx, place)
  step = stepper.Stepper(system, tx, mesh, ema_decay=c.ema_decay)
  source = fake.Fake(system.batch_spec(1), seed=3)
  key = mesh_lib.replicate(mesh, platform.key(1))

  def run(state, steps):
    state = jax.tree.map(jnp.copy, state)  # a step donates its state
    for i in steps:
      rows = [source[4 * i + j] for j in range(4)]
      batch = mesh_lib.to_global(
        mesh, jax.tree.map(lambda *x: np.stack(x), *rows)
      )
      if not step.programs:
        step.compile(turn, state, batch, key)
      state, _ = step(turn, state, batch, key)
    return state

  half = run(make(platform.key(7)), range(2))
  pool = half.memory["critics"]["a"]
  assert pool["count"].tolist() == [4] and jnp.abs(pool["images"]).max() > 0
  saved = jax.device_get(items.split(system, half))
  fresh = items.join(make(platform.key(8)), mesh_lib.replicate(mesh, saved))
  lost = fresh.replace(memory=make(platform.key(8)).memory)
  whole = run(half, range(2, 4))
  resumed, other = run(fresh, range(2, 4)), run(lost, range(2, 4))
  same = lambda a, b: jax.tree.all(jax.tree.map(jnp.array_equal, a, b))
  assert same(whole.params, resumed.params)
  assert same(whole.memory, resumed.memory)
  assert not same(whole.params["d_a"], other.params["d_a"])
