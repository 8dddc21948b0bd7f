"""Random deformation of masks: stretched strips, threshold and noise.

The mask of a driving frame also shows the shape of its person. A deformed mask
keeps the pose and hides the shape, so that a network must redraw the shape from
the source (Shalev and Wolf, CVPR 2022; the authors' code).
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

_WHITE = 255.0
_PIVOTS = 5  # cuts per axis
# Range of the cuts, as shares of the side: 15..45 of 64 pixels.
_FIRST, _LAST = 15 / 64, 45 / 64
_SCALES = (0.75, 1.25)
_RATE = 20.0  # of the Poisson noise, on the scale of 0 to 255
_LARGEST = 64  # the noise is larger with a probability below 1e-14
# The default of accelerators rounds to bfloat16 or TF32.
_PRECISION = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class Draw:
  """The random numbers of one axis, by sample.

  Attributes:
    cuts: [b, 5] increasing first pixels of all strips but the first one.
    scales: [b, 6] size factors of the strips.
    whole: [b] size factors of the whole axis.
  """

  cuts: jax.Array
  scales: jax.Array
  whole: jax.Array


@dataclasses.dataclass(frozen=True)
class Deformation:
  """The deformation of masks in training.

  In the original order: strips stretched along x; the whole mask along y;
  strips along y; the whole mask along x; the threshold; noise. The operations
  of one axis commute with those of the other, so two matrix products per axis
  do it all, and both matrices of an axis are one.

  Attributes:
    threshold: values of 0 to 255 up to this one become 0.
    noisy: whether noise is added.
  """

  threshold: float
  noisy: bool = True

  def __call__(
    self, key: PRNGKeyArray, mask: Float[Array, "b n n 1"]
  ) -> Float[Array, "b n n 1"]:
    """Return deformed masks in [0, 1], without gradients.

    Args:
      key: random key.
      mask: square masks in [0, 1] with sides of 8 pixels or more.
    """
    key_x, key_y, key_noise = jax.random.split(key, 3)
    count, side = mask.shape[:2]
    columns, rows = draw(key_x, count, side), draw(key_y, count, side)
    # The original stores masks as uint8: it truncates here, and rounds when it
    # stretches. So a level equal to the threshold stays equal.
    level = jnp.floor(jax.lax.stop_gradient(mask) * _WHITE)
    level = jnp.round(stretch(level, rows, columns))
    level = jnp.where(level > self.threshold, level, 0.0)
    if self.noisy:
      level = level + noise(key_noise, level.shape)
    return jnp.clip(level, 0.0, _WHITE) / _WHITE


def draw(key: PRNGKeyArray, count: int, side: int) -> Draw:
  """Draw the numbers of one axis for `count` masks.

  The original draws one set of cuts for a whole batch.

  Raises:
    ValueError: if the side is too small for different cuts.
  """
  first, last = round(_FIRST * side), round(_LAST * side)
  if last - first + 1 < _PIVOTS:
    raise ValueError(f"masks of {side} pixels are too small for {_PIVOTS} cuts")
  key_cuts, key_scales = jax.random.split(key)
  order = jax.random.uniform(key_cuts, (count, last - first + 1))
  cuts = first + jnp.sort(jnp.argsort(order, axis=1)[:, :_PIVOTS], axis=1)
  low, high = _SCALES
  scales = jax.random.uniform(
    key_scales, (count, _PIVOTS + 2), minval=low, maxval=high
  )
  return Draw(cuts, scales[:, :-1], scales[:, -1])


def stretch(
  image: Float[Array, "b n n 1"], rows: Draw, columns: Draw
) -> Float[Array, "b n n 1"]:
  """Return `(S_y G_y) image (G_x S_x)^T`, S by strips, G the whole axis."""
  side = image.shape[1]
  product = functools.partial(jnp.einsum, precision=_PRECISION)
  along_y = product(
    "bij,bjk->bik", _strips(rows, side), _whole(rows.whole, side)
  )
  along_x = product(
    "bij,bjk->bik", _whole(columns.whole, side), _strips(columns, side)
  )
  x = product("bij,bjxc->bixc", along_y, image)
  return product("bij,byjc->byic", along_x, x)


def scale_and_cut(
  mask: Float[Array, "b n n 1"], *, threshold: float, scale: float
) -> Float[Array, "b n n 1"]:
  """Return the milder deformation of predictions, in [0, 1].

  The published code scales by 0.75; the published pictures fit 1.0.

  Args:
    mask: masks in [0, 1].
    threshold: values of 0 to 255 up to this one become 0.
    scale: size factor about the centre.
  """
  level = mask * _WHITE
  level = jnp.floor(jnp.where(level > threshold, level, 0.0))
  if scale != 1.0:
    factor = jnp.full(mask.shape[0], scale, jnp.float32)
    matrix = _whole(factor, mask.shape[1])
    level = jnp.einsum("bij,bjxc->bixc", matrix, level, precision=_PRECISION)
    level = jnp.einsum("bij,byjc->byic", matrix, level, precision=_PRECISION)
  return level / _WHITE


def noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
  """Draw Poisson noise of rate 20 with random signs.

  A table of the distribution replaces `jax.random.poisson`, which runs a loop.
  """
  drawn = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  size = jnp.searchsorted(
    _poisson_table(), jnp.abs(drawn), side="right", method="scan_unrolled"
  )
  return jnp.sign(drawn) * size.astype(jnp.float32)


@functools.cache
def _poisson_table() -> np.ndarray:
  """Return P(n <= 0), P(n <= 1), ..."""
  terms = [
    math.exp(n * math.log(_RATE) - _RATE - math.lgamma(n + 1))
    for n in range(_LARGEST)
  ]
  return np.cumsum(terms).astype(np.float32)


def _strips(draw: Draw, side: int) -> Float[Array, "b n n"]:
  """Return matrices that stretch each strip about its own centre."""
  place = jnp.arange(side)
  strip = (place[None, :, None] >= draw.cuts[:, None]).sum(-1)
  ends = jnp.pad(draw.cuts, ((0, 0), (1, 0)))
  ends = jnp.pad(ends, ((0, 0), (0, 1)), constant_values=side)
  pick = lambda values: jnp.take_along_axis(values, strip, axis=1)
  centre = (pick(ends[:, :-1]) + pick(ends[:, 1:]) - 1) / 2.0
  weights = _weights(centre, pick(draw.scales), side)
  inside = strip[:, :, None] == strip[:, None]
  return jnp.where(inside, weights, 0.0)


def _whole(scale: Float[Array, " b"], side: int) -> Float[Array, "b n n"]:
  """Return matrices that stretch a whole axis about its centre."""
  centre = jnp.full((scale.shape[0], side), (side - 1) / 2.0)
  spread = jnp.broadcast_to(scale[:, None], centre.shape)
  return _weights(centre, spread, side)


def _weights(
  centre: Float[Array, "b n"], scale: Float[Array, "b n"], side: int
) -> Float[Array, "b n n"]:
  """Return weights of linear interpolation at `c + (j - c) / scale`."""
  place = jnp.arange(side, dtype=jnp.float32)
  source = centre + (place[None] - centre) / scale
  distance = jnp.abs(source[:, :, None] - place[None, None])
  return jnp.maximum(1.0 - distance, 0.0)
