"""Errors of generated images, and tables of them.

L1, PSNR and SSIM of images in [0, 1], and the perceptual loss of the run. AKD
and AED of the literature need detectors of keypoints and of identities, which
are networks of other projects; they are absent.
"""

from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax import game
from foregan_jax.metrics import image_quality

METRICS = ("l1", "psnr", "ssim", "perceptual")
BATCH = 8  # images per call: one compiled program for any number
_WHITE = 255.0
_ABSENT = "AKD and AED are absent: they need detectors of other projects"

# Values [t] of each image, by name and metric.
Scores = Mapping[str, Mapping[str, np.ndarray]]
Table = dict[str, dict[str, float]]


def batches(count: int) -> Iterator[slice]:
  """Yield slices of at most `BATCH` images."""
  for start in range(0, count, BATCH):
    yield slice(start, min(start + BATCH, count))


def fill(x: np.ndarray) -> np.ndarray:
  """Repeat images up to `BATCH` of them."""
  return np.resize(x, (BATCH, *x.shape[1:]))


class Scorer:
  """Scores images, compiled once."""

  def __init__(self, system):
    """Prepare the program.

    Args:
      system: a `tasks.AnimationSystem`.
    """
    self._compare = jax.jit(system.compare)

  def __call__(
    self,
    nets: game.Nets,
    made: Mapping[str, np.ndarray],
    truth: np.ndarray,
  ) -> dict[str, dict[str, np.ndarray]]:
    """Return every metric [t] of images, by their name.

    Args:
      nets: all nets.
      made: [t, s, s, 3], uint8, or float32 in [0, 1], by name.
      truth: uint8 [t, s, s, 3].
    """
    target = _to_float(truth)
    return {
      name: self._score(nets, _to_float(images), target)
      for name, images in made.items()
    }

  def _score(self, nets, images, truth) -> dict[str, np.ndarray]:
    scores = {"l1": np.abs(images - truth).mean((1, 2, 3))}
    for name, metric in image_quality.METRICS.items():
      scores[name] = metric(images, truth)
    parts = []
    for part in batches(len(images)):
      filled = jnp.asarray(fill(images[part])), jnp.asarray(fill(truth[part]))
      value = np.asarray(self._compare(nets, *filled))
      parts.append(value[: part.stop - part.start])
    scores["perceptual"] = np.concatenate(parts)
    return scores


def mean(several: Sequence[Scores]) -> Table:
  """Return the means over all images, as published: long videos weigh more."""
  return {
    name: {
      metric: float(np.concatenate([s[name][metric] for s in several]).mean())
      for metric in METRICS
    }
    for name in (several[0] if several else ())
  }


def lines(first: str, table: Table) -> Iterator[str]:
  """Yield a table as text; `first` is the name of the first column."""
  yield f"{first:16s}" + "".join(f"{metric:>12s}" for metric in METRICS)
  for name, row in table.items():
    yield f"{name:16s}" + "".join(f"{row[metric]:12.4f}" for metric in METRICS)


def footnote(kind: str) -> str:
  """Return what the metrics are; `kind` is that of the perceptual features."""
  return (
    "l1, ssim: of images in [0, 1]; psnr: in dB; perceptual: with "
    f"{kind} features, other features give other values. {_ABSENT}."
  )


def _to_float(images: np.ndarray) -> np.ndarray:
  """Return float32 in [0, 1]."""
  images = np.asarray(images)
  if images.dtype == np.uint8:
    return images.astype(np.float32) / np.float32(_WHITE)
  return images.astype(np.float32)
