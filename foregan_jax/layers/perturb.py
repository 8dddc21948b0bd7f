"""Random affine shifts of a foreground (Improved Layered GANs)."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax.layers import warp


@dataclasses.dataclass(frozen=True)
class Perturbation:
  """A distribution of affine maps; all parameters are uniform.

  A preset sets one of the two scales.

  Attributes:
    degrees: half-width of the rotation.
    shift: half-width of both shifts, in normalised coordinates: 1 is half the
      image.
    log2_scale: half-width of the exponent s; the object grows by 2^s.
    grid_scale: bounds of a factor of the sampling grid; the object grows by its
      inverse.
  """

  degrees: float
  shift: float
  log2_scale: float = 0.0
  grid_scale: tuple[float, float] = (1.0, 1.0)

  def draw(self, key: PRNGKeyArray, count: int) -> Float[Array, "b 2 3"]:
    """Return random inverse maps A^-1, with A = Tr Rot Sc.

    A scales first, then rotates, then shifts, about the centre. The inverse map
    gives the source of each pixel of the perturbed image.

    Source: appendix, eqs. 9 and 10.
    """
    drawn = jax.random.uniform(key, (4, count), minval=-1.0, maxval=1.0)
    low, high = self.grid_scale
    grid = (low + high) / 2 + (high - low) / 2 * drawn[0]
    return inverse(
      self.log2_scale * drawn[0] - jnp.log2(grid),
      jnp.deg2rad(self.degrees) * drawn[1],
      self.shift * drawn[2:],
    )


def inverse(
  log2_scale: Float[Array, " b"],
  angle: Float[Array, " b"],
  shift: Float[Array, "2 b"],
) -> Float[Array, "b 2 3"]:
  """Return A^-1 = Sc^-1 Rot^-1 Tr^-1, for `warp.affine_grid`.

  Args:
    log2_scale: exponent s of Sc = diag(2^s, 2^s, 1).
    angle: angle of Rot = [[cos, -sin], [sin, cos]] in radians.
    shift: (t_x, t_y) of Tr in normalised coordinates.
  """
  size = jnp.exp2(-log2_scale)
  cos, sin = size * jnp.cos(angle), size * jnp.sin(angle)
  x, y = shift
  rows = [[cos, sin, -cos * x - sin * y], [-sin, cos, sin * x - cos * y]]
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def apply(
  theta: Float[Array, "b 2 3"], image: Float[Array, "b h w c"]
) -> Float[Array, "b h w c"]:
  """Return `image` sampled at the positions of `theta`; outside is 0.

  In a mask 0 means background, so a mask that covers everything becomes visible
  at the border.
  """
  xy = warp.affine_grid(theta, image.shape[1:3], align_corners=False)
  return warp.sample(image, xy, outside="zero")


# "paper" has the paper's order of maps but our ranges, because the part of the
# paper with its ranges was not available. The others have published ranges:
# PerturbGAN's, and those of C3-GAN (ICLR 2022), in the paper's order.
PRESETS = {
  "none": Perturbation(degrees=0.0, shift=0.0),
  "paper": Perturbation(degrees=15.0, shift=0.25, log2_scale=0.25),
  "perturbgan": Perturbation(degrees=0.0, shift=0.25),
  "c3_strong": Perturbation(degrees=15.0, shift=0.15, grid_scale=(0.8, 1.5)),
  "c3_weak": Perturbation(degrees=2.0, shift=0.08, grid_scale=(0.9, 1.1)),
}
