"""Masks that need no learning: what a segmenter of pictures has to beat."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "_ _"]

# Of the smaller side: a disc with the area of a typical centred object.
_DISC_RADIUS = 0.35
_BORDER = 0.06  # share of the smaller side that counts as border
_NUM_CUTS = 40


def everything(picture: Picture) -> Mask:
  """Call every pixel object."""
  return np.ones(picture.shape[:2], bool)


def disc(picture: Picture) -> Mask:
  """Call a centred disc object."""
  h, w = picture.shape[:2]
  y, x = np.ogrid[:h, :w]
  radius = _DISC_RADIUS * min(h, w)
  return (x - (w - 1) / 2) ** 2 + (y - (h - 1) / 2) ** 2 <= radius**2


def otsu(picture: Picture) -> Mask:
  """Cut the brightness by Otsu's rule; what the border mostly is, is ground."""
  grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
  _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
  mask = bright.astype(bool)
  return ~mask if mask[_border(mask.shape)].mean() > 1 / 2 else mask


def border_distance(picture: Picture) -> Float[np.ndarray, "h w"]:
  """Return how far each pixel's colour is from the border's mean, in Lab."""
  lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
  ground = lab[_border(picture.shape[:2])].mean(axis=0)
  return np.linalg.norm(lab - ground, axis=-1)


def tune_border_cut(
  pictures: Sequence[Picture], masks: Sequence[Mask]
) -> float:
  """Return the cut of `border_distance` with the best mean IoU on these."""
  distances = [border_distance(p) for p in pictures]
  cuts = np.linspace(0, max(d.max() for d in distances), _NUM_CUTS).tolist()

  def quality(cut: float) -> float:
    each = []
    for distance, mask in zip(distances, masks, strict=True):
      found = distance > cut
      each.append((found & mask).sum() / max((found | mask).sum(), 1))
    return float(np.mean(each))

  return max(cuts, key=quality)


def _border(size: tuple[int, int]) -> Mask:
  inside = np.zeros(size, bool)
  width = max(1, round(_BORDER * min(size)))
  inside[width:-width, width:-width] = True
  return ~inside
