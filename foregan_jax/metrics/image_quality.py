"""PSNR and SSIM of images in [0, 1]."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Images = Float[np.ndarray, "_ _ _ _"]

# The mean squared error of rounding to 8 bits. Images that are closer than this
# are equal as files, and a PSNR without a bound would be infinite for a copy.
_LEAST_ERROR = 1 / (12 * 255**2)
HIGHEST_PSNR = float(-10 * np.log10(_LEAST_ERROR))  # 58.9 dB

# Wang et al. (2004), sections III.B and III.C.
_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def psnr(image: Images, truth: Images) -> Float[np.ndarray, " _"]:
  """Return the peak signal-to-noise ratio of each image [b, h, w, c] in dB.

  It is 10 log10(1 / MSE), with the mean over pixels and channels, and at most
  58.9, the value of images that differ by the rounding to 8 bits.

  Raises:
    ValueError: if the shapes differ.
  """
  _check(image, truth)
  difference = image.astype(np.float64) - truth
  error = (difference**2).mean((1, 2, 3))
  return -10 * np.log10(np.maximum(error, _LEAST_ERROR))


def ssim(image: Images, truth: Images) -> Float[np.ndarray, " _"]:
  """Return the structural similarity of each image [b, h, w, c], at most 1.

  Wang et al. (2004): a Gaussian window of 11x11 pixels with a deviation of 1.5,
  K1 = 0.01, K2 = 0.03, and the mean over all windows inside the image. Images
  are not shrunk before. Of colours, it is the mean over the channels.

  Raises:
    ValueError: if the shapes differ, or a side has less than 11 pixels.
  """
  _check(image, truth)
  if min(image.shape[1:3]) < _WINDOW:
    raise ValueError(
      f"images have {image.shape[2]}x{image.shape[1]} pixels, but SSIM needs "
      f"at least {_WINDOW}x{_WINDOW}"
    )
  x, y = image.astype(np.float64), truth.astype(np.float64)
  mean_x, mean_y = _blur(x), _blur(y)
  var_x = _blur(x * x) - mean_x**2
  var_y = _blur(y * y) - mean_y**2
  covariance = _blur(x * y) - mean_x * mean_y
  c1, c2 = _K1**2, _K2**2
  luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
  structure = (2 * covariance + c2) / (var_x + var_y + c2)
  return (luminance * structure).mean((1, 2, 3))


METRICS: dict[str, Callable[[Images, Images], np.ndarray]] = {
  "psnr": psnr,
  "ssim": ssim,
}


def _check(image: np.ndarray, truth: np.ndarray) -> None:
  if image.shape != truth.shape:
    raise ValueError(
      f"the images have shape {image.shape}, but the truth has {truth.shape}"
    )


def _blur(x: np.ndarray) -> np.ndarray:
  """Return weighted means over all windows inside images [b, h, w, c]."""
  place = np.arange(_WINDOW) - _WINDOW // 2
  weights = np.exp(-(place**2) / (2 * _SIGMA**2))
  weights /= weights.sum()
  rows, columns = (n - _WINDOW + 1 for n in x.shape[1:3])
  x = sum(w * x[:, i : i + rows] for i, w in enumerate(weights))
  return sum(w * x[:, :, i : i + columns] for i, w in enumerate(weights))
