"""layered_gan: properties of the untrained system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import layered_gan as config_lib
from foregan_jax import game, systems
from foregan_jax.layers import composite
from foregan_jax.runtime import optimizers, platform
from foregan_jax.systems.layered_gan import system as layered_gan


@pytest.fixture(scope="module")
def system():
  return systems.build(config_lib.get_config("smoke"))


@pytest.fixture(scope="module")
def nets(system):
  return game.Nets(*jax.jit(system.init)(platform.key(0)))


def test_background_does_not_depend_on_the_private_code(system, nets):
  draw = jax.jit(lambda codes: system.layers(nets, codes))
  codes = system.layers.draw(platform.key(1), 8)
  other = codes.replace(
    private=(codes.private + 1) % 6, superclass=(codes.superclass + 1) % 3
  )
  one, two = draw(codes), draw(other)
  np.testing.assert_array_equal(one.bg, two.bg)
  assert jnp.abs(one.fg - two.fg).max() > 1e-3
  np.testing.assert_allclose(
    one.frame, composite.alpha(one.fg, one.bg, one.mask), atol=1e-6
  )


def test_codes_are_uniform_and_match_their_superclass(system):
  codes = system.layers.draw(platform.key(2), 600)
  np.testing.assert_array_equal(codes.superclass, codes.private // 2)
  counts = np.bincount(codes.private, minlength=6)
  assert counts.min() > 60


def test_fakes_without_perturbation_equal_the_composite():
  config = config_lib.get_config("smoke")
  config.perturbation = "none"
  system = systems.build(config)
  nets = game.Nets(*jax.jit(system.init)(platform.key(0)))
  generator = system.players[0]
  batch = {"image": jnp.zeros((8, 18, 18, 3), jnp.uint8), "step": 0}
  offers = jax.jit(generator.forward)(nets, batch, platform.key(3))
  np.testing.assert_allclose(
    offers["fake"], offers["clip"].frame[:, 0], atol=1e-4
  )


@pytest.mark.parametrize(
  # That of ILSGAN's code has 13.395 M parameters, for 64 and 128 pixels.
  "arg, count",
  [("fake", 13_395_394), ("fake,small", 393_361)],
)
def test_segmenter_is_the_published_one_except_for_small(arg, count):
  net = systems.build(config_lib.get_config(arg)).nets["seg"]
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  params = jax.eval_shape(net.init, platform.key(0), image)["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("shared", [False, True])
def test_critic_draws_fresh_fakes_unless_they_are_shared(shared, nets):
  config = config_lib.get_config("smoke")
  config.shared_fakes = shared
  generator, critic, *_ = systems.build(config).players
  spec = jax.ShapeDtypeStruct((8, 16, 16, 3), jnp.uint8)
  batch = {"image": jnp.zeros(spec.shape, spec.dtype), "step": 0}
  offers = jax.jit(generator.forward)(nets, batch, platform.key(3))
  loss = jax.jit(lambda offers, key: critic.loss(nets, batch | offers, key))
  one, two = (loss(offers, platform.key(seed))[1].metrics for seed in (4, 5))
  # Real pictures are black: only the generated ones depend on the key.
  np.testing.assert_array_equal(one["real"], two["real"])
  assert bool(one["fake"] == two["fake"]) == shared
  # The offered pictures have no influence on fresh ones.
  other = jax.tree.map(jnp.zeros_like, offers)
  changed = loss(other, platform.key(4))[1].metrics
  assert bool(changed["fake"] == one["fake"]) != shared
  assert bool(changed["background"] == one["background"]) != shared


def test_rounds_depend_on_the_step():
  turn = layered_gan.Rounds(gan=2, seg=1)
  gan, seg = ("generator", "critic"), ("segmenter",)
  assert [turn(i) for i in range(6)] == [gan, gan, seg, gan, gan, seg]
  assert layered_gan.Rounds(gan=0, seg=0)(7) == (*gan, "segmenter")


def test_final_segmenter_trains_alone_after_the_last_round():
  config = config_lib.get_config("fake")
  rounds = config.turn.gan + config.turn.seg
  assert config.turn.final_start == 5 * rounds
  assert config.num_steps - config.turn.final_start == 12_000
  system = systems.build(config)
  start = config.turn.final_start
  assert system.turn(start - 1) == ("segmenter",)
  for step in (start, start + 11_999):
    assert system.turn(step) == ("final_segmenter",)
  assert system.restarts(start) == ("final_segmenter",)
  assert not system.restarts(start - 1) and not system.restarts(start + 1)
  # ILSGAN's code: Adam 1e-3, after 8,000 of 12,000 updates times 0.2.
  optim = config.optim.final_segmenter
  rate = optimizers.schedule(optim)
  np.testing.assert_allclose(
    [rate(0), rate(7_999), rate(8_000), rate(11_999)],
    [1e-3, 1e-3, 2e-4, 2e-4],
    rtol=1e-6,
  )
  assert (optim.b1, optim.b2) == (0.9, 0.999)


def test_small_has_no_final_segmenter():
  config = config_lib.get_config("small,fake")
  system = systems.build(config)
  assert "final_segmenter" not in {player.name for player in system.players}
  assert not any(map(system.restarts, range(config.num_steps + 1)))
  seen = {name for step in range(4_000) for name in system.turn(step)}
  assert seen == {"generator", "critic", "segmenter"}


def test_bg_seg_starts_after_the_first_round():
  config = config_lib.get_config("small,fake")
  round_end = config.turn.gan + config.turn.seg
  assert config.schedule.bg_seg_start == round_end
  schedule = systems.build(config).players[0].schedule
  half = config.schedule.bg_seg_ramp // 2
  assert schedule.bg_seg(jnp.int32(round_end - 1)) == 0
  assert schedule.bg_seg(jnp.int32(round_end + half)) == 0.5
  assert schedule.bg_seg(jnp.int32(99_999)) == 1


def test_area_band_narrows_on_schedule():
  config = config_lib.get_config("small,fake")
  schedule = systems.build(config).players[0].schedule
  begin, ramp = config.schedule.area_start, config.schedule.area_ramp
  early, late = config.schedule.area_early, config.schedule.area_late
  band = lambda step: schedule.area_band(jnp.int32(step))
  np.testing.assert_allclose(band(begin), early, rtol=1e-6)
  np.testing.assert_allclose(band(begin + ramp), late, rtol=1e-6)
  half = [(a + b) / 2 for a, b in zip(early, late, strict=True)]
  np.testing.assert_allclose(band(begin + ramp // 2), half, rtol=1e-6)


@pytest.mark.parametrize(
  "field, value, sentence",
  [
    ("perturbation", "papr", "Did you mean 'paper'"),
    ("adversarial", "lsgan", "must be one of hinge, ns"),
    ("nets.seg_kind", "compct", "Did you mean 'compact'"),
    ("codes.groups", 4, "private is 6, but must be a multiple of .* 4"),
    ("bg_seg_every", 0, "bg_seg_every is 0"),
    ("turn.seg", 0, "turn.seg is 0, but must be at least 1"),
  ],
)
def test_bad_values_are_refused(field, value, sentence):
  config = config_lib.get_config("smoke")
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=sentence):
    systems.build(config)


def test_segmenter_on_a_trunk_learns_and_judges_backgrounds():
  config = config_lib.get_config("smoke")
  config.nets.seg_kind, config.nets.seg_trunk = "trunk", "tiny"
  config.nets.seg_widths = (8, 8, 8)
  system = systems.build(config)
  assert set(system.frozen) == {"trunk"} and "trunk" not in system.nets
  params, variables = jax.jit(system.init)(platform.key(0))
  params |= {"trunk": system.frozen["trunk"].load()["params"]}
  nets = game.Nets(params, variables)
  player = {p.name: p for p in system.players}["segmenter"]
  rng = np.random.default_rng(0)
  made = system.layers(nets, system.layers.draw(platform.key(1), 8))
  batch = {"clip": jax.tree.map(lambda x: x[:, None], made), "step": 0}

  def loss(seg):
    own = nets.replace(params=nets.params | {"seg": seg})
    return player.loss(own, batch, platform.key(2))[0]

  def finds(background):
    return system.segment(nets, background).sum()

  image = jnp.asarray(rng.uniform(-1, 1, (2, 16, 16, 3)), jnp.float32)
  assert jax.eval_shape(lambda x: system.segment(nets, x), image).shape == (
    2, 16, 16, 1,
  )  # fmt: skip
  gradients = jax.jit(jax.grad(loss))(params["seg"])
  assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
  assert float(jnp.abs(gradients["decoder"]["head"]["bias"]).sum()) > 0
  # The gradient passes the frozen trunk, so that the generator can use it.
  assert float(jnp.abs(jax.jit(jax.grad(finds))(image)).sum()) > 0
