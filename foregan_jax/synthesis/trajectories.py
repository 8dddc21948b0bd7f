"""Motion of stills in a clip: affine maps, waves and their inverses.

A pose is (angle in radians, log of the scale, slope of the shear, x, y); poses
can be added. A map `theta` [..., 2, 3] takes pixel coordinates (x, y) of a
still to those of a frame; integers are pixel centres. The motion is known, so
its optical flow is exact.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from foregan_jax.layers import warp

_COVERED = 0.5  # soft mask values above this belong to the object


@dataclasses.dataclass(frozen=True)
class Spread:
  """A uniform distribution of poses; the defaults mean no motion.

  Attributes:
    degrees: half-width of the angle.
    scale: bounds of the size factor; its logarithm is uniform.
    shear: half-width of the slope.
    shift: half-width of x and y, in a unit that the caller chooses.
  """

  degrees: float = 0.0
  scale: tuple[float, float] = (1.0, 1.0)
  shear: float = 0.0
  shift: float = 0.0

  def draw(
    self, key: PRNGKeyArray, shape: tuple[int, ...]
  ) -> Float[Array, "*n 5"]:
    """Return random poses."""
    return self.from_unit(jax.random.uniform(key, (*shape, 5)))

  def from_unit(self, share: Float[Array, "*n 5"]) -> Float[Array, "*n 5"]:
    """Map [0, 1] to poses between the lower and the upper bounds."""
    angle, (small, large) = math.radians(self.degrees), self.scale
    shape = (1,) * (share.ndim - 1) + (5,)
    bound = lambda *values: jnp.float32(values).reshape(shape)
    high = bound(angle, math.log(large), self.shear, self.shift, self.shift)
    low = bound(-angle, math.log(small), -self.shear, -self.shift, -self.shift)
    return low + (high - low) * share


@dataclasses.dataclass(frozen=True)
class Motion:
  """A random sequence of poses, one per frame; shifts are shares of the frame.

  Attributes:
    start: the first pose.
    step: the change from frame to frame. Over the clip it changes linearly from
      one sample to another, so the motion is smooth but not uniform.
    shake: a pose that is added to each frame, independent of other frames.
  """

  start: Spread = Spread()
  step: Spread = Spread()
  shake: Spread = Spread()

  def draw(
    self, key: PRNGKeyArray, count: int, clip_len: int
  ) -> Float[Array, "b t 5"]:
    """Return the random poses of `count` clips of `clip_len` frames."""
    # A single draw, because each draw adds compile time.
    share = jax.random.uniform(key, (count, 3 + clip_len, 5))
    start = self.start.from_unit(share[:, :1])
    first = self.step.from_unit(share[:, 1:2])
    last = self.step.from_unit(share[:, 2:3])
    time = np.linspace(0, 1, clip_len - 1, dtype=np.float32)[None, :, None]
    steps = jnp.cumsum(first + (last - first) * time, axis=1)
    steps = jnp.pad(steps, ((0, 0), (1, 0), (0, 0)))
    return start + steps + self.shake.from_unit(share[:, 3:])


def linear_map(pose: Float[Array, "*n 5"]) -> Float[Array, "*n 2 2"]:
  """Return `scale Rot Shear`: shear along x, then rotate, then scale."""
  angle, slope = pose[..., 0], pose[..., 2]
  scale = jnp.exp(pose[..., 1])
  cos, sin = scale * jnp.cos(angle), scale * jnp.sin(angle)
  rows = [[cos, slope * cos - sin], [sin, slope * sin + cos]]
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def affine_map(
  matrix: Float[Array, "*n 2 2"],
  anchor: Float[Array, "*n 2"],
  target: Float[Array, "*n 2"],
) -> Float[Array, "*n 2 3"]:
  """Return the map `x -> matrix (x - anchor) + target`."""
  # No matmul, because it loses precision on accelerators.
  x, y = anchor[..., None, 0], anchor[..., None, 1]
  offset = target - matrix[..., 0] * x - matrix[..., 1] * y
  return jnp.concatenate([matrix, offset[..., None]], axis=-1)


def inverse(theta: Float[Array, "*n 2 3"]) -> Float[Array, "*n 2 3"]:
  """Return the inverse map."""
  a, b, c, d = (theta[..., i, j] for i in (0, 1) for j in (0, 1))
  rows = [[d, -b], [-c, a]]
  matrix = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
  matrix = matrix / (a * d - b * c)[..., None, None]
  return affine_map(matrix, theta[..., 2], jnp.zeros_like(theta[..., 2]))


def mirror(theta: Float[Array, "*n 2 3"], width: int) -> Float[Array, "*n 2 3"]:
  """Return `theta`, then a left-right mirror of frames of `width`."""
  x = -theta[..., 0, :] + jnp.zeros_like(theta[..., 0, :]).at[..., 2].set(
    width - 1.0
  )
  return jnp.stack([x, theta[..., 1, :]], axis=-2)


def transform(
  theta: Float[Array, "*n 2 3"], xy: Float[Array, "*m h w 2"]
) -> Float[Array, "*n h w 2"]:
  """Map points (x, y); `m` is `n`, or 1s for points that all maps share."""
  t = theta[..., None, None, :, :]
  x, y = xy[..., 0], xy[..., 1]
  return jnp.stack(
    [t[..., i, 0] * x + t[..., i, 1] * y + t[..., i, 2] for i in (0, 1)],
    axis=-1,
  )


class Wave(struct.PyTreeNode):
  """A deformation of a still by two waves: it shifts x, then y.

  A wave does not change the coordinate that it depends on, so the inverse is
  exact.

  Attributes:
    amplitude: [b 1 1 1] in pixels; 0 means no deformation.
    frequency: [b 1 1 1] in cycles per pixel.
    phase: [b t 1 1 2] in cycles.
  """

  amplitude: Any
  frequency: Any
  phase: Any

  def bend(self, xy: Float[Array, "b t h w 2"]) -> Float[Array, "b t h w 2"]:
    """Return the points of the original still at `xy` of the bent one."""
    x, y = xy[..., 0], xy[..., 1]
    x = x + self._shift(y, 0)
    return jnp.stack([x, y + self._shift(x, 1)], axis=-1)

  def unbend(self, xy: Float[Array, "b t h w 2"]) -> Float[Array, "b t h w 2"]:
    """Return the inverse of `bend`."""
    x, y = xy[..., 0], xy[..., 1]
    y = y - self._shift(x, 1)
    return jnp.stack([x - self._shift(y, 0), y], axis=-1)

  def _shift(self, along: jax.Array, axis: int) -> jax.Array:
    """Return the shift of coordinate `axis` at the coordinates `along`."""
    cycle = self.frequency * along + self.phase[..., axis]
    cycle = cycle - jnp.round(cycle)
    # Two parabolas in [-1, 1] look like a sine. A sine would take as long as
    # sampling the images.
    return self.amplitude * 8.0 * cycle * (1.0 - 2.0 * jnp.abs(cycle))


class Trajectory(struct.PyTreeNode):
  """The motion of a still over all frames.

  Attributes:
    theta: [b t 2 3] maps from the bent still to each frame.
    wave: a `Wave` that bends the still, or None.
  """

  theta: Any
  wave: Any = None

  def still_coords(self, size: tuple[int, int]) -> Float[Array, "b t h w 2"]:
    """Return the still's coordinates of each pixel of frames of `size`."""
    xy = transform(inverse(self.theta), warp.pixel_grid(*size)[None, None])
    return xy if self.wave is None else self.wave.bend(xy)

  def flow(
    self, still_coords: Float[Array, "b t h w 2"]
  ) -> Float[Array, "b t-1 h w 2"]:
    """Return the exact flow from each frame to the next, in pixels.

    Args:
      still_coords: result of the method `still_coords`.
    """
    xy = still_coords[:, :-1]
    if self.wave is not None:
      later = self.wave.replace(phase=self.wave.phase[:, 1:])
      xy = later.unbend(xy)
    grid = warp.pixel_grid(*xy.shape[2:4])[None, None]
    return transform(self.theta[:, 1:], xy) - grid


