"""Label maps of moving shapes, and the DAVIS scores of wrong predictions.

All shapes are made of integers, so they are equal on every processor.
"""

import pathlib

import numpy as np

from foregan_jax.metrics import davis

PATH = pathlib.Path(__file__).with_name("davis.json")
# Heights and widths; the tolerances of the boundary are 1, 2 and 4 pixels.
SIZES = ((48, 85), (120, 213), (240, 427))
_NUM_FRAMES = 7
_NUM_OBJECTS = 2


def scores(size: tuple[int, int]) -> list[dict[str, list[float]]]:
  """Return J, F and their statistics of each object."""
  frames = [_frame(size, t) for t in range(_NUM_FRAMES)]
  truth, pred, void = (np.stack(x) for x in zip(*frames, strict=True))
  result = []
  for i in range(1, _NUM_OBJECTS + 1):
    j = davis.region_similarity(pred == i, truth == i, void)
    f = davis.boundary_accuracy(pred == i, truth == i, void)
    result.append(
      {
        "J": j.tolist(),
        "F": f.tolist(),
        "J_stat": list(davis.statistics(j)),
        "F_stat": list(davis.statistics(f)),
      }
    )
  return result


def _frame(size: tuple[int, int], t: int):
  """Return labels, wrong labels whose error grows with t, and void pixels."""
  h, w = size
  y, x = np.mgrid[:h, :w]
  labels = _draw(y, x, size, t)
  wrong = _draw(y - t * h // 100, x + t * w // 60, size, t)
  # Scattered errors of single pixels, and holes.
  wrong[(7 * y + 11 * x) % 97 == t] = 1
  wrong[(13 * y + 5 * x) % 101 == t] = 0
  void = (y < h // 8) & (x > w // 2)
  return labels, wrong, void


def _draw(y, x, size: tuple[int, int], t: int) -> np.ndarray:
  """Return an ellipse with a notch (1) behind a slanted bar (2)."""
  h, w = size
  dy, dx = y - h // 2, x - w // 3 - t * w // 40
  labels = np.zeros(y.shape, np.uint8)
  labels[(6 * dy) ** 2 + (3 * dx) ** 2 < h**2 * 2] = 1
  labels[(abs(dy) < h // 12) & (dx > 0)] = 0
  labels[abs(3 * y + x - w + t * w // 30) < h // 3] = 2
  return labels
