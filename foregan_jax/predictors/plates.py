"""The video without its object: what is behind it comes from the network."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.media import images

# How far beyond its mask the object is replaced, and over how much more the
# seam fades, in pixels of the network: no mask of its is finer than these.
_GROW = 1.5
_FADE = 1.5
_LEAST = 2.0  # in pixels of the video: a camera blurs edges as well


def compose(
  frame: UInt8[np.ndarray, "h w 3"],
  objects: Bool[np.ndarray, "h w"],
  background: UInt8[np.ndarray, "h2 w2 3"],
) -> UInt8[np.ndarray, "h w 3"]:
  """Returns the frame with the background where the objects are.

  Args:
    frame: of the video; far from all objects its pixels are kept as they are.
    objects: where they are.
    background: of the network, at its own size.
  """
  if not objects.any():
    return frame
  share = _share(objects, background.shape[:2])[..., None]
  behind = images.resize_image(background, frame.shape[:2])
  mixed = (1 - share) * frame + share * behind
  return np.round(mixed).astype(np.uint8)


def _share(objects: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Returns the background's share of each pixel; 1 around the objects too."""
  height, width = objects.shape
  scale = max(height / size[0], width / size[1])
  grow, fade = max(_LEAST, _GROW * scale), max(_LEAST, _FADE * scale)
  distance = cv2.distanceTransform(
    (~objects).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
  )
  return np.clip((grow + fade - distance) / fade, 0, 1)
