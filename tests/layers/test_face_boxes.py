"""Boxes around parts of faces, and crops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.data import faces
from foregan_jax.layers import face_boxes


def _mask(top, bottom, left, right, size=256):
  """Return a rectangle [1, size, size]; the ends belong to it."""
  mask = np.zeros((1, size, size), bool)
  mask[:, top : bottom + 1, left : right + 1] = True
  return jnp.asarray(mask)


@pytest.mark.parametrize(
  "rectangle, want",  # the source's values, measured: top, bottom, left, right
  [
    ((100, 160, 60, 190), (57, 203, 52, 198)),
    ((100, 161, 60, 190), (58, 203, 52, 197)),
    ((180, 230, 90, 170), (157, 253, 82, 178)),
    ((5, 9, 100, 140), (0, 35, 92, 148)),  # clipped, and not square
  ],
)
def test_original_rule_equals_the_source(rectangle, want):
  box = face_boxes.feature_box(_mask(*rectangle), 8, "original")[0]
  np.testing.assert_array_equal(box[jnp.array([0, 2, 1, 3])], want)


def test_boxes_are_square_and_inside_and_hold_the_region():
  rng = np.random.default_rng(0)
  ends = np.sort(rng.integers(0, 64, (60, 2, 2)), -1)
  masks = jnp.concatenate([_mask(*y, *x, size=64) for y, x in ends])
  boxes = np.asarray(face_boxes.feature_box(masks, 5))
  height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
  np.testing.assert_array_equal(height, width)
  assert (height % 2 == 0).all()
  assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= 64).all()
  low, high = ends[..., 0], ends[..., 1] + 1
  assert (boxes[:, :2] <= low).all() and (boxes[:, 2:] >= high).all()
  longer = (high - low).max(-1) + 10
  np.testing.assert_array_equal(height, np.minimum(longer + longer % 2, 64))
  assert 0 < (height == 64).sum() < 60
  # Where no border is near, the region is in the middle.
  free = (low - 32 > -20).all(-1) & (high - 32 < 20).all(-1)
  middle = (boxes[:, :2] + boxes[:, 2:] - low - high) / 2
  assert np.abs(middle[free]).max() <= 1 and free.any()


def test_box_of_an_empty_mask_is_the_image():
  empty = jnp.zeros((1, 32, 32), bool)
  for mode in ("shift", "original"):
    box = face_boxes.feature_box(empty, 4, mode)
    np.testing.assert_array_equal(box, [[0, 0, 32, 32]])


def test_regions_sum_their_parts():
  assert face_boxes.PARTS == faces.PARTS
  soft = np.zeros((1, 1, 4, 4), np.float32)
  soft[0, 0, 0, :2] = 0.5  # half an eye and half a brow: their sum counts
  soft[0, 0, 1, 2:] = 1  # the mouth
  soft[0, 0, 2, 0] = 0.6  # enough for `all` only
  expected = {
    "eyes": [1, 0, 0, 0],
    "mouth": [0, 1, 0, 0],
    "all": [1, 1, 1, 0],
  }
  for region, want in expected.items():
    mask = face_boxes.region_masks(jnp.asarray(soft), region)
    np.testing.assert_array_equal(mask[0, 0], want)
    stored = jnp.asarray(np.round(soft * 255).astype(np.uint8))
    got = face_boxes.region_masks(stored, region)
    np.testing.assert_array_equal(got[0, 0], want)


def test_crop_of_whole_pixels_is_a_slice(key):
  image = jax.random.uniform(key, (2, 20, 24, 3))
  box = jnp.array([[3.0, 4, 11, 12], [12, 16, 20, 24]])
  got = jax.jit(face_boxes.crop, static_argnums=2)(image, box, 8)
  want = jnp.stack([image[0, 3:11, 4:12], image[1, 12:20, 16:24]])
  np.testing.assert_allclose(got, want, atol=1e-6)
  mirrored = face_boxes.crop(image, box, 8, jnp.array([False, True]))
  np.testing.assert_allclose(mirrored[0], want[0], atol=1e-6)
  np.testing.assert_allclose(mirrored[1], want[1, :, ::-1], atol=1e-6)


def test_crop_that_shrinks_averages():
  stripes = jnp.tile(jnp.array([0.0, 1.0]), 32)[None, None, :, None]
  image = jnp.broadcast_to(stripes, (1, 64, 64, 1))
  got = face_boxes.crop(image, jnp.array([[0.0, 0, 64, 64]]), 16)
  np.testing.assert_allclose(got[:, :, 1:-1], 0.5, atol=1e-6)


def test_crop_repeats_the_border():
  ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (1, 8, 8, 1))
  got = face_boxes.crop(ramp, jnp.array([[0.0, -4, 8, 4]]), 8)
  np.testing.assert_allclose(got[0, 0, :, 0], [0, 0, 0, 0, 0, 1, 2, 3])


def test_jitter_moves_boxes_by_whole_pixels_inside(key):
  box = jnp.tile(jnp.array([[1.0, 10, 9, 18]]), (400, 1))
  moved = np.asarray(face_boxes.jitter(key, box, 2, (20, 20)) - box)
  np.testing.assert_array_equal(moved[:, :2], moved[:, 2:])
  assert set(moved[:, 0]) == {-1, 0, 1, 2}  # the border is 1 pixel away
  assert set(moved[:, 1]) == {-2, -1, 0, 1, 2}


def test_unknown_names_raise():
  with pytest.raises(ValueError, match="nose"):
    face_boxes.region_masks(jnp.zeros((1, 4, 4, 4)), "nose")
  with pytest.raises(ValueError, match="round"):
    face_boxes.feature_box(jnp.zeros((1, 4, 4), bool), 1, "round")
