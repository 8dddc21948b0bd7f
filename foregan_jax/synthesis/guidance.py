"""Simulation of the predicted mask of the previous frame."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax.layers import warp
from foregan_jax.synthesis import trajectories

_MIN_SIGMA = 1e-3  # pixels; a blur this narrow changes nothing


@dataclasses.dataclass(frozen=True)
class Deformation:
  """A random deformation of a true mask into a plausible prediction.

  Rotation, scale and shear are about the object's centroid, because a shear
  about the origin of the image would displace the object too. RGMP also deforms
  its masks.

  Attributes:
    degrees: half-width of the rotation.
    scale: bounds of the size factor.
    shear: half-width of the slope.
    shift: half-width of the shift, as a share of the object's box.
    soft: probability that the mask is blurred.
    softness: maximum standard deviation of the blur, as a share of the shorter
      side of the image.
    empty: probability that the mask is all 0, as if the object were lost.
    misplaced: probability that the mask is moved away, as if another object
      were segmented.
    far: minimum distance of that move along both axes, as a share of the image;
      below 1/2.
  """

  degrees: float
  scale: tuple[float, float]
  shear: float
  shift: float
  soft: float
  softness: float
  empty: float
  misplaced: float
  far: float

  def __call__(
    self, key: PRNGKeyArray, masks: Float[Array, "b h w n"]
  ) -> Float[Array, "b h w n"]:
    """Return the deformed masks in [0, 1]; each has its own deformation."""
    b, h, w, n = masks.shape
    rows = jnp.moveaxis(masks, -1, 1).reshape(b * n, h, w, 1)
    deformed = self._deform(key, rows).reshape(b, n, h, w)
    return jnp.moveaxis(deformed, 1, -1)

  def _deform(
    self, key: PRNGKeyArray, mask: Float[Array, "b h w 1"]
  ) -> Float[Array, "b h w 1"]:
    b, h, w, _ = mask.shape
    # A single draw, because each draw adds compile time.
    drawn = jax.random.uniform(key, (b, 10))
    failure, blurred, width, offset = jnp.split(drawn[:, 5:], (1, 2, 3), 1)
    spread = trajectories.Spread(
      self.degrees, self.scale, self.shear, self.shift
    )
    pose = spread.from_unit(drawn[:, :5])
    centroid = trajectories.centroid(mask)
    near = centroid + pose[:, 3:] * trajectories.box(mask)[1]
    # The modulo wraps at the border: the result is neither near nor outside.
    frame = jnp.array([[w, h]], mask.dtype)
    offset = self.far + (1.0 - 2.0 * self.far) * offset
    misplaced = failure >= 1.0 - self.misplaced
    target = jnp.where(misplaced, (centroid + offset * frame) % frame, near)
    matrix = trajectories.linear_map(pose)
    theta = trajectories.affine_map(matrix, centroid, target)
    xy = trajectories.transform(
      trajectories.inverse(theta), warp.pixel_grid(h, w)[None]
    )
    moved = warp.sample(mask, xy, outside="zero")
    sigma = jnp.where(blurred < self.soft, width * self.softness * min(h, w), 0)
    lost = (failure < self.empty)[..., None, None]
    return jnp.where(lost, 0.0, _blur(moved, sigma[:, 0]))


def _blur(mask: jax.Array, sigma: jax.Array) -> jax.Array:
  """Blur each mask with its own Gaussian; `sigma` [b] in pixels."""
  vertical, horizontal = (_gaussian(n, sigma) for n in mask.shape[1:3])
  return jnp.einsum("bij,bjkc,blk->bilc", vertical, mask, horizontal)


def _gaussian(length: int, sigma: jax.Array) -> jax.Array:
  """Return matrices [b, n, n] that blur a line; their rows sum to 1."""
  x = jnp.arange(length, dtype=sigma.dtype)
  distance = (x[None, :, None] - x[None, None, :]) / jnp.maximum(
    sigma, _MIN_SIGMA
  )[:, None, None]
  weight = jnp.exp(-0.5 * jnp.square(distance))
  return weight / weight.sum(-1, keepdims=True)
