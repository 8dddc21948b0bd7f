"""Overlaps of the masks of animation, which are learnt without any label.

`iou`: of binary masks with the true masks of the objects, where the data have
them, beside `iou_all_pixels`, that of a mask of the whole frame. A learnt mask
need not be the object: a score near 0 can also mean the background.

`overlap`: of the mask that r draws for frames of the source's own video, with
the raw mask of the same frame. The object is the same, so r should change
little. Frames without any mask do not count: black masks have no value.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

IOU, ALL_PIXELS, OVERLAP = "iou", "iou_all_pixels", "overlap"
_WHITE = 255.0

Masks = Float[np.ndarray, "_ _ _ 1"]


def measure(
  masks: Masks,
  refined: Masks,
  raw: Masks,
  truth: Mapping[int, Bool[np.ndarray, "_ _"]],
  threshold: int | float,
) -> dict[str, list[float]]:
  """Return the values of each frame of a video.

  Args:
    masks: soft, of the frames 1, 2, ...
    refined: of some frames, from `animate`.
    raw: of the same frames.
    truth: true masks, by index of the frame.
    threshold: of the soft masks, 0 to 255.
  """
  cut = threshold / _WHITE
  values: dict[str, list[float]] = {IOU: [], ALL_PIXELS: [], OVERLAP: []}
  for time, true in truth.items():
    if time > 0:
      soft = cv2.resize(masks[time - 1, ..., 0], true.shape[::-1])
      values[IOU].append(_iou(soft > cut, true))
      values[ALL_PIXELS].append(float(true.mean()))
  for one, other in zip(refined > cut, raw > cut, strict=True):
    if one.any() or other.any():
      values[OVERLAP].append(_iou(one, other))
  return values


def mean(several: Sequence[Mapping[str, list[float]]]) -> dict[str, float]:
  """Return the means over the frames of all videos, of what has values."""
  joined = {
    name: [value for values in several for value in values[name]]
    for name in (IOU, ALL_PIXELS, OVERLAP)
  }
  return {name: float(np.mean(x)) for name, x in joined.items() if x}


def line(means: Mapping[str, float]) -> str:
  """Return a line of text; "" without values."""
  parts = []
  if IOU in means:
    parts.append(
      f"IoU with the true objects {means[IOU]:.3f} (of all pixels "
      f"{means[ALL_PIXELS]:.3f})"
    )
  if OVERLAP in means:
    parts.append(
      f"IoU of refined with raw masks of one video {means[OVERLAP]:.3f}"
    )
  return f"masks: {', '.join(parts)}" if parts else ""


def _iou(one: np.ndarray, other: np.ndarray) -> float:
  """Return intersection over union; `one` or `other` is not empty."""
  return float((one & other).sum() / (one | other).sum())
