"""Scores of the masks of single images, pooled and per image.

The protocol of Improved Layered GANs (sec. 4): accuracy, IoU and mIoU from one
confusion matrix of all images. The protocol of ILSGAN and DRC: IoU and Dice of
each image, averaged. There are no void pixels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

Mask = Bool[np.ndarray, "_ _"]


def scores(
  predicted: Sequence[Mask], truth: Sequence[Mask]
) -> dict[str, float]:
  """Return pooled acc, iou and miou, and averaged iou_each and dice_each.

  All are in [0, 1]. Two empty masks score 1.

  Raises:
    ValueError: there is no image, or numbers or sizes of the masks differ.
  """
  if not truth or len(predicted) != len(truth):
    raise ValueError(
      f"{len(predicted)} predictions for {len(truth)} masks; expected one of "
      "each per image, and at least one image"
    )
  table = np.array(
    [_confusion(p, t) for p, t in zip(predicted, truth, strict=True)]
  )
  tp, fp, fn, tn = table.sum(axis=0)
  iou = _ratio(tp, tp + fp + fn)
  each_tp, each_fp, each_fn, _ = table.T
  errors = each_fp + each_fn
  return {
    "acc": float((tp + tn) / table.sum()),
    "iou": float(iou),
    "miou": float((iou + _ratio(tn, tn + fp + fn)) / 2),
    "iou_each": float(_ratio(each_tp, each_tp + errors).mean()),
    "dice_each": float(_ratio(2 * each_tp, 2 * each_tp + errors).mean()),
  }


def _confusion(predicted: Mask, truth: Mask) -> tuple[int, int, int, int]:
  """Return the numbers of TP, FP, FN and TN pixels of the object."""
  if predicted.shape != truth.shape:
    raise ValueError(
      f"a prediction has shape {predicted.shape}, but its mask has "
      f"{truth.shape}"
    )
  count = lambda x: int(np.count_nonzero(x))
  return (
    count(predicted & truth),
    count(predicted & ~truth),
    count(~predicted & truth),
    count(~predicted & ~truth),
  )


def _ratio(part, whole):
  """Return part / whole, or 1 where the whole is 0."""
  whole = np.asarray(whole, np.float64)
  return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
