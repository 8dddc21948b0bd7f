"""`MaskTracker`: objects, sizes, and refused inputs."""

import jax
import numpy as np
import pytest

from foregan_jax.nets import propagator
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.predictors import mask_tracker

SIZE = (40, 50)


@pytest.fixture(scope="module")
def tracker():
  net = propagator.Propagator(blocks=(1, 1, 1, 1), width=4, features=8)
  params = propagator.init(net, jax.random.key(0), (32, 32))
  base = tracker_lib.Tracker(net, (1.0,))
  return mask_tracker.MaskTracker(base, params, side=480)


@pytest.fixture
def frames():
  return np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), np.uint8)


def _labels(*boxes):
  labels = np.zeros(SIZE, np.uint8)
  for i, (y, x) in enumerate(boxes, start=1):
    labels[y : y + 10, x : x + 10] = i
  return labels


@pytest.mark.parametrize(
  "count, num_rows", [(1, 1), (2, 2), (4, 5), (8, 8), (9, 16), (20, 24)]
)
def test_number_of_rows_takes_few_values(count, num_rows):
  assert mask_tracker._num_rows(count) == num_rows


def test_rows_are_the_background_and_the_objects(tracker, frames):
  state = tracker.begin(frames[0], _labels((2, 2), (20, 20)))
  state, soft = tracker.step(state, frames[1])
  assert soft.shape == (3, *SIZE) and soft.dtype == np.float32
  np.testing.assert_allclose(soft.sum(0), 1.0, atol=1e-5)


def test_added_objects_get_rows(tracker, frames):
  state = tracker.begin(frames[0], _labels((2, 2)))
  state, soft = tracker.step(state, frames[1])
  assert len(soft) == 2
  more = _labels((2, 2), (20, 20), (2, 30), (25, 2))
  state = tracker.add(
    state, frames[1], np.where(more > 1, more, 0).astype(np.uint8)
  )
  state, soft = tracker.step(state, frames[2])
  assert soft.shape == (5, *SIZE)
  np.testing.assert_allclose(soft.sum(0), 1.0, atol=1e-5)
  assert (soft[1:].max((1, 2)) > 0).all()


def test_void_is_background(tracker, frames):
  labels = _labels((2, 2))
  labels[30:] = 255
  state = tracker.begin(frames[0], labels)
  assert len(state.live) == 1


def test_bad_masks_are_refused(tracker, frames):
  with pytest.raises(ValueError, match=r"\(3, 3\), the frame's \(40, 50\)"):
    mask_tracker._remove_void(frames[0], np.ones((3, 3), np.uint8))
  with pytest.raises(ValueError, match="no object"):
    tracker.begin(frames[0], np.zeros(SIZE, np.uint8))


def test_large_frames_are_reduced_to_the_size_of_training(frames):
  shapes = []

  class Spy(tracker_lib.Tracker):
    def begin(self, params, frame, masks, live):
      shapes.append((frame.shape, masks.shape))
      return tracker_lib.Tracked(masks, (), live)

    def step(self, params, state, frame):
      shapes.append(frame.shape)
      return state, state.maps[:1].repeat(2, axis=0)

  tracker = mask_tracker.MaskTracker(Spy(propagator.Propagator()), {}, side=20)
  state = tracker.begin(frames[0], _labels((2, 2)))
  _, soft = tracker.step(state, frames[1])
  assert shapes == [((20, 25, 3), (1, 20, 25)), (20, 25, 3)]
  assert soft.shape == (2, *SIZE)
  # Masks are coverage: a quarter of the pixels has the same share of the frame.
  np.testing.assert_allclose(soft[1].mean(), 100 / 2000, atol=1e-3)
