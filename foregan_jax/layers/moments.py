"""Mask refinement by the moments of the object's colours (sum of squares).

The inverse moment matrix defines a polynomial in the colour. It is small at the
colours of the object and grows away from them (Pauwels and Lasserre 2016).
VOS-ForeGAN removes the mask pixels at which it is large.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EXACT = jax.lax.Precision.HIGHEST


def monomials(
  points: Float[Array, "*p d"], degree: int
) -> Float[Array, "*p s"]:
  """Return all `s = C(d + n, n)` monomials of degree at most n = `degree`.

  They are ordered by degree: 1, x1, x2, x1^2, x1 x2, x2^2 for two variables.
  """
  variables = range(points.shape[-1])
  terms: dict[tuple[int, ...], jax.Array] = {(): jnp.ones_like(points[..., 0])}
  for k in range(1, degree + 1):
    for index in itertools.combinations_with_replacement(variables, k):
      terms[index] = terms[index[:-1]] * points[..., index[-1]]
  return jnp.stack(list(terms.values()), axis=-1)


def fit(
  points: Float[Array, "p d"],
  weight: Float[Array, " p"],
  degree: int,
  ridge: float,
) -> Float[Array, "s s"]:
  """Return the inverse of the Cholesky factor of the weighted moment matrix.

  `M = sum_i w_i v(x_i) v(x_i)^T / sum_i w_i + ridge I = L L^T`; this is L^-1.
  """
  v = monomials(points, degree)
  moments = jnp.matmul((v * weight[:, None]).T, v, precision=_EXACT)
  # If all weights are 0, M is the ridge alone: every point is an outlier.
  moments = moments / jnp.maximum(weight.sum(), 1)
  return _inverse(_cholesky(moments + ridge * jnp.eye(v.shape[-1])))


def evaluate(
  factor: Float[Array, "s s"], points: Float[Array, "p d"], degree: int
) -> Float[Array, " p"]:
  """Return `Q(x) = v(x)^T M^-1 v(x) >= 0`, which is small for inliers.

  Args:
    factor: from `fit`, of the same degree.
    points: colours.
    degree: of the monomials.
  """
  v = monomials(points, degree)
  white = jnp.matmul(factor, v.T, precision=_EXACT)
  return jnp.square(white).sum(axis=0)


# Not LAPACK's: on CPUs, jaxlib 0.12 splits a batch of its calls over the
# threads that also run the programs. If every thread runs a program that waits
# for its part of such a batch, no thread is left to compute it.
def _cholesky(matrix: Float[Array, "s s"]) -> Float[Array, "s s"]:
  """Return the lower triangular L with `L L^T = matrix`, which is positive."""
  rows = jnp.arange(len(matrix))

  def add_column(j, factor):
    rest = matrix[:, j] - jnp.matmul(factor, factor[j], precision=_EXACT)
    column = jnp.where(rows >= j, rest * jax.lax.rsqrt(rest[j]), 0.0)
    return factor.at[:, j].set(column)

  return jax.lax.fori_loop(0, len(rows), add_column, jnp.zeros_like(matrix))


def _inverse(factor: Float[Array, "s s"]) -> Float[Array, "s s"]:
  """Return the inverse of a lower triangular matrix."""
  identity = jnp.eye(len(factor), dtype=factor.dtype)

  def add_row(i, inverse):
    rest = identity[i] - jnp.matmul(factor[i], inverse, precision=_EXACT)
    return inverse.at[i].set(rest / factor[i, i])

  return jax.lax.fori_loop(0, len(factor), add_row, jnp.zeros_like(factor))


@dataclasses.dataclass(frozen=True)
class Refinement:
  """A filter that removes mask pixels with colours the object does not have.

  Attributes:
    degree: degree of the polynomial Q; VOS-ForeGAN: 3 (20 monomials).
    ridge: number added to the diagonal of the moment matrix; VOS-ForeGAN: 1e-4.
    tau: upper bound of Q for the object's colours; VOS-ForeGAN: 10, which is
      strict, because the mean of Q over the object itself is just below 20.
    low_threshold: lower bound of the mask for pixels that may be kept;
      VOS-ForeGAN: 25/254 and 50/254.
  """

  degree: int
  ridge: float
  tau: float
  low_threshold: float

  def fit(
    self, frame: Float[Array, "b h w 3"], mask: Float[Array, "b h w 1"]
  ) -> Float[Array, "b s s"]:
    """Fit the moments of the object's colours, where the mask is positive.

    Args:
      frame: first frames in [-1, 1].
      mask: masks of these frames in [0, 1].

    Returns:
      One inverse factor per sample, for `refine`.
    """
    one = lambda colours, weight: fit(
      colours.reshape(-1, 3), weight.reshape(-1), self.degree, self.ridge
    )
    return jax.vmap(one)(frame, (mask > 0).astype(frame.dtype))

  def refine(
    self,
    factor: Float[Array, "b s s"],
    frames: Float[Array, "b t h w 3"],
    mask: Float[Array, "b t h w 1"],
  ) -> Float[Array, "b t h w 1"]:
    """Return 1 where `mask > low_threshold` and `Q(frame) < tau`, else 0.

    It only removes pixels from the mask cut at the low threshold.
    """

    def quality(factor, frames):
      # Frame by frame, because the monomials of a whole video need too much
      # memory.
      return jax.lax.map(
        lambda frame: evaluate(factor, frame.reshape(-1, 3), self.degree),
        frames,
      )

    inlier = jax.vmap(quality)(factor, frames).reshape(mask.shape) < self.tau
    return ((mask > self.low_threshold) & inlier).astype(mask.dtype)
