"""The segmenter's player: pictures that it is trained on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game
from foregan_jax.nets import rollout
from foregan_jax.nets import segmenter as net_lib
from foregan_jax.players import segmenter as player_lib

_SIZE = (16, 24)


def _player():
  still = player_lib.Augment(
    (0.0, 0.0, 0.0, 0.0), 0.0, (1.0, 1.0), (0.0, 0.0), 1.0
  )
  return player_lib.Segmenter(
    segment=net_lib.Plain(net_lib.Segmenter(width=4, depth=1)),
    weights=player_lib.Weights(bce=1.0, iou=1.0), augment=still, frames=2,
  )  # fmt: skip


def _clip(samples):
  """Return red objects; each background is darker to the left."""
  ramp = jnp.linspace(-1, 1, _SIZE[1])[None, None, None, :, None]
  level = jnp.arange(samples)[:, None, None, None, None] / samples
  background = jnp.broadcast_to(ramp * (1 - level), (samples, 2, *_SIZE, 3))
  mask = jnp.zeros((samples, 2, *_SIZE, 1)).at[:, :, 4:8, 4:8].set(1.0)
  red = jnp.broadcast_to(jnp.array([1.0, -1.0, -1.0]), background.shape)
  frame = jnp.where(mask > 0, red, background)
  return rollout.Layers(frame, red, background, mask)


@pytest.mark.parametrize("samples", [1, 3])
def test_recomposed_pictures_have_another_background(samples):
  clip = _clip(samples)
  images, masks = jax.jit(_player()._pictures)(jax.random.key(0), clip)
  assert images.shape == (2 * samples, *_SIZE, 3)
  # Objects are mirrored at random.
  np.testing.assert_allclose(masks.sum((1, 2, 3)), 16.0, rtol=1e-4)
  own = clip.bg.reshape(images.shape)
  other = (
    own[:, :, ::-1]
    if samples == 1
    else jnp.roll(clip.bg, 1, axis=0).reshape(images.shape)
  )
  outside = np.asarray(masks[..., 0] < 0.01)
  np.testing.assert_allclose(images[outside], other[outside], atol=1e-5)
  assert np.abs(images[outside] - own[outside]).max() > 0.1


def test_running_statistics_are_returned():
  net = net_lib.PublishedUNet(width=4, depth=1)
  player = dataclasses.replace(_player(), segment=net_lib.Plain(net))
  image = jax.ShapeDtypeStruct((1, *_SIZE, 3), jnp.float32)
  variables = jax.eval_shape(net.init, jax.random.key(0), image)
  statistics = {"batch_stats": variables["batch_stats"]}
  loss = lambda player, params, variables: jax.eval_shape(
    lambda: player.loss(
      game.Nets(params, variables), {"clip": _clip(3)}, jax.random.key(1)
    )
  )
  zeros = lambda tree: jax.tree.map(lambda x: jnp.zeros(x.shape), tree)
  params = {"seg": zeros(variables["params"])}
  _, made = loss(player, params, {"seg": zeros(statistics)})
  assert made.variables == {"seg": statistics}
  # A net without any does not change the structure of the state.
  compact = jax.eval_shape(_player().segment.net.init, jax.random.key(0), image)
  _, made = loss(_player(), {"seg": zeros(compact["params"])}, {})
  assert made.variables == {}


def test_player_satisfies_the_protocol():
  assert isinstance(_player(), game.Player)
