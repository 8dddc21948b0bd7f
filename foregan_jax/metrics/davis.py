"""DAVIS scores: region similarity J, boundary accuracy F, their statistics.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation" (CVPR 2016). The results equal those of
`davis2017-evaluation`, including its quirks, which the comments name. The one
exception is the decay of more than 256 frames: it is correct here, while the
toolkit's indices overflow uint8.

The module needs only numpy and OpenCV. It checks its arguments itself, without
jaxtyping, because it is also for use outside this package.
"""

import math
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
  radius = _radius(tolerance, pred.shape)
  if void is not None:
    pred, truth = pred & ~void, truth & ~void
  if pred.ndim == 2:
    return _score_masks(pred, truth, radius)[1]
  pairs = zip(pred, truth, strict=True)
  return np.array([boundary_accuracy(p, t, tolerance=radius) for p, t in pairs])


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
      prediction, a predicted label is not in `objects`, the labels are not
      uint8, or there is no frame to score.
  """
  frames = annotated_frames(pred, truth)
  objects = [int(k) for k in objects]
  # Reused, because its allocation takes longer than what is done with it.
  scratch = np.empty_like(truth[frames[0]])
  scores = np.array(
    [_score_frame(pred[t], truth[t], t, objects, scratch) for t in frames]
  )
  return {
    k: {"frames": np.array(frames), "J": scores[:, i, 0], "F": scores[:, i, 1]}
    for i, k in enumerate(objects)
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


def _score_frame(
  pred: np.ndarray | None,
  truth: np.ndarray,
  t: int,
  objects: list[int],
  scratch: np.ndarray,
) -> list[tuple[float, float]]:
  """Return (J, F) of every object in frame t, from label maps."""
  if pred is None:
    raise ValueError(f"frame {t} is scored but has no prediction.")
  if not pred.shape == truth.shape == scratch.shape or pred.ndim != 2:
    raise ValueError(
      f"frame {t}: predicted labels have shape {pred.shape}, but the ground "
      f"truth has {truth.shape}; all frames must have the same [h, w]."
    )
  if not pred.dtype == truth.dtype == np.uint8:
    raise ValueError(
      f"frame {t}: labels must be uint8, got {pred.dtype} and {truth.dtype}."
    )
  radius = _radius(TOLERANCE, truth.shape)
  box = _box(np.bitwise_or(pred, truth, out=scratch))
  pred, truth = pred[box], truth[box]
  masks = [(pred == k, truth == k) for k in objects]
  known = sum(np.count_nonzero(p) for p, _ in masks)
  if known < np.count_nonzero(pred):
    unexpected = set(np.unique(pred).tolist()) - {0, *objects}
    raise ValueError(
      f"frame {t}: the prediction has labels {sorted(unexpected)}, but the "
      f"objects are {objects}."
    )
  if len(masks) == 1:
    return [_similarities(*masks[0], radius)]
  return [_score_masks(p, g, radius) for p, g in masks]


def _score_masks(
  pred: np.ndarray, truth: np.ndarray, radius: int
) -> tuple[float, float]:
  box = _box(pred | truth)
  return _similarities(pred[box], truth[box], radius)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
  """Return a box with all non-zero pixels and their neighbours.

  Nothing outside of it changes a score, and most masks are small.
  """
  x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
  return slice(max(0, y - 1), y + h + 1), slice(max(0, x - 1), x + w + 1)


def _similarities(
  pred: np.ndarray, truth: np.ndarray, radius: int
) -> tuple[float, float]:
  """Return (J, F) of two boolean masks, each as one large number.

  Pixel (y, x) is bit y * stride + x. Rows end with at least `radius` zeros, so
  that a shift within a row does not reach the next one. On 480p masks this is
  five times faster than arrays: Python shifts and counts whole masks at once.
  """
  h, w = pred.shape
  stride = -(-(w + max(1, radius)) // 8) * 8
  row = ((1 << w) - 1).to_bytes(stride // 8, "little")
  inside = int.from_bytes(row * h, "little")
  p, g = _to_bits(pred, stride), _to_bits(truth, stride)
  union = ((p | g) & inside).bit_count()
  region = ((p & g) & inside).bit_count() / union if union else 1.0
  p, g = (_boundary(mask, stride) & inside for mask in (p, g))
  num_pred, num_truth = p.bit_count(), g.bit_count()
  if num_pred == 0 or num_truth == 0:
    # If one boundary is empty, the toolkit sets P = 1, R = 0 (or the reverse),
    # so F = 0.
    return region, float(num_pred == num_truth)
  near_pred, near_truth = (_dilate(mask, stride, radius) for mask in (p, g))
  precision = (p & near_truth).bit_count() / num_pred
  recall = (g & near_pred).bit_count() / num_truth
  if precision + recall == 0:
    return region, 0.0
  return region, 2 * precision * recall / (precision + recall)


def _to_bits(mask: np.ndarray, stride: int) -> int:
  """Return a mask as one number, with its last row and column repeated once.

  So the lower and the right edge of the image are no boundary.
  """
  h, w = mask.shape
  padded = np.zeros((h + 1, stride), np.uint8)
  padded[:h, :w] = mask
  padded[:h, w] = mask[:, -1]
  padded[h] = padded[h - 1]
  packed = np.packbits(padded, bitorder="little")
  return int.from_bytes(packed.tobytes(), "little")


def _boundary(mask: int, stride: int) -> int:
  """Return the pixels that differ from a right, lower or lower right one.

  So the line lies half a pixel up and left of the true edge.
  """
  shifts = (1, stride, stride + 1)
  right, lower, diagonal = (mask ^ mask >> shift for shift in shifts)
  return right | lower | diagonal


def _dilate(mask: int, stride: int, radius: int) -> int:
  """Dilate a mask with the disk x^2 + y^2 <= radius^2."""
  halves = [math.isqrt(radius * radius - y * y) for y in range(radius + 1)]
  # Runs to the right of each pixel, of the length of each row of the disk.
  runs, run, length = {}, mask, 1
  for half in sorted(set(halves)):
    while length < 2 * half + 1:
      step = min(length, 2 * half + 1 - length)
      run |= run << step
      length += step
    runs[half] = run
  # Shifts to the left only, because these are the faster ones; the last line
  # moves the result back.
  out = 0
  for y in range(-radius, radius + 1):
    half = halves[abs(y)]
    out |= runs[half] << (radius + y) * stride + radius - half
  return out >> radius * stride + radius


def _radius(tolerance: float | int, shape: tuple[int, ...]) -> int:
  """Return the tolerance in pixels; see `boundary_accuracy`."""
  if tolerance < 1:
    tolerance = math.ceil(tolerance * math.hypot(*shape[-2:]))
  return int(tolerance)


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
