"""Object proposals from masks that need no first mask."""

import types

import cv2
import numpy as np
import pytest

from foregan_jax import game
from foregan_jax.evaluators import unguided


class _RedMask:
  """A system with the red channel as its mask."""

  unguided = ("red",)

  def segment(self, nets, frames):
    return {"red": frames[..., :1] / 255.0 * nets.params["gain"]}


def _smooth(seed, shape=(3, 9, 13)):
  noise = np.random.default_rng(seed).random(shape).astype(np.float32)
  blurred = np.stack([cv2.GaussianBlur(x, (0, 0), 0.8) for x in noise])
  # With half of the pixels the mask is connected; with fewer it has parts.
  return np.clip(blurred + 0.5 - np.quantile(blurred, 0.9), 0, 1)


@pytest.mark.parametrize("size", [(40, 57), (9, 13), (5, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_union_of_proposals_is_the_scaled_mask(seed, size):
  soft = _smooth(seed)
  labels = unguided.propose(soft, size)
  assert max(frame.max() for frame in labels) > 1
  for mask, frame in zip(soft, labels, strict=True):
    scaled = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert frame.dtype == np.uint8 and frame.shape == size
    np.testing.assert_array_equal(frame > 0, scaled > 0.5)


def test_objects_keep_their_number_in_a_video():
  soft = np.zeros((4, 12, 20), np.float32)
  for t in range(4):
    soft[t, 2:6, 2 + t : 6 + t] = 1
    soft[t, 8:10, 14:16] = 0.9
  soft[:, 11, 0] = 0.4  # no object
  labels = unguided.propose(soft, (24, 40))
  for t in range(4):
    assert labels[t][8, 8 + 2 * t] == 1
    assert labels[t][18, 30] == 2
    assert labels[t][22:, :2].max() == 0


@pytest.mark.parametrize("count", [1, 4, 7])
def test_all_frames_are_segmented_including_the_first(count):
  finder = unguided.Finder(_RedMask(), chunk=3)
  frames = np.zeros((count, 8, 10, 3), np.uint8)
  for t in range(count):
    frames[t, 2:5, 1 + t % 2 : 4 + t % 2, 0] = 200
  found = finder.labels(
    game.Nets({"gain": 1.0}), {"frames": frames, "native_size": (8, 10)}
  )
  assert finder.rows == ("red_unsup",) == tuple(found)
  assert len(found["red_unsup"]) == count
  for frame, labels in zip(frames, found["red_unsup"], strict=True):
    np.testing.assert_array_equal(labels, frame[..., 0] > 0)
  empty = finder.labels(
    game.Nets({"gain": 0.1}), {"frames": frames, "native_size": (8, 10)}
  )
  assert not np.any(empty["red_unsup"])


def test_system_without_unguided_heads_has_no_proposals():
  system = types.SimpleNamespace(unguided=(), segment=lambda nets, frames: {})
  finder = unguided.Finder(system, chunk=3)
  assert finder.rows == ()
  assert finder.labels(game.Nets({}), {}) == {}
