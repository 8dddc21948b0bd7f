"""What stands for the mask that was predicted for the frame before."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax.layers import warp
from foregan_jax.synthesis import trajectories

_SHARPEST = 1e-3  # pixels: a blur this narrow changes nothing


@dataclasses.dataclass(frozen=True)
class Deformation:
  """Makes of a true mask one that might have been predicted (as RGMP does).

  Everything turns about the object's centroid: a shear about the picture's
  origin would displace the object too.

  Attributes:
    degrees: half-width of the rotation.
    scale: bounds of the size factor.
    shear: half-width of the slope.
    shift: half-width of the shift, as a share of the object's box.
    soft: probability that the border is blurred.
    softness: largest standard deviation of that blur, as a share of the
      picture's shorter side.
    empty: probability that the object was lost: all 0.
    misplaced: probability that something elsewhere was taken for the object.
    far: how far off that is at least, along both axes, as a share of the
      picture; below 1/2.
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
    self, key: PRNGKeyArray, mask: Float[Array, "b h w 1"]
  ) -> Float[Array, "b h w 1"]:
    """Deform each mask on its own; range [0, 1]."""
    b, h, w, _ = mask.shape
    # One draw: each costs compile time.
    drawn = jax.random.uniform(key, (b, 10))
    fate, sharp, width, off = jnp.split(drawn[:, 5:], (1, 2, 3), 1)
    spread = trajectories.Spread(
      self.degrees, self.scale, self.shear, self.shift
    )
    pose = spread.at(drawn[:, :5])
    centroid = trajectories.centroid(mask)
    near = centroid + pose[:, 3:] * trajectories.box(mask)[1]
    # Round the border, so that it is neither near nor outside.
    frame = jnp.array([[w, h]], mask.dtype)
    off = self.far + (1.0 - 2.0 * self.far) * off
    misplaced = fate >= 1.0 - self.misplaced
    target = jnp.where(misplaced, (centroid + off * frame) % frame, near)
    theta = trajectories.about(trajectories.linear(pose), centroid, target)
    xy = trajectories.move(
      trajectories.inverse(theta), warp.pixel_grid(h, w)[None]
    )
    moved = warp.sample(mask, xy, outside="zero")
    sigma = jnp.where(sharp < self.soft, width * self.softness * min(h, w), 0)
    lost = (fate < self.empty)[..., None, None]
    return jnp.where(lost, 0.0, _blur(moved, sigma[:, 0]))


def _blur(mask: jax.Array, sigma: jax.Array) -> jax.Array:
  """Blur each mask by a Gaussian of its own, `sigma` [b] in pixels."""
  vertical, horizontal = (_gaussian(n, sigma) for n in mask.shape[1:3])
  return jnp.einsum("bij,bjkc,blk->bilc", vertical, mask, horizontal)


def _gaussian(length: int, sigma: jax.Array) -> jax.Array:
  """Return the blur of a row as matrices [b, n, n] whose rows sum to 1."""
  x = jnp.arange(length, dtype=sigma.dtype)
  apart = (x[None, :, None] - x[None, None, :]) / jnp.maximum(sigma, _SHARPEST)[
    :, None, None
  ]
  weight = jnp.exp(-0.5 * jnp.square(apart))
  return weight / weight.sum(-1, keepdims=True)
