"""The loss of the propagator with a memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game
from foregan_jax.nets import efficientnet, memory
from foregan_jax.players import memory_propagator
from foregan_jax.synthesis import pseudo_video


@pytest.fixture(scope="module")
def loss():
  """Return a function from a clip to its loss."""
  net = memory.MemoryNet(8, 8, (8, 8, 8))
  player = memory_propagator.MemoryPropagator(
    prop=net,
    trunk=efficientnet.build("tiny", jnp.float32),
    clips=lambda key, batch: batch["clip"],
    iou_weight=0.5,
    unroll=False,
    remat=False,
  )
  params = {
    "prop": memory.init(net, jax.random.key(0)),
    "trunk": efficientnet.load("tiny"),
  }
  nets = game.Nets(params, {})
  run = jax.jit(lambda clip: player.loss(nets, {"clip": clip}, None)[0])
  return lambda clip: float(run(clip))


@pytest.fixture
def clip():
  """Return a clip of two objects."""
  rng = np.random.default_rng(0)
  video = rng.uniform(-1, 1, (1, 3, 32, 32, 3)).astype("f4")
  mask = np.zeros((1, 3, 32, 32, 2), np.float32)
  mask[:, :, 2:12, 2:12, 0] = mask[:, :, 16:28, 4:20, 1] = 1.0
  weight = np.ones((1, 3, 32, 32, 1), np.float32)
  arrays = map(jnp.asarray, (video, mask, weight, mask[:, 0]))
  return pseudo_video.Clip(*arrays)


def test_object_that_the_first_frame_hides_is_background(loss, clip):
  hidden = dataclasses.replace(clip, mask=clip.mask.at[:, 0, ..., 1].set(0.0))
  alone = dataclasses.replace(
    clip,
    mask=clip.mask.at[..., 1].set(0.0),
    guidance=clip.guidance.at[..., 1].set(0.0),
  )
  assert loss(hidden) == pytest.approx(loss(alone), rel=1e-5)
  assert loss(alone) != pytest.approx(loss(clip), rel=1e-3)


def test_loss_before_training_is_that_of_equal_chances(loss, clip):
  """Background and two objects have logits near 0: CE is log 3 per pixel."""
  shares = np.asarray(clip.mask)[0, 0].mean((0, 1)) * 32 * 32
  soft = 32 * 32 / 3
  overlap = shares / 3
  iou = 1 - ((overlap + 1) / (soft + shares - overlap + 1)).mean()
  assert loss(clip) == pytest.approx(np.log(3) + 0.5 * iou, rel=0.02)


def test_pixels_of_weight_0_do_not_count(loss, clip):
  unknown = clip.weight.at[:, :, :, 20:].set(0.0)
  one = dataclasses.replace(clip, weight=unknown)
  two = dataclasses.replace(one, mask=clip.mask.at[:, 1:, :, 20:, 0].set(1.0))
  assert loss(one) == pytest.approx(loss(two), rel=1e-5)