def inside(
  xy: Float[Array, "*n h w 2"], size: tuple[int, int]
) -> Bool[Array, "*n h w 1"]:
  """Return which points lie inside an image of `size` = (h, w)."""
  h, w = size
  x, y = xy[..., :1], xy[..., 1:]
  return (x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)


def reflect(
  xy: Float[Array, "*n h w 2"], size: tuple[int, int]
) -> Float[Array, "*n h w 2"]:
  """Reflect points outside an image of `size` = (h, w) at its border.

  Points that are more than one image size away end up outside on the other
  side.
  """
  shape = (1,) * (xy.ndim - 1) + (2,)
  last = jnp.float32([size[1] - 1, size[0] - 1]).reshape(shape)
  return last - jnp.abs(last - jnp.abs(xy))


def centroid(mask: Float[Array, "b h w 1"]) -> Float[Array, "b 2"]:
  """Return the centroids (x, y) of masks; the image centre for empty masks."""
  columns, rows = mask.sum((1, 3)), mask.sum((2, 3))
  centres = []
  for weight in (columns, rows):
    x = jnp.arange(weight.shape[1], dtype=weight.dtype)[None]
    total = weight.sum(1)
    mean = (weight * x).sum(1) / jnp.maximum(total, 1e-6)
    centres.append(jnp.where(total > 0, mean, x.mean()))
  return jnp.stack(centres, axis=-1)


def box(
  mask: Float[Array, "b h w 1"],
) -> tuple[Float[Array, "b 2"], Float[Array, "b 2"]]:
  """Return centre and size (x, y) of the objects' bounding boxes, in pixels.

  The box of an empty mask is the whole image.
  """
  covered = mask[..., 0] > _COVERED
  centres, extents = [], []
  for axis in (1, 2):
    line = covered.any(axis)
    first = jnp.argmax(line, axis=1)
    last = line.shape[1] - 1 - jnp.argmax(line[:, ::-1], axis=1)
    centres.append((first + last) / 2)
    extents.append(last - first + 1)
  return jnp.stack(centres, axis=-1), jnp.stack(extents, axis=-1) * 1.0
