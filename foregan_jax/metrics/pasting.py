"""How well an edited region of a picture fits into it.

Pictures are uint8 [h, w, 3]; results are levels, 0 to 255.
"""

import numpy as np
from jaxtyping import Bool, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Box = tuple[int, int, int, int]  # top, left, bottom, right; ends exclusive


def change(edited: Picture, source: Picture, where: Bool[np.ndarray, "h w"]):
  """Return the mean absolute change of the given pixels; 0 without any."""
  if not where.any():
    return 0.0
  return float(np.abs(_signed(edited) - _signed(source))[where].mean())


def drift(edited: Picture, source: Picture, where: Bool[np.ndarray, "h w"]):
  """Return how far the mean of the given pixels moves, a mean over channels.

  0 without any pixel.
  """
  if not where.any():
    return 0.0
  moved = (_signed(edited) - _signed(source))[where].mean(axis=0)
  return float(np.abs(moved).mean())


def edge(edited: Picture, source: Picture, box: Box) -> float:
  """Return how much the edges of a box show.

  It is the mean absolute difference of neighbours across the border of the box,
  minus that of the source. Sides on the border of the picture do not count.
  """
  return _jump(edited, box) - _jump(source, box)


def _jump(picture: Picture, box: Box) -> float:
  top, left, bottom, right = box
  x = _signed(picture)
  rows, columns = slice(top, bottom), slice(left, right)
  differences = [
    (x[line - 1, columns] - x[line, columns])
    for line in (top, bottom) if 0 < line < x.shape[0]
  ] + [
    (x[rows, line - 1] - x[rows, line])
    for line in (left, right) if 0 < line < x.shape[1]
  ]  # fmt: skip
  if not differences:
    return 0.0
  return float(np.abs(np.concatenate(differences)).mean())


def _signed(picture: Picture) -> np.ndarray:
  return picture.astype(np.float32)
