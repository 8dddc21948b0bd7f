"""PSNR and SSIM against values by hand and another implementation."""

import numpy as np
import pytest
from scipy import ndimage

from foregan_jax.metrics import image_quality


def _noise(*shape, seed=0):
  return np.random.default_rng(seed).random(shape, np.float32)


def test_psnr_of_known_errors():
  truth = np.full((3, 4, 4, 3), 0.5, np.float32)
  image = truth.copy()
  image[0] += 0.1  # 20 dB
  image[1, :2] += 0.1  # half of the pixels: 3.01 dB more
  values = image_quality.psnr(image, truth)
  np.testing.assert_allclose(values[:2], [20, 23.0103], atol=1e-4)
  # A copy has the value of rounding to 8 bits: 20 log10(255 sqrt(12)).
  assert values[2] == pytest.approx(58.9226, abs=1e-4)
  assert image_quality.HIGHEST_PSNR == values[2]


def test_ssim_of_equal_and_of_flat_images():
  image = _noise(2, 16, 13, 3)
  np.testing.assert_allclose(image_quality.ssim(image, image), 1.0)
  # Without structure only the luminance differs: (2ab + C1) / (a^2 + b^2 + C1).
  a, b = (np.full((1, 11, 11, 1), level, np.float32) for level in (0.2, 0.6))
  expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
  assert image_quality.ssim(a, b)[0] == pytest.approx(expected, abs=1e-6)


def test_ssim_of_one_window_is_that_of_the_formula():
  x, y = _noise(1, 11, 11, 1), _noise(1, 11, 11, 1, seed=1)
  place = np.arange(11) - 5
  w = np.exp(-(place[:, None] ** 2 + place**2) / 4.5)
  w /= w.sum()
  p, q = x[0, ..., 0], y[0, ..., 0]
  mx, my = (w * p).sum(), (w * q).sum()
  vx, vy = (w * (p - mx) ** 2).sum(), (w * (q - my) ** 2).sum()
  cov = (w * (p - mx) * (q - my)).sum()
  expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
  expected /= (mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)
  assert image_quality.ssim(x, y)[0] == pytest.approx(expected, rel=1e-5)


def test_ssim_equals_that_of_another_gaussian_filter():
  """As scikit-image with `gaussian_weights=True, sigma=1.5`."""
  x = _noise(1, 20, 24, 2)
  y = 0.7 * x + 0.3 * _noise(1, 20, 24, 2, seed=2)

  def blur(values):
    sigma = (0, 1.5, 1.5, 0)
    # A truncation at 3.5 deviations is a radius of 5 pixels.
    blurred = ndimage.gaussian_filter(values, sigma, truncate=3.5)
    return blurred[:, 5:-5, 5:-5]

  x64, y64 = x.astype(np.float64), y.astype(np.float64)
  mx, my = blur(x64), blur(y64)
  vx, vy = blur(x64**2) - mx**2, blur(y64**2) - my**2
  cov = blur(x64 * y64) - mx * my
  each = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
  each /= (mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)
  expected = pytest.approx(each.mean(), rel=1e-6)
  assert image_quality.ssim(x, y)[0] == expected
  assert 0.3 < each.mean() < 0.95


def test_images_that_do_not_fit_are_refused():
  x = _noise(1, 10, 12, 3)
  with pytest.raises(ValueError, match="12x10 pixels, but SSIM needs at least"):
    image_quality.ssim(x, x)
  for metric in image_quality.METRICS.values():
    with pytest.raises(ValueError, match="the truth has"):
      metric(x, x[:, :9])
