"""Random motion in a pseudo-video: object, background and occluder."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from foregan_jax.synthesis import trajectories

# Along each axis frame 0 shows at least a half plus this share of the object's
# box, which is more than half of its area.
_CLEAR = 0.25
_EPS = 1e-6


class SampledMotion(struct.PyTreeNode):
  """The random motion of a batch of clips.

  Attributes:
    cut_out: [b] bool; True if the object moves over another image, False if it
      moves with its own.
    object: `Trajectory` of the object's still.
    background: `Trajectory` of the background's still.
    occluder: `Trajectory` of the occluder's still; None if occluders are
      disabled.
    has_occluder: [b] bool.
  """

  cut_out: Any
  object: Any
  background: Any
  occluder: Any
  has_occluder: Any


class _MovingBox(struct.PyTreeNode):
  """The motion of a still with a box, the object's or an occluder's.

  Attributes:
    pose: [b t 5]; the scale includes that from still pixels to frame pixels.
    anchor: [b 2] centre of rotation, on the still.
    extent: [b 2] size of the box, on the still.
    path: [b t 2] position of the anchor in each frame.
  """

  pose: Any
  anchor: Any
  extent: Any
  path: Any

  def reach(self) -> Float[Array, " b"]:
    """Return the radius in pixels of a circle that always contains the box."""
    scale = jnp.exp(self.pose[..., 1].max(axis=1))
    return jnp.linalg.norm(self.extent, axis=-1) * scale / 2

  def theta(self) -> Float[Array, "b t 2 3"]:
    """Return the maps from the still to each frame."""
    anchor = jnp.broadcast_to(self.anchor[:, None], self.path.shape)
    matrix = trajectories.linear_map(self.pose)
    return trajectories.affine_map(matrix, anchor, self.path)


@dataclasses.dataclass(frozen=True)
class Staging:
  """A distribution of the motion in a clip.

  An object that is cut out moves over another image, and that image moves with
  the camera. Otherwise the whole image moves with the camera, and rotates about
  its object.

  Attributes:
    cut_out: probability that the object is cut out.
    mirror: probability that a clip is mirrored.
    mirror_targets: whether all frames but the first are mirrored (the student's
      recipe).
    camera: motion of whole images and of backgrounds.
    object: motion of cut-out objects.
    hold: whether an object that the border of its still cuts off stays at that
      border of the frame; otherwise the straight cut becomes visible.
    wobble: maximum deformation of cut-out objects, as a share of their size.
    wobble_speed: maximum number of cycles of the deformation per frame.
    reentry: probability that a cut-out object leaves the frame and returns
      between the first and the last frame.
    occluder: probability that the object of another sample passes in front.
    occluder_size: bounds of the occluder's size, as a share of the object's.
  """

  cut_out: float
  mirror: float
  mirror_targets: bool
  camera: trajectories.Motion
  object: trajectories.Motion
  hold: bool
  wobble: float
  wobble_speed: float
  reentry: float
  occluder: float
  occluder_size: tuple[float, float]

  def draw(
    self,
    key: PRNGKeyArray,
    mask: Float[Array, "b H W 1"],
    size: tuple[int, int],
    clip_len: int,
    cut_out: Bool[Array, " b"] | None = None,
  ) -> SampledMotion:
    """Return the random motion of a batch of clips.

    Args:
      key: random key.
      mask: mask of the object on its still.
      size: (h, w) of the frames.
      clip_len: number of frames.
      cut_out: whether each object is cut out; None: at random.
    """
    b, still = len(mask), mask.shape[1:3]
    key_camera, key_object, key_occluder, key_chance = jax.random.split(key, 4)
    # A single draw for all else, because each draw adds compile time.
    chance = jax.random.uniform(key_chance, (13, b))
    if cut_out is None:
      cut_out = chance[0] < self.cut_out
    centre, extent = trajectories.box(mask)
    camera = self.camera.draw(key_camera, b, clip_len)
    own_pose = self.object.draw(key_object, b, clip_len)
    pose = jnp.where(cut_out[:, None, None], own_pose, camera)
    moving = _place(pose, centre, extent, still, size)
    if self.hold:
      moving = _hold_cut_sides(moving, still, size)
    if self.reentry:
      leaves = cut_out & (chance[1] < self.reentry)
      moving = _leave_and_return(moving, leaves, chance[2] < 0.5, size[1])
    theta = moving.theta()

    middle = jnp.tile((jnp.array([still[::-1]]) - 1) / 2, (b, 1))
    no_extent = jnp.zeros_like(middle)
    background = _place(camera, middle, no_extent, still, size).theta()
    background = jnp.where(cut_out[:, None, None, None], background, theta)

    mirrored = (chance[3] < self.mirror)[:, None]
    if self.mirror_targets:
      mirrored ^= (jnp.arange(clip_len) > 0)[None]
    apply_mirror = lambda theta: jnp.where(
      mirrored[..., None, None], trajectories.mirror(theta, size[1]), theta
    )
    occluder = None
    if self.occluder:
      pose = self.object.draw(key_occluder, b, clip_len)
      occluder_mask = roll_batch(mask, -1)
      occluder = self._move_occluder(pose, chance[5:8], moving, occluder_mask)
      occluder = trajectories.Trajectory(apply_mirror(occluder.theta()))
    wave = None
    if self.wobble:
      wave = self._wave(chance[8:], cut_out, extent, clip_len)
    return SampledMotion(
      cut_out=cut_out,
      object=trajectories.Trajectory(apply_mirror(theta), wave),
      background=trajectories.Trajectory(apply_mirror(background)),
      occluder=occluder,
      has_occluder=chance[4] < self.occluder,
    )

  def _move_occluder(
    self,
    pose: jax.Array,
    chance: jax.Array,
    object_: _MovingBox,
    mask: jax.Array,
  ) -> _MovingBox:
    """Return an occluder that crosses the object after frame 0.

    In frame 0 it does not touch the object.
    """
    centre, extent = trajectories.box(mask)
    t = pose.shape[1]
    low, high = self.occluder_size
    diagonal = (low + (high - low) * chance[0]) * 2 * object_.reach()
    scale = jnp.log(diagonal / jnp.linalg.norm(extent, axis=-1))
    log_scale = pose[..., 1] - pose[:, :1, 1] + scale[:, None]
    pose = pose.at[..., 1].set(log_scale)
    occluder = _MovingBox(pose, centre, extent, object_.path)
    angle = 2 * math.pi * chance[1]
    direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    # They meet in the second half; a meeting in the first half needs a jump.
    half = max(1, t // 2)
    meeting = (half + jnp.floor((t - half) * chance[2]))[:, None]
    time = (jnp.arange(t)[None] - meeting) / meeting
    distance = (occluder.reach() + object_.reach())[:, None] * time
    offset = distance[..., None] * direction[:, None]
    return occluder.replace(path=object_.path + offset)

  def _wave(
    self,
    chance: jax.Array,
    moves: jax.Array,
    extent: jax.Array,
    clip_len: int,
  ) -> trajectories.Wave:
    """Return travelling waves with the wavelength of the object's size."""
    amplitude, phase_x, phase_y, speed_x, speed_y = chance[
      :, :, None, None, None
    ]
    length = jnp.linalg.norm(extent, axis=-1)[:, None, None, None]
    amplitude = self.wobble * amplitude * length
    phase = jnp.stack([phase_x, phase_y], axis=-1)
    speed = jnp.stack([speed_x, speed_y], axis=-1) * 2 - 1
    frame = np.arange(clip_len, dtype=np.float32)[None, :, None, None, None]
    return trajectories.Wave(
      amplitude=jnp.where(moves[:, None, None, None], amplitude, 0.0),
      frequency=1 / length,
      phase=phase + self.wobble_speed * speed * frame,
    )


