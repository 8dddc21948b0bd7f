"""Distances between two sets of features: FID and KID.

The Fréchet distance of Heusel et al. (NeurIPS 2017) and the kernel distance of
Binkowski et al. (ICLR 2018). Published values use the features of
`nets.inception`.
"""

import numpy as np
import scipy.linalg
from jaxtyping import Float

Features = Float[np.ndarray, "_ _"]


def fid(a: Features, b: Features) -> float:
  """Return the squared Fréchet distance of the two sets' Gaussians.

  `|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, in float64, with the
  unbiased covariances. The estimate is biased: fewer rows give larger values,
  so compare only distances of sets of the same size.

  Args:
    a: [n, d], n at least 2; n may be less than d.
    b: [m, d], m at least 2.

  Returns:
    A value >= 0, up to rounding; 0 for equal sets.

  Raises:
    ValueError: a set has fewer than 2 rows or a value that is not finite, or
      the widths differ.
  """
  a, b = _checked(a, b)
  shift = a.mean(axis=0) - b.mean(axis=0)
  cov_a, cov_b = _covariance(a), _covariance(b)
  traces = np.trace(cov_a) + np.trace(cov_b)
  return float(shift @ shift + traces - 2 * _trace_of_root(cov_a, cov_b))


def kid(
  a: Features,
  b: Features,
  *,
  subsets: int = 100,
  size: int = 1000,
  seed: int = 0,
) -> tuple[float, float]:
  """Return mean and deviation of the kernel distance of random subsets.

  The distance of two subsets is the unbiased squared MMD with the kernel
  `(x.y / d + 1)^3`. Each subset has `size` rows, drawn without replacement.

  Args:
    a: [n, d], n at least 2.
    b: [m, d], m at least 2.
    subsets: number of pairs of subsets, at least 1.
    size: rows of a subset, at least 2; at most the rows of the smaller set are
      used.
    seed: of the draws.

  Returns:
    The mean, and the standard deviation over the pairs. The mean is unbiased,
    so it can be slightly negative for similar sets.

  Raises:
    ValueError: as `fid`, or `subsets` or `size` is too small.
  """
  a, b = _checked(a, b)
  if subsets < 1 or size < 2:
    raise ValueError(
      f"{subsets} subsets of {size} rows; expected at least 1 of at least 2"
    )
  size = min(size, len(a), len(b))
  rng = np.random.default_rng(seed)
  draw = lambda x: x[rng.choice(len(x), size, replace=False)]
  distances = [_mmd2(draw(a), draw(b)) for _ in range(subsets)]
  return float(np.mean(distances)), float(np.std(distances))


def _checked(a: Features, b: Features) -> tuple[np.ndarray, np.ndarray]:
  """Check both sets and return them as float64."""
  for x in (a, b):
    if len(x) < 2:
      raise ValueError(f"a set has {len(x)} rows; expected at least 2")
  if a.shape[1] != b.shape[1]:
    raise ValueError(
      f"the sets have {a.shape[1]} and {b.shape[1]} columns; expected features "
      "of the same network"
    )
  for x in (a, b):
    if count := int(np.count_nonzero(~np.isfinite(x))):
      raise ValueError(f"{count} of {x.size} features are not finite")
  return a.astype(np.float64), b.astype(np.float64)


def _covariance(x: np.ndarray) -> np.ndarray:
  centred = x - x.mean(axis=0)
  return centred.T @ centred / (len(x) - 1)


def _trace_of_root(cov_a: np.ndarray, cov_b: np.ndarray) -> float:
  """Return `tr (C_a C_b)^(1/2)`.

  With the symmetric root R of C_a, `C_a C_b` has the eigenvalues of the
  symmetric `R C_b R`, so there are no complex numbers. R uses the eigenvectors
  of C_a without those of eigenvalue 0: with few rows there are many of them,
  and the roots of their rounding errors add up.
  """
  values, vectors = scipy.linalg.eigh(cov_a)
  positive = values > len(values) * np.finfo(np.float64).eps * values[-1]
  root = vectors[:, positive] * np.sqrt(values[positive])
  if not root.size:
    return 0.0
  products = scipy.linalg.eigvalsh(root.T @ cov_b @ root)
  return float(np.sqrt(np.maximum(products, 0)).sum())


def _mmd2(a: np.ndarray, b: np.ndarray) -> float:
  """Return the unbiased squared MMD of two sets with equally many rows."""
  count = len(a)
  kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
  # The unbiased estimate leaves out the similarity of a row with itself.
  off_diagonal = lambda k: (k.sum() - np.trace(k)) / (count * (count - 1))
  within = off_diagonal(kernel(a, a)) + off_diagonal(kernel(b, b))
  return within - 2 * kernel(a, b).mean()
