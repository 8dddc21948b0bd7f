import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from foregan_jax.metrics import frechet


def _features(seed, rows=200, width=6):
  """Return correlated, well-conditioned features."""
  rng = np.random.default_rng(seed)
  mix = np.eye(width) + 0.3 * rng.normal(size=(width, width))
  return rng.normal(size=(rows, width)) @ mix + rng.normal(size=width)


def _whitened(seed, rows=50, width=3):
  """Return features of exactly zero mean and unit covariance."""
  x = np.random.default_rng(seed).normal(size=(rows, width))
  x = np.linalg.qr(x - x.mean(axis=0))[0]
  return x * np.sqrt(rows - 1)


def test_fid_of_equal_sets_is_zero():
  a = _features(0)
  scale = np.trace(np.cov(a.T))
  assert abs(frechet.fid(a, a)) < 1e-12 * scale
  # The order of the rows does not matter.
  assert abs(frechet.fid(a, a[::-1])) < 1e-12 * scale


def test_fid_of_a_shift_is_its_squared_norm():
  a, shift = _features(0), np.array([3.0, 0, -1, 0, 0.5, 2])
  assert frechet.fid(a, a + shift) == pytest.approx(shift @ shift, rel=1e-12)


def test_fid_of_diagonal_gaussians():
  a = _whitened(0) * [1, 2, 3] + [0, 0, 1]
  b = _whitened(1) * [4, 2, 1] + [2, 0, 0]
  # Distance of the means, then of the deviations: sum (s_a - s_b)^2.
  expected = (2**2 + 1**2) + (3**2 + 0 + 2**2)
  assert frechet.fid(a, b) == pytest.approx(expected, rel=1e-12)
  assert frechet.fid(b, a) == pytest.approx(expected, rel=1e-12)


def test_distances_are_invariant_to_rotation():
  a, b = _features(0), _features(1)
  rotation = scipy.stats.special_ortho_group.rvs(6, random_state=0)
  before, after = frechet.fid(a, b), frechet.fid(a @ rotation, b @ rotation)
  assert before == pytest.approx(after, rel=1e-11)
  before, after = frechet.kid(a, b), frechet.kid(a @ rotation, b @ rotation)
  assert before == pytest.approx(after, rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fid_equals_that_of_a_general_matrix_root(dtype):
  a, b = _features(0).astype(dtype), _features(1).astype(dtype)
  wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
  shift = wide_a.mean(0) - wide_b.mean(0)
  cov_a, cov_b = np.cov(wide_a.T), np.cov(wide_b.T)
  root = scipy.linalg.sqrtm(cov_a @ cov_b)
  expected = shift @ shift + np.trace(cov_a + cov_b - 2 * root.real)
  assert expected > 1
  assert frechet.fid(a, b) == pytest.approx(expected, rel=1e-10)


def test_fid_is_exact_with_fewer_rows_than_columns():
  a, b = _features(0, 12, 40), _features(1, 12, 40)
  scale = np.trace(np.cov(a.T))
  assert abs(frechet.fid(a, a)) < 1e-7 * scale
  # The trace of the root is the nuclear norm of the product of both sets.
  centre = lambda x: (x - x.mean(0)) / np.sqrt(len(x) - 1)
  shift = a.mean(0) - b.mean(0)
  traces = np.trace(np.cov(a.T)) + np.trace(np.cov(b.T))
  nuclear = np.linalg.norm(centre(a) @ centre(b).T, "nuc")
  expected = shift @ shift + traces - 2 * nuclear
  assert frechet.fid(a, b) == pytest.approx(expected, rel=1e-8)


def test_fid_of_constant_features():
  a = np.ones((4, 3))
  assert frechet.fid(a, 3 * a) == 12
  spread = _whitened(0)
  assert frechet.fid(a, spread) == pytest.approx(3 + 3)
  assert frechet.fid(spread, a) == pytest.approx(3 + 3)


def _kid_by_loops(a, b):
  kernel = lambda x, y: (np.dot(x, y) / len(x) + 1) ** 3
  n, m = len(a), len(b)
  own = lambda x: np.mean(
    [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j]
  )
  cross = sum(kernel(p, q) for p in a for q in b) / (n * m)
  return own(a) + own(b) - 2 * cross


def test_kid_equals_a_double_loop():
  a, b = _features(0, 5, 3), _features(1, 5, 3)
  mean, deviation = frechet.kid(a, b, subsets=3)
  # A set of five rows has one subset of five rows.
  assert mean == pytest.approx(_kid_by_loops(a, b), rel=1e-12)
  assert deviation < 1e-12 * mean


def test_kid_subsets_are_at_most_as_large_as_the_smaller_set():
  a, b = _features(0, 2, 3), _features(1, 4, 3)
  mean, _ = frechet.kid(a, b, subsets=200)
  pairs = [b[[i, j]] for i in range(4) for j in range(i)]
  possible = [_kid_by_loops(a, pair) for pair in pairs]
  assert min(possible) < mean < max(possible)
  assert mean == pytest.approx(np.mean(possible), rel=0.2)


def test_kid_of_one_distribution_is_near_zero():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(2, 600, 8))
  mean, deviation = frechet.kid(a, b, subsets=40, size=200)
  assert deviation > 0
  assert abs(mean) < 0.05
  far, _ = frechet.kid(a, b + 1, subsets=40, size=200)
  assert far > 5


def test_kid_is_reproducible():
  a, b = _features(0, 40), _features(1, 40)
  draw = lambda seed: frechet.kid(a, b, subsets=3, size=10, seed=seed)
  assert draw(1) == draw(1)
  assert draw(1) != draw(2)


@pytest.mark.parametrize("score", [frechet.fid, frechet.kid])
@pytest.mark.parametrize(
  "a, b, message",
  [
    (np.ones((1, 3)), np.ones((4, 3)), "1 rows; expected at least 2"),
    (np.ones((4, 3)), np.ones((0, 3)), "0 rows; expected at least 2"),
    (np.ones((4, 3)), np.ones((4, 2)), "3 and 2 columns"),
    (np.ones((4, 3)), np.full((4, 3), np.inf), "12 of 12 features are not"),
    (np.full((2, 3), np.nan), np.ones((4, 3)), "6 of 6 features are not"),
  ],
)
def test_wrong_features_are_refused(score, a, b, message):
  with pytest.raises(ValueError, match=message):
    score(a, b)


@pytest.mark.parametrize("wrong", [{"subsets": 0}, {"size": 1}])
def test_kid_refuses_too_few_subsets_or_rows(wrong):
  with pytest.raises(ValueError, match="expected at least 1 of at least 2"):
    frechet.kid(_features(0), _features(1), **wrong)
