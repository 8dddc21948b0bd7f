"""Crops of regions, for prediction and with random changes for training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import face_regions

_SIDE = 64


@pytest.fixture(scope="module")
def faces():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (3, _SIDE, _SIDE, 3), np.uint8)
  parts = np.zeros((3, _SIDE, _SIDE, 4), np.uint8)
  parts[:, 20:24, 16:48, 0] = 255  # eyes
  parts[:, 14:16, 18:46, 1] = 255  # brows
  parts[:, 44:52, 22:42, 3] = 255  # lips
  return jnp.asarray(image), jnp.asarray(parts)


def test_crops_hold_the_features_of_their_regions(faces):
  cut = face_regions.Regions(("eyes", "mouth"), 36)
  crops = jax.jit(cut)(*faces)
  # 2 pixels around the features: 8 of 256.
  assert crops.box[0, 0].tolist() == [1, 14, 37, 50]
  assert crops.box[1, 0].tolist() == [36, 20, 60, 44]
  # The box of the eyes has the size of the crop: pixels are copied.
  want = np.asarray(faces[0])[:, 1:37, 14:50] / 127.5 - 1
  np.testing.assert_allclose(crops.image[0], want, atol=1e-5)
  mask = np.zeros((36, 36))
  mask[19:23, 2:34] = mask[13:15, 4:32] = 1
  np.testing.assert_allclose(crops.mask[0, 0, ..., 0], mask, atol=1e-5)


def test_training_shifts_and_mirrors_the_crops(faces):
  cut = face_regions.Regions(("eyes",), 36, shift=8.0)
  image, parts = (jnp.tile(x[:1], (64, 1, 1, 1)) for x in faces)
  crops = jax.jit(cut)(image, parts, jax.random.key(0))
  box = np.asarray(crops.box[0])
  plain = [1, 14, 37, 50]
  assert (box[:, 2:] - box[:, :2] == 36).all()
  assert set(box[:, 0] - plain[0]) == {-1, 0, 1, 2}  # the border is at 0
  assert set(box[:, 1] - plain[1]) == {-2, -1, 0, 1, 2}
  mirrored = 0
  for crop, mask, corners in zip(
    crops.image[0], crops.mask[0], box.astype(int), strict=True
  ):
    window = np.s_[corners[0] : corners[2], corners[1] : corners[3]]
    want = np.asarray(image[0])[window] / 127.5 - 1
    own = np.asarray(parts[0, ..., :2].max(-1))[window] / 255
    if not np.allclose(crop, want, atol=1e-5):
      want, own = want[:, ::-1], own[:, ::-1]
      mirrored += 1
    np.testing.assert_allclose(crop, want, atol=1e-5)
    np.testing.assert_allclose(mask[..., 0], own, atol=1e-5)
  assert 16 <= mirrored <= 48
