"""The scene without its object, remembered from frames that showed it.

What an object covers now, an earlier frame may have shown. So a plate keeps
the pixels of real frames, lets them move and brighten with the camera, and
asks the generator, once, for what nobody has seen yet: drawn anew in every
frame, backgrounds drift.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import warp

_OBJECT = 0.3  # a pixel that is covered more than this shows the object
_MARGIN = 5  # side of the window that widens the object's outline, pixels
_DRAWN, _REAL = 0.5, 1.0
_DARK = 1e-2  # of the light, against division by nothing


@struct.dataclass
class Memory:
  """What is carried from frame to frame.

  Attributes:
    picture: [b, h, w, 3] in [-1, 1].
    known: [b, h, w, 1] 1 where some frame has shown the scene, 1/2 where it
      was drawn, 0 where nothing is known.
    rest: [b, 1, 1, 2] how far the scene has moved beyond whole pixels: moved
      by parts of them again and again, pictures blur.
  """

  picture: Any
  known: Any
  rest: Any


def start(
  frame: Float[Array, "b h w 3"], mask: Float[Array, "b h w 1"]
) -> Memory:
  """Return what the first frame shows beside its object."""
  rest = jnp.zeros((len(frame), 1, 1, 2), frame.dtype)
  return Memory(frame, _REAL * (1.0 - hole(mask)), rest)


def step(
  memory: Memory,
  frame: Float[Array, "b h w 3"],
  mask: Float[Array, "b h w 1"],
  flow: Float[Array, "b h w 2"],
  drawn: Float[Array, "b h w 3"],
) -> tuple[Memory, Float[Array, "b h w 3"]]:
  """Return the memory after the next frame, and its plate in [-1, 1].

  Args:
    memory: of the frames before.
    frame: in [-1, 1].
    mask: of its object, in [0, 1].
    flow: from the frame before, pixels.
    drawn: what stands where nobody has seen anything, in [-1, 1].
  """
  free = 1.0 - hole(mask)
  moved = memory.rest + _pan(flow, memory.known == _REAL)
  whole = jnp.round(moved)
  kept = jnp.concatenate([memory.picture, memory.known], axis=-1)
  kept = warp.backward(
    kept, jnp.broadcast_to(-whole, flow.shape), outside="zero"
  )
  known = kept[..., 3:]
  seen = (known == _REAL).astype(frame.dtype)
  picture = _light(kept[..., :3], frame, seen * free)
  behind = jnp.where(known > 0, picture, drawn)
  plate = jnp.where(free > 0, frame, behind)
  known = jnp.where(free > 0, _REAL, jnp.maximum(known, _DRAWN))
  return Memory(plate, known, moved - whole), plate


def run(
  memory: Memory,
  frames: Float[Array, "b t h w 3"],
  masks: Float[Array, "b t h w 1"],
  flow: Float[Array, "b t h w 2"],
  drawn: Float[Array, "b t h w 3"],
) -> tuple[Memory, Float[Array, "b t h w 3"]]:
  """Return the memory after t frames, and their plates; see `step`."""
  first = lambda x: jnp.moveaxis(x, 1, 0)
  memory, plates = jax.lax.scan(
    lambda memory, x: step(memory, *x),
    memory,
    tuple(map(first, (frames, masks, flow, drawn))),
  )
  return memory, first(plates)


def hole(mask: Float[Array, "b h w 1"]) -> Float[Array, "b h w 1"]:
  """Return 1 where the object is or nearly is, else 0."""
  covered = (mask > _OBJECT).astype(mask.dtype)
  window = (_MARGIN, _MARGIN)
  return nn.max_pool(covered, window, strides=(1, 1), padding="SAME")


def _pan(flow: jax.Array, free: jax.Array) -> jax.Array:
  """Return the scene's motion [b 1 1 2]: the median where no object is."""
  still = jnp.where(free, flow, jnp.nan)
  pan = jnp.nanmedian(still, axis=(1, 2), keepdims=True)
  return jnp.nan_to_num(pan)


def _light(picture: jax.Array, frame: jax.Array, both: jax.Array) -> jax.Array:
  """Return the picture as bright, per channel, as the frame that shows it."""
  light = lambda x: ((x + 1.0) * both).sum((1, 2), keepdims=True)
  count = both.sum((1, 2), keepdims=True)
  gain = (light(frame) + _DARK * count) / (light(picture) + _DARK * count)
  gain = jnp.where(count > 0, gain, 1.0)
  return jnp.clip((picture + 1.0) * gain - 1.0, -1.0, 1.0)
