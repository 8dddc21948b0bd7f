"""J of soft masks, cut at the thresholds of VOS-ForeGAN's last validation.

It is not known which threshold the thesis reports; its code has several, from
25 to 210 of 254. The best one in a table is chosen on the data of that table,
so its J is too high; J at 1/2 is not.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foregan_jax.evaluators import label_maps
from foregan_jax.media import images
from foregan_jax.metrics import davis

_LEVELS = 254
# Of 254; a pixel belongs to the object if its level is larger.
LEVELS = (
  1, 5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105, 115, 128, 138, 180, 190, 200,
  210,
)  # fmt: skip

# Mean J by head, video and level.
Sweep = Mapping[str, Mapping[str, Mapping[str, float]]]


def measure(sequence: Mapping[str, Any], soft: np.ndarray) -> dict[str, float]:
  """Return the mean J of all objects of a video at each of `LEVELS`.

  Args:
    sequence: from `data.davis.Davis.sequence`.
    soft: masks of frames 1, 2, ..., [T-1, h, w, n] in [0, 1].
  """
  truth = sequence["labels"]
  scores: dict[str, list[float]] = {str(level): [] for level in LEVELS}
  for t in davis.scored_frames(len(truth)):
    if truth[t] is None:
      continue
    masks = label_maps.enlarge(soft[t - 1], sequence["native_size"])
    true = np.where(truth[t] == images.VOID, 0, truth[t])
    for level in LEVELS:
      labels = label_maps.cut(masks, (level + 0.5) / _LEVELS)
      scores[str(level)] += [
        float(davis.region_similarity(labels == k, true == k))
        for k in range(1, 1 + soft.shape[-1])
      ]
  return {level: float(np.mean(each)) for level, each in scores.items()}


def show(sweep: Sweep) -> None:
  """Print J by threshold and head, over videos; nothing without a sweep."""
  if not sweep:
    return
  mean = {
    head: {
      level: float(np.mean([by[level] for by in videos.values()]))
      for level in map(str, LEVELS)
    }
    for head, videos in sweep.items()
  }
  width = max(map(len, mean))
  print("J by threshold, of 254 (mean over videos):")
  print(" " * width, *(f"{level:>4}" for level in LEVELS))
  for head, by in mean.items():
    cells = (f"{by[str(level)]:.2f}".replace("0.", ".") for level in LEVELS)
    print(head.ljust(width), *(f"{cell:>4}" for cell in cells))
  for head, by in mean.items():
    best = max(by, key=by.__getitem__)
    print(f"{head}: {by[best]:.3f} at {best}, chosen on these videos")
