"""The propagator's player: gradients, number of frames, training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax import game
from foregan_jax.nets import propagator as net_lib
from foregan_jax.players import propagator as player_lib
from foregan_jax.synthesis import pseudo_video

SIZE = (32, 32)


def _discs(count=8, frames=4, seed=0):
  """Return clips of bright discs that move over noise."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  video = rng.uniform(-1.0, 0.0, (count, frames, *SIZE, 3))
  mask = np.zeros((count, frames, *SIZE, 1))
  for i in range(count):
    start, velocity = rng.uniform(10, 22, 2), rng.uniform(-2, 2, 2)
    for t in range(frames):
      cx, cy = start + t * velocity
      mask[i, t, ..., 0] = (x - cx) ** 2 + (y - cy) ** 2 < 36
  video = np.where(mask > 0, 0.8 + 0.1 * video, video)
  video, mask = (jnp.asarray(a, jnp.float32) for a in (video, mask))
  return pseudo_video.Clip(
    video=video, mask=mask, weight=jnp.ones_like(mask), guidance=mask[:, 0]
  )


NET = net_lib.Propagator(blocks=(1, 1, 1, 1), width=4, features=8, norm="group")


@functools.cache
def _params():
  return {
    "prop": jax.jit(lambda k: net_lib.init(NET, k, SIZE))(jax.random.key(0))
  }


def _player(clip, **fields):
  fields = {
    "aux_weight": 0.0, "iou_weight": 0.0, "recurrence": 0, "truncate": 0,
    "unroll": False, "remat": False,
  } | fields  # fmt: skip
  return player_lib.Propagator(prop=NET, clips=lambda *_: clip, **fields)


@functools.partial(jax.jit, static_argnums=0)
def _run(fields, clip, params):
  """Return the gradients of the loss by parameters and video."""

  def loss(params, video):
    player = _player(clip.replace(video=video), **dict(fields))
    batch = {"step": jnp.int32(0)}
    return player.loss(game.Nets(params), batch, jax.random.key(0))[0]

  grads, video = jax.grad(loss, argnums=(0, 1))(params, clip.video)
  return grads["prop"], video


def _gradients(clip, **fields):
  """Return the gradients for some fields of the player."""
  # Without the defaults, so that tests share a compiled program.
  changed = tuple((name, value) for name, value in fields.items() if value)
  return _run(changed, clip, _params())


@pytest.mark.parametrize("truncate", [0, 1])
def test_gradient_flows_through_the_masks(truncate):
  clip = _discs(2, frames=3)
  # Only the last frame has a weight; frame 1 affects it only by its mask.
  clip = clip.replace(weight=jnp.zeros_like(clip.weight).at[:, -1].set(1.0))
  _, video = _gradients(clip, truncate=truncate)
  assert jnp.any(video[:, 2] != 0)
  assert bool(jnp.any(video[:, 1] != 0)) == (truncate == 0)


def test_unlabelled_pixels_give_no_gradient():
  clip = _discs(2, frames=3)
  grads, _ = _gradients(clip.replace(weight=0 * clip.weight))
  assert all(not jnp.any(g) for g in jax.tree.leaves(grads))


def test_number_of_frames_grows_with_the_step():
  clip = _discs(2, frames=3)
  player = _player(clip, recurrence=10)
  counts = [
    float(player._weights(jnp.int32(step), 3).sum())
    for step in (0, 9, 10, 20, 99)
  ]
  assert counts == [1, 1, 2, 3, 3]
  batch = {"step": jnp.int32(0)}
  loss = jax.jit(lambda p: player.loss(game.Nets(p), batch, jax.random.key(0)))
  total, made = loss(_params())
  assert float(made.metrics["frames"]) == 1
  assert float(total) == pytest.approx(float(made.metrics["ce_first"]))


def test_share_of_hard_pixels_falls_between_two_steps():
  bootstrap = player_lib.Bootstrap(share=0.2, start=100, end=300)
  steps = (0, 100, 200, 300, 999)
  shares = [float(bootstrap.at(jnp.int32(step))) for step in steps]
  assert shares == pytest.approx([1, 1, 0.6, 0.2, 0.2])


def test_bootstrap_raises_the_loss_after_its_start():
  bootstrap = player_lib.Bootstrap(share=0.2, start=10, end=20)
  player = _player(_discs(2, frames=2), bootstrap=bootstrap)
  nets = game.Nets(_params())
  run = jax.jit(lambda step: player.loss(nets, {"step": step}, None)[0])
  early, middle, late = (run(jnp.int32(step)) for step in (10, 15, 20))
  assert early < middle < late
  assert late > 1.1 * early


def test_unroll_and_remat_keep_the_gradient():
  clip = _discs(2, frames=3)
  want, got = _gradients(clip), _gradients(clip, unroll=True, remat=True)
  for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_training_propagates_discs():
  clip = _discs(frames=2)
  player, params = _player(clip, aux_weight=0.2), _params()
  tx = optax.adam(3e-3)

  # Full compiler optimisation, unlike in other tests, because this test runs
  # many steps.
  @functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 3}
  )
  def step(params, opt, index):
    loss = lambda p: player.loss(
      game.Nets(p), {"step": index}, jax.random.key(0)
    )
    (_, made), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt = tx.update(grads, opt)
    return optax.apply_updates(params, updates), opt, made.metrics

  opt = tx.init(params)
  for index in range(100):
    params, opt, metrics = step(params, opt, index)
  assert metrics["iou_last"] > 0.9


def test_propagator_satisfies_the_player_protocol():
  assert isinstance(_player(_discs(1)), game.Player)
