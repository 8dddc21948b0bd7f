"""Video frames without their objects; the generated background fills them."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.media import images

# The width of the replaced margin around a mask, and the width of the fade
# beyond it, in pixels of the network: its masks are no finer than these.
_GROW = 1.5
_FADE = 1.5
_MIN_WIDTH = 2.0  # in pixels of the video, because cameras blur edges too


def compose(
  frame: UInt8[np.ndarray, "h w 3"],
  objects: Bool[np.ndarray, "h w"],
  background: UInt8[np.ndarray, "h2 w2 3"],
) -> UInt8[np.ndarray, "h w 3"]:
  """Return the frame with its objects replaced by the background.

  Args:
    frame: of the video; pixels far from all objects stay unchanged.
    objects: the mask of all objects.
    background: generated, at the network's size.
  """
  if not objects.any():
    return frame
  weight = _background_weight(objects, background.shape[:2])[..., None]
  behind = images.resize_image(background, frame.shape[:2])
  mixed = (1 - weight) * frame + weight * behind
  return np.round(mixed).astype(np.uint8)


def _background_weight(
  objects: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
  """Return the background's weight [h, w]: 1 on objects and their margin.

  Args:
    objects: mask [h, w] of all objects.
    size: (h, w) of network frames.
  """
  height, width = objects.shape
  scale = max(height / size[0], width / size[1])
  grow, fade = max(_MIN_WIDTH, _GROW * scale), max(_MIN_WIDTH, _FADE * scale)
  distance = cv2.distanceTransform(
    (~objects).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
  )
  return np.clip((grow + fade - distance) / fade, 0, 1)
