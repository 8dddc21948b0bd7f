"""How far apart two sets of features lie: FID and KID.

The Fréchet distance of Heusel et al. (NeurIPS 2017) and the kernel distance of
Binkowski et al. (ICLR 2018). Both take features: `nets.inception`
makes the features that give them their usual meaning.
"""

import numpy as np
import scipy.linalg
from jaxtyping import Float

Features = Float[np.ndarray, "_ _"]


def fid(a: Features, b: Features) -> float:
  """Return the squared Fréchet distance of the two sets' Gaussians.

  `|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, in float64, with the
  unbiased covariances. It is biased: fewer rows give larger values, so only
  sets of the same size compare.

  Args:
    a: [n, d], any n from 2 on, also fewer than d.
    b: [m, d].

  Returns:
    At least 0, up to rounding; 0 for equal sets.

  Raises:
    ValueError: if a set has fewer than 2 rows or a value that is not finite,
      or the widths differ.
  """
  a, b = _checked(a, b)
  shift = a.mean(axis=0) - b.mean(axis=0)
  cov_a, cov_b = _covariance(a), _covariance(b)
  both = np.trace(cov_a) + np.trace(cov_b)
  return float(shift @ shift + both - 2 * _trace_of_root(cov_a, cov_b))


def kid(
  a: Features,
  b: Features,
  *,
  subsets: int = 100,
  size: int = 1000,
  seed: int = 0,
) -> tuple[float, float]:
  """Return mean and deviation of the kernel distance of random subsets.

  Each is the unbiased squared MMD under `(x.y / d + 1)^3` of `size` rows of
  either set, drawn without replacement.

  Args:
    a: [n, d], n at least 2.
    b: [m, d], m at least 2.
    subsets: how many pairs of subsets, at least 1.
    size: rows of a subset, at least 2; the smaller set has the last word.
    seed: of the draws.

  Returns:
    The mean, unbiased and thus also slightly negative for sets that are
    alike, and the standard deviation over the pairs.

  Raises:
    ValueError: as `fid`, or if `subsets` or `size` is too small.
  """
  a, b = _checked(a, b)
  if subsets < 1 or size < 2:
    raise ValueError(
      f"{subsets} subsets of {size} rows; expected at least 1 of at least 2"
    )
  size = min(size, len(a), len(b))
  rng = np.random.default_rng(seed)
  draw = lambda x: x[rng.choice(len(x), size, replace=False)]
  found = [_mmd2(draw(a), draw(b)) for _ in range(subsets)]
  return float(np.mean(found)), float(np.std(found))


def _checked(a: Features, b: Features) -> tuple[np.ndarray, np.ndarray]:
  """Return both sets as float64."""
  for x in (a, b):
    if len(x) < 2:
      raise ValueError(f"a set has {len(x)} rows; expected at least 2")
  if a.shape[1] != b.shape[1]:
    raise ValueError(
      f"one set is {a.shape[1]} wide, the other {b.shape[1]}; expected "
      "features of one network"
    )
  for x in (a, b):
    if wrong := int(np.count_nonzero(~np.isfinite(x))):
      raise ValueError(f"{wrong} of {x.size} features are not finite")
  return a.astype(np.float64), b.astype(np.float64)


def _covariance(x: np.ndarray) -> np.ndarray:
  centred = x - x.mean(axis=0)
  return centred.T @ centred / (len(x) - 1)


def _trace_of_root(cov_a: np.ndarray, cov_b: np.ndarray) -> float:
  """Return `tr (C_a C_b)^(1/2)`.

  With the symmetric root R of C_a, `C_a C_b` has the eigenvalues of
  `R C_b R`, which is symmetric: no complex numbers. R is written in C_a's
  own axes, without those in which a has no extent; few rows leave many of
  them, and the root of their rounding errors would add up.
  """
  extent, axes = scipy.linalg.eigh(cov_a)
  seen = extent > len(extent) * np.finfo(np.float64).eps * extent[-1]
  root = axes[:, seen] * np.sqrt(extent[seen])
  if not root.size:
    return 0.0
  shared = scipy.linalg.eigvalsh(root.T @ cov_b @ root)
  return float(np.sqrt(np.maximum(shared, 0)).sum())


def _mmd2(a: np.ndarray, b: np.ndarray) -> float:
  """Return the unbiased squared MMD of two sets of as many rows."""
  count = len(a)
  kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
  # The similarity of a row with itself carries no information.
  others = lambda k: (k.sum() - np.trace(k)) / (count * (count - 1))
  return others(kernel(a, a)) + others(kernel(b, b)) - 2 * kernel(a, b).mean()
