"""The filter of faces by the size of their parts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, Num

# A part of at most this many pixels in a square of this side is too small.
# Source: fer_preprocess_seg.py of MarcisTU/thesis_work. Both also set the
# smallest size of a separate piece of the mouth.
THRESHOLD = 200
SIDE = 256


def filter_parts(
  parts: Num[np.ndarray, "*b h w c"],
  names: Sequence[str],
  required: Sequence[str],
  threshold: float | int = THRESHOLD,
) -> tuple[Bool[np.ndarray, "*b"], Int[np.ndarray, "*b c"]]:
  """Return which faces show all required parts, and the sizes of all parts.

  A closed mouth has no inner mouth, so a filter seldom requires `mouth`.

  Args:
    parts: masks of the parts: coverage 0..255, or soft masks in [0, 1] if they
      are floating-point.
    names: the name of each channel.
    required: the names of the parts that must be visible.
    threshold: a part is visible if more pixels than this are covered by more
      than half, per 256 x 256 pixels.

  Returns:
    Which faces to keep, and the number of such pixels of each part.

  Raises:
    ValueError: if a required part has no channel.
  """
  missing = [name for name in required if name not in names]
  if missing:
    raise ValueError(
      f"no mask of {', '.join(missing)}, expected some of {', '.join(names)}"
    )
  whole = np.issubdtype(parts.dtype, np.integer)
  counts = (parts > (255 / 2 if whole else 0.5)).sum((-3, -2))
  smallest = least_pixels(threshold, parts.shape[-3:-1])
  columns = [list(names).index(name) for name in required]
  return np.asarray((counts[..., columns] > smallest).all(-1)), counts


def least_pixels(threshold: float | int, size: tuple[int, int]) -> float:
  """Scale a number of pixels of a 256 x 256 picture to `size` = (h, w)."""
  return threshold * size[0] * size[1] / SIDE**2
