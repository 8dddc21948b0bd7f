"""Copies of the most similar training frame, a baseline of animation."""

import numpy as np
from jaxtyping import UInt8

from foregan_jax.media import images

_SIDE = 16  # of the pictures that are compared, pixels

Frames = UInt8[np.ndarray, "_ _ _ 3"]


class NearestFrames:
  """Finds the nearest one of known frames, by the squared error when small."""

  def __init__(self, frames: Frames):
    """Keep the frames, uint8 [n, s, s, 3]."""
    self._frames = frames
    self._small = _shrink(frames)

  def __call__(self, driving: Frames) -> Frames:
    """Return a known frame for each frame [t, s, s, 3]."""
    wanted = _shrink(driving)
    # |a - b|^2 without |a|^2, which is the same for all b.
    norm = (self._small**2).sum(axis=1)
    distance = norm[None] - 2 * wanted @ self._small.T
    return self._frames[distance.argmin(axis=1)]


def _shrink(frames: Frames) -> np.ndarray:
  """Return small pictures as rows, centred at 0."""
  small = [images.resize_image(frame, (_SIDE, _SIDE)) for frame in frames]
  # Centred, because float32 loses digits of the sum of large squares.
  return np.stack(small).reshape(len(small), -1).astype(np.float32) - 128
