"""Masks of single images without learning, the baselines of segmenters."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

Image = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "_ _"]

# Share of the smaller side. The disc has the area of a typical centred object.
_DISC_RADIUS = 0.35
_BORDER = 0.06  # share of the smaller side that counts as border
_NUM_CUTS = 40  # candidates of `tune_border_cut`


def everything(image: Image) -> Mask:
  """Return a mask of all pixels."""
  return np.ones(image.shape[:2], bool)


def disc(image: Image) -> Mask:
  """Return the mask of a centred disc."""
  h, w = image.shape[:2]
  y, x = np.ogrid[:h, :w]
  radius = _DISC_RADIUS * min(h, w)
  return (x - (w - 1) / 2) ** 2 + (y - (h - 1) / 2) ** 2 <= radius**2


def otsu(image: Image) -> Mask:
  """Return the mask of Otsu's threshold on the brightness.

  The class of most border pixels is the background.
  """
  grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
  mask = bright.astype(bool)
  return ~mask if mask[_border(mask.shape)].mean() > 1 / 2 else mask


def border_distance(image: Image) -> Float[np.ndarray, "h w"]:
  """Return each pixel's distance in Lab from the mean colour of the border."""
  lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
  background = lab[_border(image.shape[:2])].mean(axis=0)
  return np.linalg.norm(lab - background, axis=-1)


def tune_border_cut(images: Sequence[Image], masks: Sequence[Mask]) -> float:
  """Return the threshold of `border_distance` with the highest mean IoU."""
  distances = [border_distance(p) for p in images]
  cuts = np.linspace(0, max(d.max() for d in distances), _NUM_CUTS).tolist()

  def mean_iou(cut: float) -> float:
    ious = []
    for distance, mask in zip(distances, masks, strict=True):
      predicted = distance > cut
      union = max((predicted | mask).sum(), 1)
      ious.append((predicted & mask).sum() / union)
    return float(np.mean(ious))

  return max(cuts, key=mean_iou)


def _border(size: tuple[int, int]) -> Mask:
  """Return the mask of the pixels near the border."""
  inside = np.zeros(size, bool)
  width = max(1, round(_BORDER * min(size)))
  inside[width:-width, width:-width] = True
  return ~inside
