"""A video's masks from those of one frame, object by object (RGMP, sec. 3.3).

The same `step` serves a camera, frame by frame, and `run`, its `scan` over
many frames: constant memory for a video of any length, for all that is carried
are the soft masks of the frame before and each object's reference.

Every object is propagated by itself, and so are all of them together as one;
what is in none of them is background. With a single object nothing is merged.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, UInt8

from foregan_jax.layers import ranges, warp
from foregan_jax.nets import propagator

_EPSILON = 1e-7  # of the published merge: no odds are 0 or infinite


@struct.dataclass
class Tracked:
  """What is carried from frame to frame, for n objects (some may be none).

  Frames are padded, so h and w are larger than the video's. The references are
  `num_rows(n)` for each scale: all objects as one first, unless there is only
  one object.
  """

  maps: Any  # float32 [n + 1, h, w]: background, then the objects; sums to 1
  references: tuple[propagator.Memory, ...]
  live: Any  # bool [n]: which rows are objects


@dataclasses.dataclass(frozen=True)
class Tracker:
  """Propagates masks; every field is static.

  Attributes:
    net: the network.
    scales: sizes at which a frame is looked at; their soft masks are averaged.
      The published ones cost twice as much as (1.0,).
    padding: how a frame's sides become multiples of the network's stride:
      "black" always adds some, as published; "border" repeats the border. A
      network whose norms look at the whole frame is misled by black.
    unroll: whether the loop over frames is unrolled, as CPUs like it.
  """

  net: propagator.Propagator
  scales: tuple[float, ...] = (0.5, 0.75, 1.0)
  padding: str = "black"
  unroll: bool = False

  def __post_init__(self):
    if self.padding not in ("black", "border"):
      raise ValueError(f"padding is {self.padding!r}, not black or border")

  def begin(
    self,
    params,
    frame: UInt8[Array, "h w 3"],
    masks: Float[Array, "n h w"],
    live: Bool[Array, " n"],
  ) -> Tracked:
    """Returns the state after a frame whose masks are given.

    Args:
      params: of the network.
      frame: the reference.
      masks: of the objects, in [0, 1], disjoint.
      live: which rows hold an object; the others change nothing.
    """
    masks = self._pad(masks * live[:, None, None])
    maps = jnp.concatenate([1.0 - masks.sum(0, keepdims=True), masks])
    return Tracked(maps, self._references(params, frame, maps), live)

  def add(
    self,
    params,
    state: Tracked,
    frame: UInt8[Array, "h w 3"],
    masks: Float[Array, "n h w"],
    given: Bool[Array, " n"],
  ) -> Tracked:
    """Returns the state with new objects, or better masks, of a frame.

    The frame becomes the reference of these objects and of all as one; the
    others keep theirs, and what `step` said of them on this frame.

    Args:
      params: of the network.
      state: after this frame.
      frame: on which the masks are given.
      masks: of the given objects, in [0, 1], disjoint.
      given: which rows these are.
    """
    here = given[:, None, None]
    masks = self._pad(masks * here)
    free = 1.0 - masks.sum(0, keepdims=True)
    objects = jnp.where(here, masks, state.maps[1:] * free)
    background = 1.0 - objects.sum(0, keepdims=True)
    maps = jnp.concatenate([background, objects])
    fresh = self._references(params, frame, maps)
    replaced = given
    if len(given) > 1:
      replaced = jnp.concatenate([jnp.ones(1, bool), given])
    pick = lambda new, old: jnp.where(replaced[:, None, None, None], new, old)
    references = jax.tree.map(pick, fresh, state.references)
    return Tracked(maps, references, state.live | given)

  def step(
    self, params, state: Tracked, frame: UInt8[Array, "h w 3"]
  ) -> tuple[Tracked, Float[Array, "m h w"]]:
    """Returns the state after the next frame, and its soft masks.

    Returns:
      The state, and probabilities [n + 1, h, w]: background, then the objects.
    """
    padded = self._padded_frame(frame)
    guides = _guides(state.maps)[..., None]
    found = 0.0
    for scale, reference in zip(self.scales, state.references, strict=True):
      size = self._scaled(padded.shape[1:3], scale)
      resized = lambda x, size=size: warp.resize(x, size, align_corners=False)
      logits, _ = self.net.apply(
        {"params": params}, resized(padded), resized(guides), reference
      )
      soft = propagator.probability(logits)
      found += warp.resize(soft, padded.shape[1:3], align_corners=False)
    found = found[..., 0] / len(self.scales)
    maps = _merge(found, state.live)
    return state.replace(maps=maps), self._crop(maps, frame.shape[:2])

  def run(
    self, params, state: Tracked, frames: UInt8[Array, "t h w 3"]
  ) -> tuple[Tracked, Float[Array, "t m h w"]]:
    """Returns the state after t frames, and the soft masks of each."""
    body = lambda state, frame: self.step(params, state, frame)
    unroll = len(frames) if self.unroll else 1
    return jax.lax.scan(body, state, frames, unroll=unroll)

  def begin_all(
    self,
    params,
    frame: UInt8[Array, "b h w 3"],
    mask: UInt8[Array, "b h w n"],
  ) -> Tracked:
    """Returns the states of videos after their first frames.

    Args:
      params: of the network.
      frame: the references.
      mask: coverage of the n objects, 0 to 255.
    """
    masks = jnp.moveaxis(ranges.mask_to_float(mask), -1, 1)
    live = jnp.ones(mask.shape[-1], bool)
    begin = lambda frame, masks: self.begin(params, frame, masks, live)
    return jax.vmap(begin)(frame, masks)

  def run_all(
    self, params, states: Tracked, frames: UInt8[Array, "b t h w 3"]
  ) -> tuple[Tracked, Float[Array, "b t h w n"]]:
    """Returns the states after t frames, and the objects' soft masks."""
    run = lambda state, frames: self.run(params, state, frames)
    states, soft = jax.vmap(run)(states, frames)
    # The first row is the background.
    return states, jnp.moveaxis(soft[:, :, 1:], 2, -1)

  def _references(self, params, frame, maps) -> tuple[propagator.Memory, ...]:
    frame = self._padded_frame(frame)
    masks = _guides(maps)[..., None]
    made = []
    for scale in self.scales:
      size = self._scaled(frame.shape[1:3], scale)
      made.append(
        self.net.apply(
          {"params": params},
          warp.resize(frame, size, align_corners=False),
          warp.resize(masks, size, align_corners=False),
          method="remember",
        )
      )
    return tuple(made)

  def padded_length(self, length: int) -> int:
    """Returns the side of a padded frame, a multiple of the net's stride.

    In black it is larger even if it need not be: 480 becomes 512 (sic).
    """
    stride = self.net.stride
    if self.padding == "black":
      return length + stride - length % stride
    return -(-length // stride) * stride

  def _scaled(self, size: tuple[int, int], scale: float) -> tuple[int, int]:
    if scale == 1.0:
      return size
    return tuple(self.padded_length(int(n * scale)) for n in size)

  def _margins(self, length: int) -> tuple[int, int]:
    extra = self.padded_length(length) - length
    return extra // 2, extra - extra // 2

  def _pad(self, x: jax.Array, black: float = 0.0) -> jax.Array:
    """Pads [n, h, w] to what the network takes."""
    margins = [(0, 0), *map(self._margins, x.shape[1:])]
    if self.padding == "black":
      return jnp.pad(x, margins, constant_values=black)
    return jnp.pad(x, margins, mode="edge")

  def _padded_frame(self, frame: jax.Array) -> jax.Array:
    """Returns a stored frame [h, w, 3] as the network takes it."""
    planes = jnp.moveaxis(ranges.image_to_float(frame), -1, 0)
    return jnp.moveaxis(self._pad(planes, black=-1.0), 0, -1)[None]

  def _crop(self, x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Undoes `_pad`."""
    (top, _), (left, _) = map(self._margins, size)
    return x[:, top : top + size[0], left : left + size[1]]


def num_rows(objects: int) -> int:
  """Returns how many masks are propagated for so many objects."""
  return objects if objects == 1 else objects + 1


def grow(state: Tracked, objects: int) -> Tracked:
  """Returns a state with room for more objects; call `add` before `step`.

  Until then the row of all objects as one is missing where there was a single
  object.
  """
  have = len(state.live)
  extra = objects - have
  if extra < 0:
    raise ValueError(f"there are {have} objects already, more than {objects}")
  first = num_rows(objects) - num_rows(have) - extra
  wider = lambda x, before: jnp.pad(
    x, [(before, extra)] + [(0, 0)] * (x.ndim - 1)
  )
  return Tracked(
    wider(state.maps, 0),
    jax.tree.map(lambda x: wider(x, first), state.references),
    wider(state.live, 0),
  )


def _guides(maps: jax.Array) -> jax.Array:
  """Returns the masks to propagate: all objects as one, then each."""
  objects = maps[1:]
  if len(objects) == 1:
    return objects
  return jnp.concatenate([objects.sum(0, keepdims=True), objects])


def _merge(found: Float[Array, "r h w"], live: Bool[Array, " n"]) -> jax.Array:
  """Returns maps [n + 1, h, w] that sum to 1: odds over the sum of odds.

  `E_m = o_m / sum_j o_j`, `o = p / (1 - p)`, with `p_0 = 1 -` that of all
  objects as one. A single object keeps its own `p`.
  """
  if len(live) == 1:
    soft = found * live[:, None, None]
    return jnp.concatenate([1.0 - soft, soft])
  return merge(jnp.concatenate([1.0 - found[:1], found[1:]]), live)


def merge(
  soft: Float[Array, "m h w"], live: Bool[Array, " n"]
) -> Float[Array, "m h w"]:
  """Returns soft masks (background first) as one distribution per pixel."""
  soft = jnp.clip(soft, _EPSILON, 1.0 - _EPSILON)
  odds = soft / (1.0 - soft)
  counts = jnp.concatenate([jnp.ones(1, bool), live])[:, None, None]
  odds = odds * counts
  return odds / odds.sum(0, keepdims=True)
