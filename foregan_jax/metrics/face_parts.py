"""Scores of the masks of face parts and of expressions, and their baselines."""

import numpy as np
from jaxtyping import Bool, Float, Int

_CUTS = np.linspace(0.05, 0.95, 19)  # thresholds of the mean mask


def iou(
  predicted: Bool[np.ndarray, "#n h w c"], truth: Bool[np.ndarray, "n h w c"]
) -> Float[np.ndarray, " c"]:
  """Return the IoU of each channel, pooled over all faces.

  NaN for a channel that no face has.
  """
  axes = (0, 1, 2)
  overlap, union = (predicted & truth).sum(axes), (predicted | truth).sum(axes)
  empty = ~truth.any(axes)
  return np.where(empty, np.nan, overlap / np.maximum(union, 1))


def mean_mask(truth: Bool[np.ndarray, "n h w c"]) -> Bool[np.ndarray, "h w c"]:
  """Return one mask per channel that fits all faces best.

  It is the mean of the masks above that threshold which has the highest pooled
  IoU with them. It needs no picture, so it is a baseline.
  """
  mean = truth.mean(0)
  cuts = [mean > cut for cut in _CUTS]
  scores = np.stack([np.nan_to_num(iou(cut[None], truth)) for cut in cuts])
  best = scores.argmax(0)
  return np.stack([cuts[k][..., i] for i, k in enumerate(best)], -1)


def accuracy(
  predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]
) -> dict[str, float]:
  """Return the share of right labels, and the mean of this share by label.

  The latter, `recall`, is that of a guess, 1 / (number of labels), for a
  classifier that ignores its input.
  """
  right = predicted == labels
  by_label = [right[labels == k].mean() for k in np.unique(labels)]
  return {"accuracy": float(right.mean()), "recall": float(np.mean(by_label))}


def most_frequent(labels: Int[np.ndarray, " n"]) -> int:
  """Return the most frequent label."""
  values, counts = np.unique(labels, return_counts=True)
  return int(values[counts.argmax()])
