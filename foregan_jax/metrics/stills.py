"""How well masks of single pictures fit: pooled, and picture by picture.

Improved Layered GANs' protocol (sec. 4): accuracy, IoU and mIoU from one
confusion matrix over all pictures; ILSGAN's and DRC's: IoU and Dice of each
picture, averaged. No void pixels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

Mask = Bool[np.ndarray, "_ _"]


def scores(
  predicted: Sequence[Mask], truth: Sequence[Mask]
) -> dict[str, float]:
  """Return acc, iou, miou (pooled), iou_each and dice_each (averaged).

  Two empty masks agree: 1.

  Raises:
    ValueError: if there is no picture, or the two differ in number or size.
  """
  if not truth or len(predicted) != len(truth):
    raise ValueError(
      f"{len(predicted)} predictions for {len(truth)} masks; expected as many "
      "of both, and at least one"
    )
  table = np.array(
    [_confusion(p, t) for p, t in zip(predicted, truth, strict=True)]
  )
  hit, false, missed, rest = table.sum(axis=0)
  iou = _ratio(hit, hit + false + missed)
  each_hit, each_false, each_missed, _ = table.T
  wrong = each_false + each_missed
  return {
    "acc": float((hit + rest) / table.sum()),
    "iou": float(iou),
    "miou": float((iou + _ratio(rest, rest + false + missed)) / 2),
    "iou_each": float(_ratio(each_hit, each_hit + wrong).mean()),
    "dice_each": float(_ratio(2 * each_hit, 2 * each_hit + wrong).mean()),
  }


def _confusion(predicted: Mask, truth: Mask) -> tuple[int, int, int, int]:
  """Count object pixels that are found, invented, missed; and the others."""
  if predicted.shape != truth.shape:
    raise ValueError(
      f"a prediction is {predicted.shape}, but its mask is {truth.shape}"
    )
  count = lambda x: int(np.count_nonzero(x))
  return (
    count(predicted & truth),
    count(predicted & ~truth),
    count(~predicted & truth),
    count(~predicted & ~truth),
  )


def _ratio(part, whole):
  whole = np.asarray(whole, np.float64)
  return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
