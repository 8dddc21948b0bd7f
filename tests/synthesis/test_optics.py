import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import jitter
from foregan_jax.synthesis import optics

_OFF = {
  "still": optics.Colour(), "grey": 0.0, "blur": 0.0,
  "frame": optics.Colour(), "drift": 0.0, "noise": 0.0,
}  # fmt: skip


def _change_frames(key, video, **on):
  return jax.jit(optics.Optics(**_OFF | on).change_frames)(key, video)


def _change_stills(key, video, **on):
  return jax.jit(optics.Optics(**_OFF | on).change_stills)(key, video)


@pytest.fixture
def video(key):
  return jax.random.uniform(key, (4, 3, 12, 10, 3), minval=-0.5, maxval=0.5)


def test_default_optics_do_not_change_the_video(key, video):
  np.testing.assert_allclose(_change_frames(key, video), video, atol=1e-6)
  np.testing.assert_allclose(_change_stills(key, video), video, atol=1e-6)


def test_brightness_is_one_factor_per_image(key, video):
  """Black is -1, so the factor applies to `image + 1`."""
  image = video[:, 0]
  changed = optics.Colour(brightness=0.3).draw(key, (4,))(image)
  ratio = (changed + 1) / (image + 1)
  np.testing.assert_allclose(ratio, ratio[:, :1, :1, :1] + 0 * ratio, rtol=1e-4)
  assert 0.05 < np.ptp(ratio[:, 0, 0, 0]) and (abs(ratio - 1) < 0.301).all()


def test_hue_equals_that_of_jitter(key, video):
  image = video[:1, 0]
  hue = jax.jit(lambda key: optics.Colour(hue=0.2).draw(key, (1,)))(key)
  grey = jnp.full((1, 2, 2, 3), 0.3)
  np.testing.assert_allclose(hue(grey), grey, atol=1e-6)
  # The angle, from the trace of the rotation and the sign of its axis.
  matrix = np.asarray(hue.matrix[0])
  angle = np.arccos((np.trace(matrix[:3, :3]) - 1) / 2)
  angle *= np.sign(matrix[1, 0] - matrix[0, 1])
  assert 0.01 < abs(angle) < 0.4 * np.pi
  turned = jitter._turn_hue(image, jnp.float32(angle))
  np.testing.assert_allclose(hue(image), turned, atol=1e-5)


def test_grey_stills_have_equal_channels(key, video):
  grey = _change_stills(key, video, grey=1.0)
  np.testing.assert_allclose(grey, grey[..., :1] + 0 * grey, atol=1e-6)


def test_drift_is_linear_and_starts_at_zero(key, video):
  changed = _change_frames(key, video, drift=0.2)
  gain = ((changed + 1) / (video + 1))[:, :, 0, 0] - 1
  np.testing.assert_allclose(gain[:, 0], 0, atol=1e-6)
  np.testing.assert_allclose(gain[:, 2], 2 * gain[:, 1], atol=1e-5)
  assert (abs(gain[:, 2]) <= 0.2).all() and gain[:, 2].std() > 0.02


def test_noise_is_independent_per_frame_and_bounded(key, video):
  noise = _change_frames(key, video, noise=0.05) - video
  assert float(abs(noise).max()) <= 0.1 + 1e-6
  flat = noise.reshape(4, 3, -1)
  correlation = lambda a, b: np.corrcoef(a, b)[0, 1]
  assert abs(correlation(flat[0, 0], flat[0, 1])) < 0.2
  channels = noise[0].reshape(-1, 3)
  assert abs(correlation(channels[:, 0], channels[:, 1])) < 0.2
  assert abs(flat.mean(-1)).max() < 0.02


def test_blur_lowers_the_contrast_and_keeps_constant_images(key, video):
  blurred = _change_stills(key, video, blur=1.0)
  assert (blurred.std((1, 2, 3, 4)) < video.std((1, 2, 3, 4))).all()
  flat = jnp.full((1, 1, 6, 6, 3), 0.4)
  same = _change_stills(key, flat, blur=1.0)
  np.testing.assert_allclose(same, flat, atol=1e-6)
