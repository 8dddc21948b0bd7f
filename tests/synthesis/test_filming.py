"""Clips cropped from annotated videos."""

import jax
import numpy as np
import pytest

from foregan_jax.runtime import settings
from foregan_jax.synthesis import filming, pseudo_video

SIZE = (24, 32)
_PLAIN = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
_OPTICS = {
  "still": _PLAIN, "grey": 0.0, "frame": _PLAIN, "drift": 0.0, "blur": 0.0,
  "noise": 0.0,
}  # fmt: skip
_STILL = {"degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0}


def _make(**fields):
  values = {
    **filming.RECOMMENDED, "size": SIZE, "clip_len": 3, "optics": _OPTICS,
  } | fields  # fmt: skip
  return settings.build(filming.Filming, values)


@pytest.fixture
def film():
  """Return two videos; the object is red with label 2, next to it is void."""
  rng = np.random.default_rng(0)
  video = rng.integers(0, 100, (2, 3, 40, 60, 3), np.uint8)
  labels = np.zeros((2, 3, 40, 60, 1), np.uint8)
  for t in range(3):
    labels[:, t, 15:25, 20 + 2 * t : 34 + 2 * t] = 2
    labels[:, t, 15:25, 36 + 2 * t : 40 + 2 * t] = 255
  video[..., :1] = np.where(labels == 2, 255, video[..., :1])
  return video, labels


def test_crop_without_motion_is_centred_at_the_object(film, key):
  video, labels = film
  clip = jax.jit(_make(window=_STILL, mirror=0.0))(key, *film)
  assert clip.video.shape == (2, 3, *SIZE, 3)
  # The box of the object in frame 0 is centred at (26.5, 19.5).
  rows, columns = slice(8, 32), slice(11, 43)
  cut = lambda x: x[:, :, rows, columns]
  np.testing.assert_allclose(clip.video, cut(video) / 127.5 - 1, atol=1e-5)
  np.testing.assert_allclose(clip.mask, cut(labels) == 2, atol=1e-5)
  np.testing.assert_array_equal(clip.weight, cut(labels) != 255)


def test_mask_moves_with_the_image(film, key):
  clip = jax.jit(_make())(key, *film)
  red = clip.video[..., :1]
  inside, outside = clip.mask > 0.99, clip.mask < 0.01
  assert inside.sum() > 100
  assert float(red[inside].min()) > 0.9
  assert float(red[outside].max()) < 0.0


def test_weight_is_zero_outside_the_frames(film, key):
  spread = {**_STILL, "scale": (0.4, 0.4)}
  clip = jax.jit(_make(window=spread, mirror=0.0))(key, *film)
  weight = np.asarray(clip.weight)
  assert not weight[:, :, 0].any() and weight[:, :, 12].any()


def test_weight_is_zero_without_an_object(film, key):
  video, labels = film
  clip = jax.jit(_make())(key, video, 0 * labels)
  assert not np.asarray(clip.weight).any()


def test_weight_is_zero_without_an_object_in_the_reference(film, key):
  video, labels = film
  labels = labels.copy()
  labels[:, 0] = 0
  clip = jax.jit(_make(several=1.0))(key, video, labels)
  assert not np.asarray(clip.weight).any()


def test_mask_is_not_mirrored_outside_the_frames(key):
  video = np.zeros((1, 2, 40, 60, 3), np.uint8)
  labels = np.zeros((1, 2, 40, 60, 1), np.uint8)
  labels[:, :, 15:25, :6] = 1  # at the border: half of the crop is outside
  clip = jax.jit(_make(window=_STILL, mirror=0.0, clip_len=2))(
    key, video, labels
  )
  mask = np.asarray(clip.mask)[0, 0, ..., 0]
  assert not mask[:, :13].any() and mask[:, 14:19].any()


def test_guidance_is_of_the_frame_before_the_first_target(film, key):
  video, labels = film
  prev_labels = np.roll(labels[:, 0], (-8, 12), axis=(1, 2))
  exact = {
    "degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0,
    "soft": 0.0, "softness": 0.0, "empty": 0.0, "misplaced": 0.0, "far": 0.25,
  }  # fmt: skip
  make = _make(window=_STILL, mirror=0.0, guidance=exact)
  clip = jax.jit(make)(key, video, labels, prev_labels)
  # The crop is centred between both: at (26.5, 19.5) + (12, -8) / 2.
  cut = lambda x: x[:, 4:28, 17:49] == 2
  np.testing.assert_allclose(clip.mask[:, 0], cut(labels[:, 0]), atol=1e-5)
  np.testing.assert_allclose(clip.guidance, cut(prev_labels), atol=1e-5)


def test_weight_is_zero_if_the_reference_shows_too_few_pixels(film, key):
  video, labels = film
  labels = labels.copy()
  labels[1, 0, 15, 20] = 0
  make = _make(window=_STILL, mirror=0.0, min_pixels=139.5)
  clip = jax.jit(make)(key, video, labels)
  area = clip.mask[:, 0].sum((1, 2, 3))
  np.testing.assert_allclose(area, [140, 0], atol=0.1)
  assert [bool(w.any()) for w in clip.weight] == [True, False]


def test_two_objects_are_disjoint_and_those_not_shown_do_not_count(film, key):
  video, labels = film
  labels = labels.copy()
  labels[:, :, 5:15, 22:32] = 1
  labels[1, 0, 5:15, 22:32] = 0  # frame 0 of sample 1 shows object 2 only
  make = _make(size=(40, 60), window=_STILL, mirror=0.0, several=0.0, objects=2)
  clip = jax.jit(make)(key, video, labels)
  assert clip.mask.shape == (2, 3, 40, 60, 2)
  assert clip.guidance.shape == (2, 40, 60, 2)
  assert clip.mask.sum(-1).max() <= 1.0 + 1e-5
  areas = np.asarray(clip.mask.sum((2, 3)))
  np.testing.assert_allclose(sorted(areas[0, 0]), [100, 140], atol=0.1)
  # Object 2 has slot 0, and the other slot stays empty in all frames.
  np.testing.assert_allclose(areas[1], [[140, 0]] * 3, atol=0.1)


def test_unknown_field_raises():
  with pytest.raises(ValueError, match="no field 'mirrors'.*'mirror'"):
    _make(mirrors=0.5)


def test_object_is_the_same_in_all_frames(film, key):
  video, labels = film
  labels = labels.copy()
  labels[:, :, 2:12, 2:12] = 1  # about as large as object 2
  make = _make(window=_STILL, mirror=0.0, several=0.0)
  is_object_2 = set()
  for i in range(12):
    clip = jax.jit(make)(jax.random.fold_in(key, i), video, labels)
    for sample in range(2):
      red = np.asarray(clip.video)[sample, ..., 0]
      mask = np.asarray(clip.mask)[sample, ..., 0] > 0.99
      is_red = [red[t][mask[t]].mean() > 0.5 for t in range(3)]
      assert len(set(is_red)) == 1
      is_object_2.add(is_red[0])
  assert is_object_2 == {True, False}
  assert isinstance(clip, pseudo_video.Clip)
