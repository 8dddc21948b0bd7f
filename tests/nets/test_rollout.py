"""Rollout: loop, unrolled loop and single steps are equal; composition."""

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


def _rollout(layers, params, clip, **options):
  frames, mask, flow = clip
  start = layers.start(frames[:, 0], mask, jax.random.key(0))
  return layers.rollout(
    params,
    start,
    rollout.Inputs(flow, None),
    jax.random.key(0),
    mask_slope=5.0,
    **options,
  )


@pytest.mark.parametrize("carried", [False, True])
def test_loop_unrolled_loop_and_streaming_are_equal(clip, carried):
  layers = _layers(carried=carried)
  params = layers.init(jax.random.key(1), *_SIZE)
  _, looped = _rollout(layers, params, clip, unroll=False, remat=True)
  _, unrolled = _rollout(layers, params, clip, unroll=True, remat=False)
  frames, mask, flow = clip
  carry = layers.start(frames[:, 0], mask, jax.random.key(0))
  for t in range(3):
    inputs = rollout.Inputs(flow[:, t], None)
    carry, streamed = layers.step(
      params, carry, inputs, jax.random.key(0), mask_slope=5.0
    )
    for a, b, c in zip(
      *map(jax.tree.leaves, (looped, unrolled, streamed)), strict=True
    ):
      np.testing.assert_allclose(a[:, t], b[:, t], atol=1e-5)
      np.testing.assert_allclose(a[:, t], c, atol=1e-5)


def test_frame_is_the_composition_of_the_layers(clip):
  layers = _layers()
  params = layers.init(jax.random.key(1), *_SIZE)
  _, out = _rollout(layers, params, clip, unroll=True, remat=False)
  assert np.abs(out.frame).max() <= 1.0 + 1e-6
  # `fg` is m F - (1 - m), black outside of the object; the frame is
  # m F + (1 - m) B.
  rebuilt = out.fg + (1.0 - out.mask) * (1.0 + out.bg)
  np.testing.assert_allclose(rebuilt, out.frame, atol=1e-5)


def test_frames_do_not_depend_on_later_flow(clip):
  layers = _layers()
  params = layers.init(jax.random.key(1), *_SIZE)
  frames, mask, flow = clip
  later = flow.at[:, 2].add(4.0)
  _, before = _rollout(layers, params, clip, unroll=True, remat=False)
  _, after = _rollout(
    layers, params, (frames, mask, later), unroll=True, remat=False
  )
  np.testing.assert_array_equal(before.frame[:, :2], after.frame[:, :2])
  assert np.abs(before.mask[:, 2] - after.mask[:, 2]).max() > 1e-4


def test_flow_input_maps_zero_flow_to_the_middle():
  flow = jnp.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0]).reshape(1, 1, 3, 2)
  mapped = rollout.flow_input(flow, 20.0).reshape(-1)
  np.testing.assert_allclose(mapped, [0.0, 0.0, 0.25, 0.5, 0.75, 1.0])
