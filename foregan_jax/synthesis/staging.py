"""Who moves how in a pseudo-video: object, background, and what passes."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax.synthesis import trajectories

# Of an object's box, the part that frame 0 shows at least along each axis is
# a half and this: more than half of the box in all.
_CLEAR = 0.25
_TINY = 1e-6


@struct.dataclass
class Stage:
  """What was drawn for a batch of clips.

  Attributes:
    cut_out: [b] bool; the object moves over another picture, not with its own.
    object: the `Trajectory` of the object's still.
    background: of the still behind it.
    occluder: of the still whose object passes in front; None without any.
    occluded: [b] bool; it does pass.
  """

  cut_out: Any
  object: Any
  background: Any
  occluder: Any
  occluded: Any


@struct.dataclass
class _Actor:
  """Something that moves.

  Attributes:
    pose: [b t 5]; its scale goes from pixels of the still to the frame's.
    anchor: [b 2] what it turns about, on its still.
    extent: [b 2] of its box on its still.
    path: [b t 2] where the anchor is in each frame.
  """

  pose: Any
  anchor: Any
  extent: Any
  path: Any

  def reach(self) -> Float[Array, " b"]:
    """Return the radius of a circle that its box never leaves, in pixels."""
    scale = jnp.exp(self.pose[..., 1].max(axis=1))
    return jnp.linalg.norm(self.extent, axis=-1) * scale / 2

  def theta(self) -> Float[Array, "b t 2 3"]:
    """Return where its still is in each frame."""
    anchor = jnp.broadcast_to(self.anchor[:, None], self.path.shape)
    matrix = trajectories.linear(self.pose)
    return trajectories.about(matrix, anchor, self.path)


@dataclasses.dataclass(frozen=True)
class Staging:
  """Draws trajectories.

  A picture that stays whole moves with the camera, about its object. What is
  cut out moves by itself over another picture, which moves with the camera.

  Attributes:
    cut_out: probability that the object is cut out.
    mirror: probability that a clip is mirrored.
    mirror_targets: mirror all frames but the first (the student's recipe).
    camera: the motion of whole pictures and of backgrounds.
    object: the motion of cut-out objects.
    hold: what the border of its still cuts off stays cut off by the frame's,
      where people would see the straight cut.
    wobble: how far cut-out objects bend at most, as a share of their size.
    wobble_speed: waves that pass per frame at most.
    reentry: probability that a cut-out object leaves between the first frame
      and the last.
    occluder: probability that another sample's object passes in front.
    occluder_size: bounds of its size, as a share of the object's.
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
  ) -> Stage:
    """Draw the trajectories of a batch.

    Args:
      key: of all draws.
      mask: the object on its still.
      size: (h, w) of the frames.
      clip_len: number of frames.
    """
    b, still = len(mask), mask.shape[1:3]
    key_camera, key_object, key_passer, key_chance = jax.random.split(key, 4)
    # One draw for all else: each costs compile time.
    chance = jax.random.uniform(key_chance, (13, b))
    cut_out = chance[0] < self.cut_out
    centre, extent = trajectories.box(mask)
    camera = self.camera.draw(key_camera, b, clip_len)
    by_itself = self.object.draw(key_object, b, clip_len)
    pose = jnp.where(cut_out[:, None, None], by_itself, camera)
    actor = _enter(pose, centre, extent, still, size)
    if self.hold:
      actor = _hold(actor, still, size)
    if self.reentry:
      leaves = cut_out & (chance[1] < self.reentry)
      actor = _leave(actor, leaves, chance[2] < 0.5, size[1])
    theta = actor.theta()

    middle = jnp.tile((jnp.array([still[::-1]]) - 1) / 2, (b, 1))
    nothing = jnp.zeros_like(middle)
    behind = _enter(camera, middle, nothing, still, size).theta()
    behind = jnp.where(cut_out[:, None, None, None], behind, theta)

    mirrored = (chance[3] < self.mirror)[:, None]
    if self.mirror_targets:
      mirrored ^= (jnp.arange(clip_len) > 0)[None]
    face = lambda theta: jnp.where(
      mirrored[..., None, None], trajectories.mirror(theta, size[1]), theta
    )
    occluder = None
    if self.occluder:
      passer = self.object.draw(key_passer, b, clip_len)
      passer = self._pass(passer, chance[5:8], actor, lend(mask, -1))
      occluder = trajectories.Trajectory(face(passer.theta()))
    wave = None
    if self.wobble:
      wave = self._wave(chance[8:], cut_out, extent, clip_len)
    return Stage(
      cut_out=cut_out,
      object=trajectories.Trajectory(face(theta), wave),
      background=trajectories.Trajectory(face(behind)),
      occluder=occluder,
      occluded=chance[4] < self.occluder,
    )

  def _pass(
    self, pose: jax.Array, chance: jax.Array, actor: _Actor, mask: jax.Array
  ) -> _Actor:
    """Send something across `actor`: beside it in frame 0, later on it."""
    centre, extent = trajectories.box(mask)
    t = pose.shape[1]
    low, high = self.occluder_size
    diagonal = (low + (high - low) * chance[0]) * 2 * actor.reach()
    scale = jnp.log(diagonal / jnp.linalg.norm(extent, axis=-1))
    grown = pose[..., 1] - pose[:, :1, 1] + scale[:, None]
    passer = _Actor(pose.at[..., 1].set(grown), centre, extent, actor.path)
    angle = 2 * math.pi * chance[1]
    way = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    # Not in the first half: it would have to jump there.
    half = max(1, t // 2)
    meeting = (half + jnp.floor((t - half) * chance[2]))[:, None]
    passed = (jnp.arange(t)[None] - meeting) / meeting
    apart = (passer.reach() + actor.reach())[:, None] * passed
    return passer.replace(path=actor.path + apart[..., None] * way[:, None])

  def _wave(
    self,
    chance: jax.Array,
    moves: jax.Array,
    extent: jax.Array,
    clip_len: int,
  ) -> trajectories.Wave:
    """Make waves as long as the object, which travel through it."""
    amplitude, turn_x, turn_y, speed_x, speed_y = chance[:, :, None, None, None]
    length = jnp.linalg.norm(extent, axis=-1)[:, None, None, None]
    amplitude = self.wobble * amplitude * length
    turn = jnp.stack([turn_x, turn_y], axis=-1)
    speed = jnp.stack([speed_x, speed_y], axis=-1) * 2 - 1
    k = np.arange(clip_len, dtype=np.float32)[None, :, None, None, None]
    return trajectories.Wave(
      amplitude=jnp.where(moves[:, None, None, None], amplitude, 0.0),
      frequency=1 / length,
      phase=turn + self.wobble_speed * speed * k,
    )


def lend(
  pictures: Float[Array, "b h w c"], offset: int
) -> Float[Array, "b h w c"]:
  """Give each sample the picture of another; if alone, its own, mirrored."""
  if len(pictures) == 1:
    return pictures[:, :, ::-1]
  return jnp.roll(pictures, offset, axis=0)


def _enter(
  pose: jax.Array,
  anchor: jax.Array,
  extent: jax.Array,
  still: tuple[int, int],
  size: tuple[int, int],
) -> _Actor:
  """Place a still so that it covers the frame, then shift it by its pose.

  The anchor gets as near the frame's middle as leaves the frame covered. What
  is at the anchor, as large as `extent`, is clearly seen in frame 0.
  """
  zoom = max((n - 1) / (m - 1) for n, m in zip(size, still, strict=True))
  pose = pose.at[..., 1].add(math.log(zoom))
  frame = jnp.array([size[::-1]], jnp.float32)
  beyond = jnp.array([still[::-1]]) - 1 - anchor
  home = jnp.clip((frame - 1) / 2, frame - 1 - zoom * beyond, zoom * anchor)
  path = home[:, None] + pose[..., 3:] * frame[:, None]
  room = jnp.minimum(_CLEAR * extent * jnp.exp(pose[:, 0, 1:2]), frame / 2)
  first = jnp.clip(path[:, 0], room, frame - 1 - room)
  return _Actor(pose, anchor, extent, path + (first - path[:, 0])[:, None])


def _hold(
  actor: _Actor, still: tuple[int, int], size: tuple[int, int]
) -> _Actor:
  """Push what the still's border cuts off back to the frame's border.

  An object that two opposite borders cut off cannot be helped.
  """
  half = actor.extent / 2
  last = jnp.array([still[::-1]]) - 1
  cut_low = actor.anchor - half < 0
  cut_high = actor.anchor + half > last
  signs = jnp.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
  corners = (actor.anchor[:, None] + half[:, None] * signs[None])[:, None, None]
  moved = trajectories.move(actor.theta(), corners)[:, :, 0]  # [b t 4 2]
  # Per axis, the corners on its low side and those on its high side.
  low = jnp.stack([moved[:, :, :2, 0], moved[:, :, ::2, 1]], axis=-1)
  high = jnp.stack([moved[:, :, 2:, 0], moved[:, :, 1::2, 1]], axis=-1)
  end = jnp.array([[size[::-1]]]) - 1
  back = jnp.where((cut_low & ~cut_high)[:, None], low.max(axis=2), 0)
  out = jnp.where((cut_high & ~cut_low)[:, None], end - high.min(axis=2), 0)
  push = jnp.maximum(out, 0) - jnp.maximum(back, 0)
  return actor.replace(path=actor.path + push)


def _leave(
  actor: _Actor, leaves: jax.Array, right: jax.Array, width: int
) -> _Actor:
  """Take an actor out of the frame and back; two frames are too few."""
  x = actor.path[:, 0, 0]
  way = jnp.where(right, width - x + actor.reach(), -x - actor.reach())
  # As what is thrown moves; the furthest frame shows nothing of it.
  out = 1 - np.linspace(-1, 1, actor.path.shape[1], dtype=np.float32) ** 2
  out = out[None] / max(out.max(), _TINY)
  detour = jnp.where(leaves, way, 0.0)[:, None] * out
  return actor.replace(path=actor.path.at[..., 0].add(detour))
