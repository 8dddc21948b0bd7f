"""The rollout: loop, unrolled and frame by frame are the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import layer_generator, rollout

_SIZE = (16, 24)


def _layers(**options):
  net = lambda source: layer_generator.LayerGenerator(
    width=4, num_blocks=1, mask_source=source
  )
  return rollout.VideoLayers(net("h"), net("none"), **options)


@pytest.fixture(scope="module")
def clip():
  keys = jax.random.split(jax.random.key(3), 3)
  frames = jax.random.uniform(keys[0], (2, 4, *_SIZE, 3), minval=-1.0)
  mask = (jax.random.uniform(keys[1], (2, *_SIZE, 1)) > 0.6).astype(jnp.float32)
  flow = 3.0 * jax.random.normal(keys[2], (2, 3, *_SIZE, 2))
  return frames, mask, flow


def _play(layers, params, clip, **how):
  frames, mask, flow = clip
  start = layers.start(frames[:, 0], mask, jax.random.key(0))
  return layers.rollout(
    params,
    start,
    rollout.Inputs(flow, None),
    jax.random.key(0),
    mask_slope=5.0,
    **how,
  )


@pytest.mark.parametrize("carried", [False, True])
def test_loop_unrolled_and_streaming_agree(clip, carried):
  layers = _layers(carried=carried)
  params = layers.init(jax.random.key(1), *_SIZE)
  _, one = _play(layers, params, clip, unroll=False, remat=True)
  _, two = _play(layers, params, clip, unroll=True, remat=False)
  frames, mask, flow = clip
  carry = layers.start(frames[:, 0], mask, jax.random.key(0))
  for t in range(3):
    inputs = rollout.Inputs(flow[:, t], None)
    carry, made = layers.step(
      params, carry, inputs, jax.random.key(0), mask_slope=5.0
    )
    for a, b, c in zip(*map(jax.tree.leaves, (one, two, made)), strict=True):
      np.testing.assert_allclose(a[:, t], b[:, t], atol=1e-5)
      np.testing.assert_allclose(a[:, t], c, atol=1e-5)


def test_composition_is_what_the_layers_say(clip):
  layers = _layers()
  params = layers.init(jax.random.key(1), *_SIZE)
  _, made = _play(layers, params, clip, unroll=True, remat=False)
  assert np.abs(made.frame).max() <= 1.0 + 1e-6
  # Dark: black where there is no object. m F + (1 - m) B from F - (1 - m).
  rebuilt = made.fg + (1.0 - made.mask) * (1.0 + made.bg)
  np.testing.assert_allclose(rebuilt, made.frame, atol=1e-5)


def test_frames_do_not_depend_on_later_flow(clip):
  layers = _layers()
  params = layers.init(jax.random.key(1), *_SIZE)
  frames, mask, flow = clip
  later = flow.at[:, 2].add(4.0)
  _, one = _play(layers, params, clip, unroll=True, remat=False)
  _, two = _play(
    layers, params, (frames, mask, later), unroll=True, remat=False
  )
  np.testing.assert_array_equal(one.frame[:, :2], two.frame[:, :2])
  assert np.abs(one.mask[:, 2] - two.mask[:, 2]).max() > 1e-4


def test_flow_input_maps_rest_to_the_middle():
  flow = jnp.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0]).reshape(1, 1, 3, 2)
  mapped = rollout.flow_input(flow, 20.0).reshape(-1)
  np.testing.assert_allclose(mapped, [0.0, 0.0, 0.25, 0.5, 0.75, 1.0])
