"""Time of J and F beside the official toolkit's steps.

`python -m foregan_jax.bench --scores` prints the ratio.
"""

import time

import numpy as np

from foregan_jax.metrics import davis, toolkit

_SIZE = (480, 854)  # DAVIS at 480p
_FRAMES = 40
_REPEATS = 5


def measure() -> dict[str, float]:
  """Measure one object in 480p frames, on one core.

  Returns:
    `toolkit_ms` and `ours_ms` per frame, the smallest of several times;
    `ratio` of the two; `difference`, the largest one between their values.
  """
  pred, truth = make_masks(_FRAMES, _SIZE)
  frames = range(1, _FRAMES - 1)

  def plain():
    pairs = [(pred[t] > 0, truth[t] > 0) for t in frames]
    return [
      (toolkit.region_similarity(*p), toolkit.boundary_accuracy(*p))
      for p in pairs
    ]

  def ours():
    scores = davis.score_sequence(pred, truth, objects=[1])[1]
    return list(zip(scores["J"], scores["F"], strict=True))

  difference = np.abs(np.array(plain()) - np.array(ours())).max()
  times = {"toolkit": _seconds(plain), "ours": _seconds(ours)}
  return {
    **{f"{name}_ms": 1e3 * t / len(frames) for name, t in times.items()},
    "ratio": times["toolkit"] / times["ours"],
    "difference": float(difference),
  }


def show(result: dict[str, float]) -> None:
  """Print the result of `measure`."""
  h, w = _SIZE
  print(
    f"J and F of one object at {w}x{h}: {result['ours_ms']:.2f} ms per frame; "
    f"the toolkit's steps: {result['toolkit_ms']:.2f} ms; "
    f"{result['ratio']:.1f} times faster; "
    f"largest difference {result['difference']:.0e}"
  )


def make_masks(
  count: int, size: tuple[int, int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
  """Return predictions and ground truth: a blob that moves and swells.

  It covers 2 to 15 % of the image, as most objects of DAVIS do.

  Args:
    count: number of frames.
    size: (h, w) of the label maps, uint8, 0 or 1.
  """
  rng = np.random.default_rng(0)
  y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)

  def blob(centre, radii, lobes):
    dy, dx = (y - centre[0]) / radii[0], (x - centre[1]) / radii[1]
    edge = 1 + 0.2 * np.sin(lobes * np.arctan2(dy, dx))
    return (np.hypot(dy, dx) < edge).astype(np.uint8)

  pred, truth = [], []
  for _ in range(count):
    centre = rng.uniform(0.3, 0.7, 2) * size
    radii = rng.uniform(0.08, 0.25, 2) * size[0]
    truth.append(blob(centre, radii, 5))
    pred.append(blob(centre + rng.uniform(-6, 6, 2), 1.03 * radii, 6))
  return pred, truth


def _seconds(function) -> float:
  times = []
  for _ in range(_REPEATS):
    start = time.perf_counter()
    function()
    times.append(time.perf_counter() - start)
  return min(times)
