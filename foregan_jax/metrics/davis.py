"""DAVIS scores: region similarity J, boundary accuracy F, their statistics.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation" (CVPR 2016), computed exactly as `davis2017-evaluation`
does, its quirks included (each is named where it happens), except one: decay
is right for more than 256 frames, where the toolkit's indices overflow uint8.

Needs numpy and OpenCV only. Arguments are checked by hand rather than by
jaxtyping because this module is meant to be used outside the package too.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

VOID = 255
# Perazzi et al. 2016, sec. 4.1: a boundary may be off by this share of the
# image diagonal.
TOLERANCE = 0.008
_RECALL_THRESHOLD = 0.5
_NUM_BINS = 4


def region_similarity(
  pred: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None
) -> float | np.ndarray:
  """Return the intersection over union of two masks.

  J = |S and G and not V| / |(S or G) and not V|, and 1 where the union is
  empty: predicting nothing where there is nothing is right.

  Args:
    pred: boolean [h, w], or [t, h, w] for one value per frame.
    truth: boolean, same shape.
    void: boolean, same shape; pixels that do not count.

  Returns:
    A float in [0, 1] for [h, w], float64 [t] for [t, h, w].

  Raises:
    ValueError: the arrays are not boolean or their shapes differ.
  """
  _check(pred, truth, void)
  inter = pred & truth
  union = pred | truth
  if void is not None:
    inter &= ~void
    union &= ~void
  inter = np.count_nonzero(inter, axis=(-2, -1))
  union = np.count_nonzero(union, axis=(-2, -1))
  score = np.where(union == 0, 1.0, inter / np.maximum(union, 1))
  return float(score) if pred.ndim == 2 else score


def boundary_accuracy(
  pred: np.ndarray,
  truth: np.ndarray,
  void: np.ndarray | None = None,
  tolerance: float | int = TOLERANCE,
) -> float | np.ndarray:
  """Return the F-measure of the boundary pixels of two masks.

  F = 2 P R / (P + R), where the precision P is the share of the predicted
  boundary that lies within `tolerance` of the true one, and the recall R the
  share of the true boundary within `tolerance` of the predicted one.

  Args:
    pred: boolean [h, w], or [t, h, w] for one value per frame.
    truth: boolean, same shape.
    void: boolean, same shape; void pixels are background in both masks.
    tolerance: share of the image diagonal, rounded up to whole pixels; from
      1 upwards, a number of pixels.

  Returns:
    A float in [0, 1] for [h, w], float64 [t] for [t, h, w].

  Raises:
    ValueError: the arrays are not boolean, their shapes differ, or
      `tolerance` is negative.
  """
  _check(pred, truth, void)
  if tolerance < 0:
    raise ValueError(f"tolerance must not be negative, got {tolerance}.")
  if tolerance < 1:
    tolerance = np.ceil(tolerance * np.linalg.norm(pred.shape[-2:]))
  radius = int(tolerance)
  if void is not None:
    pred, truth = pred & ~void, truth & ~void
  if pred.ndim == 2:
    return _boundary_score(pred, truth, radius)
  pairs = zip(pred, truth, strict=True)
  return np.array([_boundary_score(p, t, radius) for p, t in pairs], float)


def boundary(mask: np.ndarray) -> np.ndarray:
  """Return the one pixel wide boundary of a mask.

  A pixel is on the boundary if it differs from its right, lower or lower
  right neighbour, so the line lies half a pixel up and left of the true
  edge. The last row looks right only, the last column down only, the lower
  right corner nowhere.

  Args:
    mask: boolean [h, w].

  Returns:
    uint8 [h, w], 0 or 1.
  """
  m = np.ascontiguousarray(mask).view(np.uint8)
  out = np.zeros_like(m)
  here = m[:-1, :-1]
  out[:-1, :-1] = (here ^ m[:-1, 1:]) | (here ^ m[1:, :-1]) | (here ^ m[1:, 1:])
  out[-1, :-1] = m[-1, :-1] ^ m[-1, 1:]
  out[:-1, -1] = m[:-1, -1] ^ m[1:, -1]
  return out


def statistics(
  values: np.ndarray | Sequence[float],
) -> tuple[float, float, float]:
  """Return (mean, recall, decay) of one object's values over its frames.

  Recall is the share of frames above 0.5, strictly. Decay is the mean of the
  first quarter of the frames minus the mean of the last; neighbouring
  quarters share the frame between them (a quirk of the toolkit). Means skip
  NaN, but a NaN counts as a miss in the recall (another one).

  Raises:
    ValueError: `values` is empty or not one-dimensional.
  """
  v = np.asarray(values, np.float64)
  if v.ndim != 1 or v.size == 0:
    raise ValueError(
      f"expected one value per frame of one object, got shape {v.shape}."
    )
  # int64, not the toolkit's uint8: that wraps around at 256 frames. The tiny
  # addend makes numpy's round-half-to-even behave like Matlab's round.
  edges = np.linspace(1, v.size, _NUM_BINS + 1)
  edges = np.round(edges + 1e-10).astype(np.int64) - 1
  first = v[edges[0] : edges[1] + 1]
  last = v[edges[-2] : edges[-1] + 1]
  recall = np.mean(v > _RECALL_THRESHOLD)
  decay = _nanmean(first) - _nanmean(last)
  return _nanmean(v), float(recall), decay


def scored_frames(num_frames: int) -> range:
  """Return the frames that the semi-supervised task scores: 1 .. T-2.

  Frame 0 is given; the last frame is left out too, as the toolkit does.
  """
  return range(1, num_frames - 1)


def score_sequence(
  pred: Sequence[np.ndarray | None],
  truth: Sequence[np.ndarray | None],
  *,
  objects: Sequence[int],
) -> dict[int, dict[str, np.ndarray]]:
  """Return J and F of every object in every scored frame of a sequence.

  Void pixels (255) of the truth are background, which is what the toolkit's
  semi-supervised task does with them.

  Args:
    pred: label maps uint8 [h, w], one per frame; None where not needed.
    truth: label maps of the same size; None where a frame is not annotated
      and so is not scored.
    objects: the object ids to score, usually 1 .. max of the first mask.

  Returns:
    {object: {"frames": int [n], "J": float [n], "F": float [n]}}.

  Raises:
    ValueError: the lengths or sizes differ, a scored frame has no
      prediction, the prediction holds a label that is no object, or no
      frame is left to score.
  """
  frames = annotated_frames(pred, truth)
  for t in frames:
    _check_labels(pred[t], truth[t], objects, t)
  return {
    int(k): score_object(
      [pred[t] == k for t in frames], [truth[t] == k for t in frames], frames
    )
    for k in objects
  }


def annotated_frames(
  pred: Sequence[np.ndarray | None], truth: Sequence[np.ndarray | None]
) -> list[int]:
  """Return the scored frames that have a truth.

  Raises:
    ValueError: the lengths differ, or no frame is left.
  """
  if len(pred) != len(truth):
    raise ValueError(
      f"{len(pred)} predicted frames, but {len(truth)} frames of truth."
    )
  frames = [t for t in scored_frames(len(truth)) if truth[t] is not None]
  if not frames:
    raise ValueError(
      "no frame to score: none but the first and the last is annotated."
    )
  return frames


def score_object(
  pred: Sequence[np.ndarray],
  truth: Sequence[np.ndarray],
  frames: Sequence[int],
) -> dict[str, np.ndarray]:
  """Return {"frames", "J", "F"} of one object's boolean masks [h, w].

  Args:
    pred: one mask per scored frame.
    truth: as many.
    frames: their numbers.
  """
  pairs = list(zip(pred, truth, strict=True))
  return {
    "frames": np.array(frames),
    "J": np.array([region_similarity(p, g) for p, g in pairs]),
    "F": np.array([boundary_accuracy(p, g) for p, g in pairs]),
  }


def _boundary_score(pred: np.ndarray, truth: np.ndarray, radius: int) -> float:
  pred, truth = boundary(pred), boundary(truth)
  num_pred, num_truth = np.count_nonzero(pred), np.count_nonzero(truth)
  if num_pred == 0 or num_truth == 0:
    # The toolkit sets P = 1, R = 0 (or the reverse) if one is empty: F = 0.
    return float(num_pred == num_truth)
  # Dilation is wanted at boundary pixels only, so the box around both
  # boundaries is enough: exact, and several times faster at 480p.
  x, y, w, h = cv2.boundingRect(pred | truth)
  pred, truth = pred[y : y + h, x : x + w], truth[y : y + h, x : x + w]
  disk = _disk(radius)
  precision = np.count_nonzero(pred & cv2.dilate(truth, disk)) / num_pred
  recall = np.count_nonzero(truth & cv2.dilate(pred, disk)) / num_truth
  if precision + recall == 0:
    return 0.0
  return 2 * precision * recall / (precision + recall)


@functools.lru_cache(maxsize=16)
def _disk(radius: int) -> np.ndarray:
  y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
  return (x * x + y * y <= radius * radius).astype(np.uint8)


def _nanmean(values: np.ndarray) -> float:
  """Return the mean without NaN, and NaN (no warning) if nothing is left."""
  values = values[~np.isnan(values)]
  return float(values.mean()) if values.size else float("nan")


def _check(
  pred: np.ndarray, truth: np.ndarray, void: np.ndarray | None
) -> None:
  arrays = {"pred": pred, "truth": truth}
  if void is not None:
    arrays["void"] = void
  for name, array in arrays.items():
    if not isinstance(array, np.ndarray) or array.dtype != bool:
      kind = getattr(array, "dtype", type(array).__name__)
      raise ValueError(f"{name} must be a boolean numpy array, got {kind}.")
    if array.shape != pred.shape:
      raise ValueError(
        f"{name} has shape {array.shape}, but pred has {pred.shape}."
      )
  if pred.ndim not in (2, 3) or 0 in pred.shape[-2:]:
    raise ValueError(
      f"masks must have shape [h, w] or [t, h, w], got {pred.shape}."
    )


def _check_labels(
  pred: np.ndarray | None, truth: np.ndarray, objects: Sequence[int], t: int
) -> None:
  if pred is None:
    raise ValueError(f"frame {t} is scored but has no prediction.")
  if pred.shape != truth.shape or pred.ndim != 2:
    raise ValueError(
      f"frame {t}: predicted labels have shape {pred.shape}, the truth has "
      f"{truth.shape}; both must be the same [h, w]."
    )
  surplus = set(np.unique(pred).tolist()) - {0, *map(int, objects)}
  if surplus:
    raise ValueError(
      f"frame {t}: the prediction holds labels {sorted(surplus)}, but the "
      f"objects are {list(objects)}."
    )
