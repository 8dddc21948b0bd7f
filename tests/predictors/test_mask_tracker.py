"""Trackers for frames as a camera gives them."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from foregan_jax.nets import propagator, propagator_weights
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.predictors import mask_tracker
from tests.runtime import torch_files

SIZE = (40, 50)


@pytest.fixture(scope="module")
def follow():
  net = propagator.Propagator(blocks=(1, 1, 1, 1), width=4, features=8)
  params = propagator.init(net, jax.random.key(0), (32, 32))
  tracker = tracker_lib.Tracker(net, (1.0,))
  return mask_tracker.MaskTracker(tracker, params, side=480)


@pytest.fixture
def frames():
  return np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), np.uint8)


def _labels(*boxes):
  labels = np.zeros(SIZE, np.uint8)
  for i, (y, x) in enumerate(boxes, start=1):
    labels[y : y + 10, x : x + 10] = i
  return labels


@pytest.mark.parametrize(
  "count, room", [(1, 1), (2, 2), (4, 5), (8, 8), (9, 16), (20, 24)]
)
def test_few_sizes_are_compiled(count, room):
  assert mask_tracker._room(count) == room


def test_rows_are_background_and_objects(follow, frames):
  state = follow.begin(frames[0], _labels((2, 2), (20, 20)))
  state, soft = follow.step(state, frames[1])
  assert soft.shape == (3, *SIZE) and soft.dtype == np.float32
  np.testing.assert_allclose(soft.sum(0), 1.0, atol=1e-5)


def test_objects_join_and_the_room_grows(follow, frames):
  state = follow.begin(frames[0], _labels((2, 2)))
  state, soft = follow.step(state, frames[1])
  assert len(soft) == 2
  more = _labels((2, 2), (20, 20), (2, 30), (25, 2))
  state = follow.add(
    state, frames[1], np.where(more > 1, more, 0).astype(np.uint8)
  )
  state, soft = follow.step(state, frames[2])
  assert soft.shape == (5, *SIZE)
  np.testing.assert_allclose(soft.sum(0), 1.0, atol=1e-5)
  assert (soft[1:].max((1, 2)) > 0).all()


def test_void_is_background(follow, frames):
  labels = _labels((2, 2))
  labels[30:] = 255
  state = follow.begin(frames[0], labels)
  assert len(state.live) == 1


def test_a_mask_without_object_is_refused(follow, frames):
  with pytest.raises(ValueError, match=r"\(3, 3\), the frame's \(40, 50\)"):
    mask_tracker._objects(frames[0], np.ones((3, 3), np.uint8))
  with pytest.raises(ValueError, match="no object"):
    follow.begin(frames[0], np.zeros(SIZE, np.uint8))


def test_large_frames_are_looked_at_in_the_size_that_was_learnt(frames):
  seen = []

  class Spy(tracker_lib.Tracker):
    def begin(self, params, frame, masks, live):
      seen.append((frame.shape, masks.shape))
      return tracker_lib.Tracked(masks, (), live)

    def step(self, params, state, frame):
      seen.append(frame.shape)
      return state, state.maps[:1].repeat(2, axis=0)

  track = mask_tracker.MaskTracker(Spy(propagator.Propagator()), {}, side=20)
  state = track.begin(frames[0], _labels((2, 2)))
  _, soft = track.step(state, frames[1])
  assert seen == [((20, 25, 3), (1, 20, 25)), (20, 25, 3)]
  assert soft.shape == (2, *SIZE)
  # Coverage: the object is a quarter as many pixels, and still there.
  np.testing.assert_allclose(soft[1].mean(), 100 / 2000, atol=1e-3)


def test_an_encoder_alone_propagates_nothing(tmp_path):
  net = propagator.Propagator()
  shapes = jax.eval_shape(
    lambda: propagator.init(net, jax.random.key(0), (32, 32))
  )["encoder"]
  arrays = {}
  for place, leaf in traverse_util.flatten_dict(shapes).items():
    if place[0] != "conv1_p":
      name = propagator_weights.official_name(("encoder", *place))
      name = name.removeprefix("Encoder.")
      for k in (2, 3, 4, 5):
        name = name.replace(f"res{k}.", f"layer{k - 1}.")
      shape = leaf.shape
      if len(shape) == 4:
        shape = (shape[3], shape[2], shape[0], shape[1])
      arrays[name] = np.zeros(shape, np.float32)
  path = torch_files.write_arrays(tmp_path / "resnet.pth", arrays, "zip")
  with pytest.raises(ValueError, match="resnet.pth holds an encoder alone"):
    mask_tracker.from_weights(path, ())
