"""Random affine shifts of a foreground (Improved Layered GANs)."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax.layers import warp


@dataclasses.dataclass(frozen=True)
class Perturbation:
  """Half-widths of a uniform distribution of affine maps.

  Attributes:
    log2_scale: half-width of the exponent s; the object grows by 2^s.
    degrees: half-width of the rotation.
    shift: half-width of both shifts, in normalised coordinates: 1 is half the
      image.
  """

  log2_scale: float
  degrees: float
  shift: float

  def draw(self, key: PRNGKeyArray, count: int) -> Float[Array, "b 2 3"]:
    """Return random inverse maps A^-1, with A = Tr Rot Sc.

    A scales first, then rotates, then shifts, about the centre. The inverse map
    gives the source of each pixel of the perturbed image.

    Source: appendix, eqs. 9 and 10.
    """
    drawn = jax.random.uniform(key, (4, count), minval=-1.0, maxval=1.0)
    return inverse(
      self.log2_scale * drawn[0],
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


# Published ranges (spec sec. 4). "paper" has the paper's order of maps but our
# ranges, because the part of the paper with its ranges was not available.
PRESETS = {
  "none": Perturbation(0.0, 0.0, 0.0),
  "paper": Perturbation(0.25, 15.0, 0.25),
  "perturbgan": Perturbation(0.0, 0.0, 0.25),
  "c3_strong": Perturbation(0.45, 15.0, 0.15),
  "c3_weak": Perturbation(0.14, 2.0, 0.08),
}