def roll_batch(
  images: Shaped[Array, "b h w c"], offset: int
) -> Shaped[Array, "b h w c"]:
  """Return the images of other samples; in a batch of one, its mirror image."""
  if len(images) == 1:
    return images[:, :, ::-1]
  return jnp.roll(images, offset, axis=0)


def _place(
  pose: jax.Array,
  anchor: jax.Array,
  extent: jax.Array,
  still: tuple[int, int],
  size: tuple[int, int],
) -> _MovingBox:
  """Return the motion of a still that covers the frame and shifts by its pose.

  Before the shift, the anchor is as close to the centre of the frame as
  possible while the still covers the frame. The box of size `extent` at the
  anchor is clearly visible in frame 0.
  """
  zoom = max((n - 1) / (m - 1) for n, m in zip(size, still, strict=True))
  pose = pose.at[..., 1].add(math.log(zoom))
  frame = jnp.array([size[::-1]], jnp.float32)
  rest = jnp.array([still[::-1]]) - 1 - anchor
  start = jnp.clip((frame - 1) / 2, frame - 1 - zoom * rest, zoom * anchor)
  path = start[:, None] + pose[..., 3:] * frame[:, None]
  margin = jnp.minimum(_CLEAR * extent * jnp.exp(pose[:, 0, 1:2]), frame / 2)
  first = jnp.clip(path[:, 0], margin, frame - 1 - margin)
  return _MovingBox(pose, anchor, extent, path + (first - path[:, 0])[:, None])


def _hold_cut_sides(
  moving: _MovingBox, still: tuple[int, int], size: tuple[int, int]
) -> _MovingBox:
  """Move a box that a border of its still cuts off to that frame border.

  A box that two opposite borders cut off is left as it is.
  """
  half = moving.extent / 2
  last = jnp.array([still[::-1]]) - 1
  cut_low = moving.anchor - half < 0
  cut_high = moving.anchor + half > last
  signs = jnp.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
  corners = moving.anchor[:, None] + half[:, None] * signs[None]
  corners = corners[:, None, None]
  moved = trajectories.transform(moving.theta(), corners)[:, :, 0]  # [b t 4 2]
  # For each axis, the corners on its low side and those on its high side.
  low = jnp.stack([moved[:, :, :2, 0], moved[:, :, ::2, 1]], axis=-1)
  high = jnp.stack([moved[:, :, 2:, 0], moved[:, :, 1::2, 1]], axis=-1)
  end = jnp.array([[size[::-1]]]) - 1
  gap_low = jnp.where((cut_low & ~cut_high)[:, None], low.max(axis=2), 0)
  gap_high = jnp.where(
    (cut_high & ~cut_low)[:, None], end - high.min(axis=2), 0
  )
  shift = jnp.maximum(gap_high, 0) - jnp.maximum(gap_low, 0)
  return moving.replace(path=moving.path + shift)


def _leave_and_return(
  moving: _MovingBox, leaves: jax.Array, right: jax.Array, width: int
) -> _MovingBox:
  """Move a box out of the frame and back; this needs three frames or more."""
  x = moving.path[:, 0, 0]
  distance = jnp.where(right, width - x + moving.reach(), -x - moving.reach())
  # A parabola, like a ball thrown up. At its maximum the box is outside.
  share = 1 - np.linspace(-1, 1, moving.path.shape[1], dtype=np.float32) ** 2
  share = share[None] / max(float(share.max()), _EPS)
  shift = jnp.where(leaves, distance, 0.0)[:, None] * share
  return moving.replace(path=moving.path.at[..., 0].add(shift))
