"""J and F of one frame, step by step as in `davis2017-evaluation`.

These are the steps of the official toolkit, on whole images and without any
shortcut. `davis` returns the same values faster; the benchmark and the tests
compare the two.
"""

import cv2
import numpy as np

from foregan_jax.metrics import davis


def region_similarity(pred: np.ndarray, truth: np.ndarray) -> float:
  """Return J of two boolean masks [h, w]."""
  inter = np.sum(pred & truth)
  union = np.sum(pred | truth)
  return 1.0 if union == 0 else float(inter / union)


def boundary_accuracy(pred: np.ndarray, truth: np.ndarray) -> float:
  """Return F of two boolean masks [h, w], by dilation with a disk."""
  radius = int(np.ceil(davis.TOLERANCE * np.linalg.norm(pred.shape)))
  y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
  disk = (x * x + y * y <= radius * radius).astype(np.uint8)
  pred, truth = boundary(pred), boundary(truth)
  near_pred = cv2.dilate(pred.astype(np.uint8), disk)
  near_truth = cv2.dilate(truth.astype(np.uint8), disk)
  num_pred, num_truth = np.sum(pred), np.sum(truth)
  if num_pred == 0 or num_truth == 0:
    return float(num_pred == num_truth)
  precision = np.sum(pred * near_truth) / num_pred
  recall = np.sum(truth * near_pred) / num_truth
  if precision + recall == 0:
    return 0.0
  return float(2 * precision * recall / (precision + recall))


def boundary(mask: np.ndarray) -> np.ndarray:
  """Return the pixels that differ from a neighbour, boolean [h, w].

  The neighbours are the right, the lower and the lower right one. The last row
  has only right ones, the last column only lower ones, the corner none.
  """
  right, lower, diagonal = (np.zeros_like(mask) for _ in range(3))
  right[:, :-1] = mask[:, 1:]
  lower[:-1] = mask[1:]
  diagonal[:-1, :-1] = mask[1:, 1:]
  edge = (mask ^ right) | (mask ^ lower) | (mask ^ diagonal)
  edge[-1] = mask[-1] ^ right[-1]
  edge[:, -1] = mask[:, -1] ^ lower[:, -1]
  edge[-1, -1] = False
  return edge
