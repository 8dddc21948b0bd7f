"""Pasting of regions: geometry, alpha, and matching of the ring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import face_boxes, face_paste

_SIDE = 96
_INSIDE = (10, 20)
# Corners (top, left) of boxes of 64 pixels: inside, crossing each border, and
# outside.
_CORNERS = [_INSIDE, (-20, 10), (60, 5), (8, -33), (3, 70), (-64, 0), (96, 200)]
_paste = jax.jit(face_paste.paste_back)


def _box(corner):
  top, left = corner
  return jnp.array([[top, left, top + 64, left + 64]], jnp.float32)


def _slices(image, roi, corner, alpha):
  """Return what the source's code pastes, with slices."""
  out = np.array(image)
  (top, left), (h, w) = corner, image.shape[:2]
  y1, y2 = max(0, top), min(h, top + 64)
  x1, x2 = max(0, left), min(w, left + 64)
  if y1 < y2 and x1 < x2:
    part = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    a = alpha[part]
    out[y1:y2, x1:x2] = a * roi[part] + (1 - a) * out[y1:y2, x1:x2]
  return out


@pytest.mark.parametrize("corner", _CORNERS)
def test_paste_equals_slices(corner, key):
  keys = jax.random.split(key, 3)
  image = jax.random.uniform(keys[0], (1, _SIDE, _SIDE, 3), minval=-1)
  roi = jax.random.uniform(keys[1], (1, 64, 64, 3), minval=-1)
  alpha = jax.random.uniform(keys[2], (1, 64, 64, 1))
  got = _paste(image, roi, _box(corner), alpha)[0]
  want = _slices(image[0], roi[0], corner, alpha[0])
  np.testing.assert_allclose(got, want, atol=1e-6)
  nothing = _paste(image, roi, _box(corner), 0 * alpha)
  np.testing.assert_array_equal(nothing, image)  # bit for bit
  everything = _paste(image, roi, _box(corner), 1 + 0 * alpha)[0]
  want = _slices(image[0], roi[0], corner, np.ones((64, 64, 1)))
  np.testing.assert_allclose(everything, want, atol=1e-6)


def test_paste_fits_larger_pictures():
  """A box and its picture may be larger than in training."""
  region = jnp.ones((1, 16, 16, 1))
  box = jnp.array([[20.0, 40, 100, 120]])
  out = _paste(jnp.zeros((1, 128, 160, 1)), region, box, region)[0, ..., 0]
  want = np.zeros((128, 160))
  want[20:100, 40:120] = 1
  np.testing.assert_allclose(out, want, atol=1e-6)


def _mouth():
  return jnp.zeros((1, _SIDE, _SIDE), bool).at[:, 36:44, 40:64].set(True)


@pytest.mark.parametrize("mode", face_paste.ALPHAS)
def test_unchanged_region_leaves_the_image(mode, key):
  image = jax.random.uniform(key, (1, _SIDE, _SIDE, 3), minval=-1)
  box = _box(_INSIDE)
  roi = face_boxes.crop(image, box, 64)
  alpha = face_paste.make_alpha(mode, grow=12, mask=_mouth(), box=box, roi=roi)
  assert alpha.min() >= 0 and 0.9 < alpha.max() <= 1
  np.testing.assert_allclose(_paste(image, roi, box, alpha), image, atol=1e-6)


@pytest.mark.parametrize(
  "new, old, want", [(0, 220, 220), (30, 220, 198), (200, 30, 163)]
)
def test_self_alpha_has_the_values_of_the_source(new, old, want):
  level = lambda x: jnp.full((1, 64, 64, 3), x / 127.5 - 1)
  roi, box = level(new), jnp.array([[0.0, 0, 64, 64]])
  alpha = face_paste.make_alpha(
    "self", grow=12, mask=jnp.ones((1, 64, 64), bool), box=box, roi=roi
  )
  got = (_paste(level(old), roi, box, alpha) + 1) * 127.5
  np.testing.assert_allclose(got, want, atol=0.5)


