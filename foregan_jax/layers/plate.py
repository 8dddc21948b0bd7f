"""The background of a video, collected from earlier frames.

An earlier frame may show what the object covers now. So the plate keeps pixels
of real frames and moves and brightens them with the camera. The generated
background fills a pixel once, if no frame has shown it yet: a background that
is generated anew in each frame drifts.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import warp

_OBJECT = 0.3  # mask values above this belong to the object
_MARGIN = 5  # side of the window that dilates the mask, pixels
_GENERATED, _REAL = 0.5, 1.0  # values of `Memory.known`
_DARK = 1e-2  # brightness added to both sums, against division by zero


class Memory(struct.PyTreeNode):
  """The state that is carried from frame to frame.

  Attributes:
    image: [b, h, w, 3] background in [-1, 1].
    known: [b, h, w, 1] 1 if the pixel comes from a real frame, 1/2 if it was
      generated, 0 if it is unknown.
    subpixel: [b, 1, 1, 2] motion of the background beyond whole pixels. The
      image moves by whole pixels only, because repeated interpolation blurs it.
  """

  image: Any
  known: Any
  subpixel: Any


def start(
  frame: Float[Array, "b h w 3"], mask: Float[Array, "b h w 1"]
) -> Memory:
  """Return the memory after the first frame: its pixels off the object."""
  subpixel = jnp.zeros((len(frame), 1, 1, 2), frame.dtype)
  return Memory(frame, _REAL * (1.0 - hole(mask)), subpixel)


def step(
  memory: Memory,
  frame: Float[Array, "b h w 3"],
  mask: Float[Array, "b h w 1"],
  flow: Float[Array, "b h w 2"],
  generated: Float[Array, "b h w 3"],
) -> tuple[Memory, Float[Array, "b h w 3"]]:
  """Return the memory after the next frame, and its plate in [-1, 1].

  Args:
    memory: memory after the previous frame.
    frame: the frame in [-1, 1].
    mask: mask of the frame's object in [0, 1].
    flow: flow from the previous frame, in pixels.
    generated: background for the unknown pixels, in [-1, 1].
  """
  free = 1.0 - hole(mask)
  motion = memory.subpixel + _camera_motion(flow, memory.known == _REAL)
  whole = jnp.round(motion)
  moved = jnp.concatenate([memory.image, memory.known], axis=-1)
  moved = warp.backward(
    moved, jnp.broadcast_to(-whole, flow.shape), outside="zero"
  )
  known = moved[..., 3:]
  real = (known == _REAL).astype(frame.dtype)
  image = _match_brightness(moved[..., :3], frame, real * free)
  hidden = jnp.where(known > 0, image, generated)
  plate = jnp.where(free > 0, frame, hidden)
  known = jnp.where(free > 0, _REAL, jnp.maximum(known, _GENERATED))
  return Memory(plate, known, motion - whole), plate


def run(
  memory: Memory,
  frames: Float[Array, "b t h w 3"],
  masks: Float[Array, "b t h w 1"],
  flow: Float[Array, "b t h w 2"],
  generated: Float[Array, "b t h w 3"],
) -> tuple[Memory, Float[Array, "b t h w 3"]]:
  """Return the memory after t frames, and their plates; see `step`."""
  swap_time = lambda x: jnp.moveaxis(x, 1, 0)
  memory, plates = jax.lax.scan(
    lambda memory, x: step(memory, *x),
    memory,
    tuple(map(swap_time, (frames, masks, flow, generated))),
  )
  return memory, swap_time(plates)


def hole(mask: Float[Array, "b h w 1"]) -> Float[Array, "b h w 1"]:
  """Return the dilated binary mask: 1 at and near the object, else 0."""
  covered = (mask > _OBJECT).astype(mask.dtype)
  window = (_MARGIN, _MARGIN)
  return nn.max_pool(covered, window, strides=(1, 1), padding="SAME")


def _camera_motion(flow: jax.Array, free: jax.Array) -> jax.Array:
  """Return the median flow [b 1 1 2] off the object, in pixels."""
  background = jnp.where(free, flow, jnp.nan)
  motion = jnp.nanmedian(background, axis=(1, 2), keepdims=True)
  return jnp.nan_to_num(motion)


def _match_brightness(
  image: jax.Array, frame: jax.Array, shared: jax.Array
) -> jax.Array:
  """Return `image` with the brightness of `frame`, per channel.

  `shared` [b h w 1] is 1 where both images show the background.
  """
  total = lambda x: ((x + 1.0) * shared).sum((1, 2), keepdims=True)
  count = shared.sum((1, 2), keepdims=True)
  gain = (total(frame) + _DARK * count) / (total(image) + _DARK * count)
  gain = jnp.where(count > 0, gain, 1.0)
  return jnp.clip((image + 1.0) * gain - 1.0, -1.0, 1.0)
