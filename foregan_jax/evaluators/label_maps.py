"""Label maps of a video's own size, from soft masks of the network's size."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from foregan_jax.media import images

THRESHOLD = 0.5


def make(
  sequence: Mapping[str, Any], soft: np.ndarray, threshold: float = THRESHOLD
) -> list[np.ndarray]:
  """Return native label maps, uint8 [H, W] of 0, 1..n, of all frames.

  Args:
    sequence: from `data.davis.Davis.sequence`.
    soft: masks of frames 1, 2, ..., [T-1, h, w, n] in [0, 1].
    threshold: see `cut`.
  """
  size = sequence["native_size"]
  return [
    first(sequence), *(cut(enlarge(mask, size), threshold) for mask in soft)
  ]  # fmt: skip


def first(sequence: Mapping[str, Any]) -> np.ndarray:
  """Return the labels of the first frame, with 0 for void."""
  labels = sequence["labels"][0]
  return np.where(labels == images.VOID, 0, labels).astype(np.uint8)


def enlarge(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Return soft masks [h, w, n] at `size`, float32 [H, W, n]."""
  soft = cv2.resize(
    masks.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR
  )
  return soft.reshape(*size, -1)


def cut(soft: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
  """Return the label of the largest soft mask at each pixel, uint8 [H, W].

  The background's mask is 1 minus the sum, times `t / (1 - t)` for a threshold
  t. So a single object is where its mask is above t.

  Args:
    soft: of the objects, [H, W, n].
    threshold: in (0, 1).
  """
  background = 1.0 - soft.sum(-1, keepdims=True)
  background *= threshold / (1.0 - threshold)
  return np.concatenate([background, soft], -1).argmax(-1).astype(np.uint8)
