"""DAVIS scores: region similarity J, boundary accuracy F, their statistics.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation" (CVPR 2016). The results equal those of
`davis2017-evaluation`, including its quirks, which the comments name. The one
exception is the decay of more than 256 frames: it is correct here, while the
toolkit's indices overflow uint8.

The module needs only numpy and OpenCV. It checks its arguments itself, without
jaxtyping, because it is also for use outside this package.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

VOID = 255
# Perazzi et al. 2016, sec. 4.1: the largest error of a boundary pixel that
# counts as correct, as a share of the image diagonal.
TOLERANCE = 0.008
_RECALL_THRESHOLD = 0.5
_NUM_BINS = 4


def region_similarity(
  pred: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None
) -> float | np.ndarray:
  """Return the intersection over union of two masks.

  J = |S and G and not V| / |(S or G) and not V|. J is 1 if the union is empty:
  an empty prediction of an absent object is correct.

  Args:
    pred: boolean [h, w], or [t, h, w] for one value per frame.
    truth: boolean, same shape.
    void: boolean, same shape; pixels to ignore.

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
  edge. The last row has only right neighbours, the last column only lower
  ones, and the lower right corner none.

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

  Recall is the share of frames strictly above 0.5. Decay is the mean of the
  first quarter of the frames minus the mean of the last quarter. Two quirks of
  the toolkit: neighbouring quarters share the frame between them, and NaN
  counts as a miss in the recall although the means skip it.

  Raises:
    ValueError: `values` is empty or not one-dimensional.
  """
  v = np.asarray(values, np.float64)
  if v.ndim != 1 or v.size == 0:
    raise ValueError(
      f"expected one value per frame of one object, got shape {v.shape}."
    )
  # int64, because the toolkit's uint8 wraps around at 256 frames. The small
  # term makes numpy's round-half-to-even equal to Matlab's round.
  edges = np.linspace(1, v.size, _NUM_BINS + 1)
  edges = np.round(edges + 1e-10).astype(np.int64) - 1
  first = v[edges[0] : edges[1] + 1]
  last = v[edges[-2] : edges[-1] + 1]
  recall = np.mean(v > _RECALL_THRESHOLD)
  decay = _nanmean(first) - _nanmean(last)
  return _nanmean(v), float(recall), decay


def scored_frames(num_frames: int) -> range:
  """Return the frames that the semi-supervised task scores: 1 .. T-2.

  The mask of frame 0 is given. The toolkit also skips the last frame.
  """
  return range(1, num_frames - 1)


def score_sequence(
  pred: Sequence[np.ndarray | None],
  truth: Sequence[np.ndarray | None],
  *,
  objects: Sequence[int],
) -> dict[int, dict[str, np.ndarray]]:
  """Return J and F of every object in every scored frame of a sequence.

  Void pixels (255) of the ground truth count as background, as in the
  toolkit's semi-supervised task.

  Args:
    pred: label maps uint8 [h, w], one per frame; None for unscored frames.
    truth: label maps of the same size; None for frames without annotation,
      which are not scored.
    objects: the object ids to score, usually 1 .. max of the first mask.

  Returns:
    {object: {"frames": int [n], "J": float [n], "F": float [n]}}.

  Raises:
    ValueError: the lengths or sizes differ, a scored frame has no
      prediction, a predicted label is not in `objects`, or there is no frame
      to score.
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
  """Return the scored frames that have an annotation.

  Raises:
    ValueError: the lengths differ, or there is no such frame.
  """
  if len(pred) != len(truth):
    raise ValueError(
      f"{len(pred)} predicted frames, but {len(truth)} ground-truth frames."
    )
  frames = [t for t in scored_frames(len(truth)) if truth[t] is not None]
  if not frames:
    raise ValueError(
      "no frame to score: no frame between the first and the last is annotated."
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
    truth: one mask per scored frame.
    frames: indices of the scored frames.
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
    # If one boundary is empty, the toolkit sets P = 1, R = 0 (or the reverse),
    # so F = 0.
    return float(num_pred == num_truth)
  # The dilations are read only at boundary pixels, so the box around both
  # boundaries is enough. This is exact, and several times faster at 480p.
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
  """Return the mean without NaN; NaN, without a warning, if all are NaN."""
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
      f"frame {t}: predicted labels have shape {pred.shape}, but the ground "
      f"truth has {truth.shape}; both must have the same [h, w]."
    )
  unexpected = set(np.unique(pred).tolist()) - {0, *map(int, objects)}
  if unexpected:
    raise ValueError(
      f"frame {t}: the prediction has labels {sorted(unexpected)}, but the "
      f"objects are {list(objects)}."
    )
