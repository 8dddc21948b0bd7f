"""How stills move through a clip: affine maps, waves, and the way back.

A pose is (angle in radians, log of the scale, slope of the shear, x, y);
poses add up. A map, `theta` [..., 2, 3], takes pixels (x, y) of a still to
pixels of a frame, where integers are the centres of pixels. The motion is
ours, so its optical flow is exact.
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

_INSIDE = 0.5  # of a soft mask, the least coverage that counts


@dataclasses.dataclass(frozen=True)
class Spread:
  """A uniform draw of poses; what is not named does not move.

  Attributes:
    degrees: half-width of the angle.
    scale: bounds of the size factor; its logarithm is uniform.
    shear: half-width of the slope.
    shift: half-width of x and of y, in a unit that the caller chooses.
  """

  degrees: float = 0.0
  scale: tuple[float, float] = (1.0, 1.0)
  shear: float = 0.0
  shift: float = 0.0

  def draw(
    self, key: PRNGKeyArray, shape: tuple[int, ...]
  ) -> Float[Array, "*n 5"]:
    """Draw poses."""
    return self.at(jax.random.uniform(key, (*shape, 5)))

  def at(self, share: Float[Array, "*n 5"]) -> Float[Array, "*n 5"]:
    """Return the poses that lie between the bounds, 0 low and 1 high."""
    angle, (small, large) = math.radians(self.degrees), self.scale
    high = [angle, math.log(large), self.shear, self.shift, self.shift]
    low = [-angle, math.log(small), -self.shear, -self.shift, -self.shift]
    low, high = (
      np.float32(bound).reshape((1,) * (share.ndim - 1) + (5,))
      for bound in (low, high)
    )
    return low + (high - low) * share


@dataclasses.dataclass(frozen=True)
class Motion:
  """A random row of poses, one per frame; shifts are shares of the frame.

  Attributes:
    start: the first pose.
    step: the change from frame to frame. It goes evenly from one draw to
      another over the clip: smooth, but not uniform.
    shake: what every frame adds for itself.
  """

  start: Spread = Spread()
  step: Spread = Spread()
  shake: Spread = Spread()

  def draw(
    self, key: PRNGKeyArray, count: int, clip_len: int
  ) -> Float[Array, "b t 5"]:
    """Draw the poses of `count` clips of `clip_len` frames."""
    # One draw: each costs compile time.
    share = jax.random.uniform(key, (count, 3 + clip_len, 5))
    start = self.start.at(share[:, :1])
    first, last = self.step.at(share[:, 1:2]), self.step.at(share[:, 2:3])
    passed = np.linspace(0, 1, clip_len - 1, dtype=np.float32)[None, :, None]
    steps = jnp.cumsum(first + (last - first) * passed, axis=1)
    travelled = jnp.pad(steps, ((0, 0), (1, 0), (0, 0)))
    return start + travelled + self.shake.at(share[:, 3:])


def linear(pose: Float[Array, "*n 5"]) -> Float[Array, "*n 2 2"]:
  """Return scale Rot Shear: shear along x, then turn, then scale."""
  angle, slope = pose[..., 0], pose[..., 2]
  scale = jnp.exp(pose[..., 1])
  cos, sin = scale * jnp.cos(angle), scale * jnp.sin(angle)
  rows = [[cos, slope * cos - sin], [sin, slope * sin + cos]]
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def about(
  matrix: Float[Array, "*n 2 2"],
  anchor: Float[Array, "*n 2"],
  target: Float[Array, "*n 2"],
) -> Float[Array, "*n 2 3"]:
  """Return the map `x -> matrix (x - anchor) + target`."""
  # Written out: a matmul would lose precision on accelerators.
  x, y = anchor[..., None, 0], anchor[..., None, 1]
  offset = target - matrix[..., 0] * x - matrix[..., 1] * y
  return jnp.concatenate([matrix, offset[..., None]], axis=-1)


def inverse(theta: Float[Array, "*n 2 3"]) -> Float[Array, "*n 2 3"]:
  """Return the map back."""
  a, b, c, d = (theta[..., i, j] for i in (0, 1) for j in (0, 1))
  rows = [[d, -b], [-c, a]]
  matrix = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
  matrix = matrix / (a * d - b * c)[..., None, None]
  return about(matrix, theta[..., 2], jnp.zeros_like(theta[..., 2]))


def mirror(theta: Float[Array, "*n 2 3"], width: int) -> Float[Array, "*n 2 3"]:
  """Mirror the frame that `theta` leads to, left to right."""
  x = -theta[..., 0, :] + jnp.zeros_like(theta[..., 0, :]).at[..., 2].set(
    width - 1.0
  )
  return jnp.stack([x, theta[..., 1, :]], axis=-2)


def move(
  theta: Float[Array, "*n 2 3"], xy: Float[Array, "*m h w 2"]
) -> Float[Array, "*n h w 2"]:
  """Take points along; `m` is `n`, or ones for points that all share."""
  t = theta[..., None, None, :, :]
  x, y = xy[..., 0], xy[..., 1]
  return jnp.stack(
    [t[..., i, 0] * x + t[..., i, 1] * y + t[..., i, 2] for i in (0, 1)],
    axis=-1,
  )


@struct.dataclass
class Wave:
  """Bends a still by two waves, along x and then along y.

  Each leaves the coordinate alone that it reads, so the way back is exact.

  Attributes:
    amplitude: [b 1 1 1] pixels; 0 bends nothing.
    frequency: [b 1 1 1] waves per pixel.
    phase: [b t 1 1 2] waves.
  """

  amplitude: Any
  frequency: Any
  phase: Any

  def bend(self, xy: Float[Array, "b t h w 2"]) -> Float[Array, "b t h w 2"]:
    """Return where the unbent still has what the bent one has at `xy`."""
    x, y = xy[..., 0], xy[..., 1]
    x = x + self._shift(y, 0)
    return jnp.stack([x, y + self._shift(x, 1)], axis=-1)

  def unbend(self, xy: Float[Array, "b t h w 2"]) -> Float[Array, "b t h w 2"]:
    """Undo `bend`."""
    x, y = xy[..., 0], xy[..., 1]
    y = y - self._shift(x, 1)
    return jnp.stack([x - self._shift(y, 0), y], axis=-1)

  def _shift(self, along: jax.Array, axis: int) -> jax.Array:
    passed = self.frequency * along + self.phase[..., axis]
    passed = passed - jnp.round(passed)
    # Two parabolas, [-1, 1]: nobody sees that it is no sine, which would cost
    # as much as reading the pictures.
    return self.amplitude * 8.0 * passed * (1.0 - 2.0 * jnp.abs(passed))


@struct.dataclass
class Trajectory:
  """Where a still is in each frame.

  Attributes:
    theta: [b t 2 3] from the still, once bent, to each frame.
    wave: a `Wave`, or None.
  """

  theta: Any
  wave: Any = None

  def on_still(self, size: tuple[int, int]) -> Float[Array, "b t h w 2"]:
    """Return which point of the still each pixel of each frame shows."""
    xy = move(inverse(self.theta), warp.pixel_grid(*size)[None, None])
    return xy if self.wave is None else self.wave.bend(xy)

  def flow(
    self, on_still: Float[Array, "b t h w 2"]
  ) -> Float[Array, "b t-1 h w 2"]:
    """Return the way from each frame to the next, in pixels.

    Args:
      on_still: what `on_still` returned.
    """
    xy = on_still[:, :-1]
    if self.wave is not None:
      later = self.wave.replace(phase=self.wave.phase[:, 1:])
      xy = later.unbend(xy)
    grid = warp.pixel_grid(*xy.shape[2:4])[None, None]
    return move(self.theta[:, 1:], xy) - grid


def inside(
  xy: Float[Array, "*n h w 2"], size: tuple[int, int]
) -> Bool[Array, "*n h w 1"]:
  """Tell which points lie on one of the pixels of a picture (h, w)."""
  h, w = size
  x, y = xy[..., :1], xy[..., 1:]
  return (x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)


def reflect(
  xy: Float[Array, "*n h w 2"], size: tuple[int, int]
) -> Float[Array, "*n h w 2"]:
  """Fold points beyond a picture (h, w) back: it goes on, mirrored.

  Points more than a picture away end up outside on the other side.
  """
  shape = (1,) * (xy.ndim - 1) + (2,)
  last = np.float32([size[1] - 1, size[0] - 1]).reshape(shape)
  return last - jnp.abs(last - jnp.abs(xy))


def centroid(mask: Float[Array, "b h w 1"]) -> Float[Array, "b 2"]:
  """Return the masks' centres of mass (x, y); of empty ones the middle."""
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
  """Return centre and extent (x, y) of the objects' boxes, in pixels.

  The box of an empty mask is the whole picture.
  """
  covered = mask[..., 0] > _INSIDE
  centres, extents = [], []
  for axis in (1, 2):
    seen = covered.any(axis)
    first = jnp.argmax(seen, axis=1)
    last = seen.shape[1] - 1 - jnp.argmax(seen[:, ::-1], axis=1)
    centres.append((first + last) / 2)
    extents.append(last - first + 1)
  return jnp.stack(centres, axis=-1), jnp.stack(extents, axis=-1) * 1.0