def test_feature_alpha_can_paint_black_on_the_features_only():
  image = jnp.full((1, _SIDE, _SIDE, 3), 0.7)
  box, mask = _box(_INSIDE), _mouth()
  roi = jnp.full((1, 64, 64, 3), -1.0)
  alpha = face_paste.make_alpha("feature", grow=12, mask=mask, box=box, roi=roi)
  out = np.asarray(_paste(image, roi, box, alpha))
  np.testing.assert_allclose(out[np.asarray(mask)], -1, atol=0.02)
  changed = (out != 0.7).any(-1)[0]
  rows, columns = np.nonzero(changed.any(1))[0], np.nonzero(changed.any(0))[0]
  # 96 / 256 of: grown by 12 pixels, blurred to 12 pixels.
  assert 36 - rows[0] == rows[-1] - 43 == 9
  assert 40 - columns[0] == columns[-1] - 63 == 9
  tight = face_paste.make_alpha("feature", grow=6, mask=mask, box=box, roi=roi)
  assert tight.sum() < alpha.sum()


def test_window_falls_to_zero_at_the_border():
  alpha = face_paste.window(jnp.array([[0.0, 0, 64, 64]]), 64, 8)[0, ..., 0]
  np.testing.assert_allclose(alpha[32, :8], (np.arange(8) + 0.5) / 8)
  np.testing.assert_allclose(alpha[8:-8, 8:-8], 1)
  np.testing.assert_allclose(alpha, alpha[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize("gain", [0.8, 1.3])
@pytest.mark.parametrize("offset", [-0.2, 0.2])
def test_ring_match_removes_gain_and_offset(gain, offset, key):
  source = jax.random.uniform(key, (2, 64, 64, 3), minval=-0.6, maxval=0.6)
  ring = jnp.zeros((2, 64, 64, 1), bool).at[:, :4].set(True)
  changed = gain * source + offset
  assert abs(changed - source).max() > 0.2
  got = face_paste.ring_match(changed, source, ring)
  np.testing.assert_allclose(got, source, atol=1e-5)


def test_ring_match_skips_small_rings(key):
  source = jax.random.uniform(key, (2, 64, 64, 3))
  ring = np.zeros((2, 64, 64, 1), bool)
  ring[0, 0, :63] = True
  ring[1, 0, :64] = True
  got = face_paste.ring_match(source - 0.5, source, jnp.asarray(ring))
  np.testing.assert_array_equal(got[0], source[0] - 0.5)
  np.testing.assert_allclose(got[1], source[1], atol=1e-5)


def test_ring_is_where_the_original_shows():
  alpha = jnp.array([0.0, 0.049, 0.051, 1.0]).reshape(1, 2, 2, 1)
  got = face_paste.ring(alpha).ravel()
  np.testing.assert_array_equal(got, [True, True, False, False])


def test_unknown_alpha_raises():
  with pytest.raises(ValueError, match="'round' is none of feature"):
    face_paste.make_alpha(
      "round",
      grow=12,
      mask=_mouth(),
      box=_box(_INSIDE),
      roi=jnp.zeros((1, 64, 64, 3)),
    )


def test_added_changes_keep_the_detail_of_larger_pictures(key):
  """A region of 8 pixels is brighter by 0.2; its picture has 32 x 32."""
  picture = jax.random.uniform(key, (1, 40, 40, 3), minval=-0.5, maxval=0.5)
  box = jnp.array([[4.0, 4, 36, 36]])
  before = face_boxes.crop(picture, box, 8)
  alpha = jnp.ones((1, 8, 8, 1))
  out = _paste(picture, before + 0.2, box, alpha, before)
  inside = (slice(None), slice(4, 36), slice(4, 36))
  want = picture.at[inside].add(0.2)
  np.testing.assert_allclose(out, want, atol=1e-6)
  np.testing.assert_array_equal(out[:, :4], picture[:, :4])
  # Without it, the small region replaces the detail.
  flat = _paste(picture, before + 0.2, box, alpha)
  assert flat[inside].std() < 0.5 * picture[inside].std()
  # The result stays in its range.
  bright = _paste(picture, before + 2.0, box, alpha, before)
  assert bright.max() == 1 and bright[inside].min() == 1
