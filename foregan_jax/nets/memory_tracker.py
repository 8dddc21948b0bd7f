"""Propagation of several objects through a video with a memory.

It has the methods of `tracker.Tracker`. The memory has a fixed number of
frames, so a video of any length needs constant memory and one program: frames
that the user gave (the first one always), a ring of every n-th frame, and the
last frame. XMem (ECCV 2022) calls this the working memory.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, UInt8

from foregan_jax.layers import ranges
from foregan_jax.nets import efficientnet, memory

_FIRST = 0  # the slot of the first frame


class Remembered(struct.PyTreeNode):
  """The carry between frames, with n rows for objects and m frames in memory.

  Frames are padded, so h and w are larger than the video's.
  """

  maps: Any  # float32 [n + 1, h, w]: background, then the objects; sums to 1
  live: Any  # bool [n]: which rows are objects
  keys: Any  # [m, h/16, w/16, k]
  values: Any  # [n, m, h/16, w/16, v]
  valid: Any  # bool [n, m]
  time: Any  # int32: frames since the first one
  given: Any  # int32: number of frames that the user gave


@dataclasses.dataclass(frozen=True)
class MemoryTracker:
  """A propagator of masks with a memory; all fields are static.

  Attributes:
    net: keys, values and decoder.
    trunk: the frozen network below.
    num_given: slots of the user's frames: the first, and the newest others.
    num_kept: slots of the ring.
    every: each n-th frame enters the ring.
    top_k: number of pixels in memory that a pixel reads; 0: all.
    unroll: whether the loop over frames is unrolled, which is faster on CPU.
  """

  net: memory.MemoryNet
  trunk: efficientnet.EfficientNetLite0
  num_given: int = 3
  num_kept: int = 5
  every: int = 5
  top_k: int = 0
  unroll: bool = False

  @property
  def num_slots(self) -> int:
    """Return the number of frames in memory."""
    return self.num_given + self.num_kept + 1

  def own_params(self, params: Mapping[str, Any]) -> Any:
    """Return the parameters of both networks, from those of all nets."""
    return {"prop": params["prop"], "trunk": params["trunk"]}

  def at_scales(self, scales: tuple[float, ...]) -> "MemoryTracker":
    """Return the tracker; () is the only choice.

    Raises:
      ValueError: for other scales.
    """
    if scales:
      raise ValueError(
        f"--scales={','.join(map(str, scales))}: a memory has frames of one "
        "size"
      )
    return self

  def begin(
    self,
    params,
    frame: UInt8[Array, "h w 3"],
    masks: Float[Array, "n h w"],
    live: Bool[Array, " n"],
  ) -> Remembered:
    """Return the state after a frame with known masks.

    Args:
      params: from `own_params`.
      frame: the reference frame.
      masks: of the objects, in [0, 1], disjoint.
      live: which rows hold an object; other rows have no effect.
    """
    masks = _pad(masks * live[:, None, None])
    query = self._query(params, frame[None])
    values = self._value(params, query, masks)
    n, (h, w, v) = len(masks), values.shape[1:]
    m = self.num_slots
    state = Remembered(
      maps=_maps(masks),
      live=live,
      keys=jnp.zeros((m, *query.key.shape[1:]), query.key.dtype),
      values=jnp.zeros((n, m, h, w, v), values.dtype),
      valid=jnp.zeros((n, m), bool),
      time=jnp.zeros((), jnp.int32),
      given=jnp.ones((), jnp.int32),
    )
    return _write(state, _FIRST, query.key[0], values, live)

  def add(
    self,
    params,
    state: Remembered,
    frame: UInt8[Array, "h w 3"],
    masks: Float[Array, "n h w"],
    given: Bool[Array, " n"],
  ) -> Remembered:
    """Return the state with new objects or corrected masks of a frame.

    The frame enters the memory of all objects: with the given masks of the
    given objects, and with the results of `step` of the others.

    Args:
      params: from `own_params`.
      state: after this frame.
      frame: the frame of the masks.
      masks: of the given objects, in [0, 1], disjoint.
      given: which rows are given.
    """
    is_given = given[:, None, None]
    masks = _pad(masks * is_given)
    uncovered = 1.0 - masks.sum(0, keepdims=True)
    objects = jnp.where(is_given, masks, state.maps[1:] * uncovered)
    live = state.live | given
    query = self._query(params, frame[None])
    values = self._value(params, query, objects)
    # The first frame keeps its slot; later ones take turns.
    slot = 1 + (state.given - 1) % (self.num_given - 1)
    state = state.replace(maps=_maps(objects), live=live, given=state.given + 1)
    state = _write(state, slot, query.key[0], values, live)
    return _write(state, self.num_slots - 1, query.key[0], values, live)

  def grow(self, state: Remembered, objects: int) -> Remembered:
    """Return a state with rows for more objects; call `add` before `step`."""
    extra = objects - len(state.live)
    if extra < 0:
      raise ValueError(
        f"the state has {len(state.live)} objects, more than {objects}"
      )
    pad = lambda x: jnp.pad(x, [(0, extra)] + [(0, 0)] * (x.ndim - 1))
    return state.replace(
      maps=pad(state.maps),
      live=pad(state.live),
      values=pad(state.values),
      valid=pad(state.valid),
    )

  def step(
    self, params, state: Remembered, frame: UInt8[Array, "h w 3"]
  ) -> tuple[Remembered, Float[Array, "m h w"]]:
    """Return the state after the next frame, and its soft masks.

    Returns:
      The state, and probabilities [n + 1, h, w]: background, then the objects.
    """
    query = self._query(params, frame[None])
    state = self._advance(params, state, query)
    h, w = frame.shape[:2]
    return state, _crop(state.maps, (h, w))

  def run(
    self, params, state: Remembered, frames: UInt8[Array, "t h w 3"]
  ) -> tuple[Remembered, Float[Array, "t m h w"]]:
    """Return the state after t frames, and the soft masks of each.

    The trunk sees all frames at once, outside the loop.
    """
    queries = self._query(params, frames)
    size = frames.shape[1:3]

    def body(state, query):
      query = jax.tree.map(lambda x: x[None], query)
      state = self._advance(params, state, query)
      return state, _crop(state.maps, size)

    unroll = len(frames) if self.unroll else 1
    return jax.lax.scan(body, state, queries, unroll=unroll)

  def begin_all(
    self,
    params,
    frame: UInt8[Array, "b h w 3"],
    mask: UInt8[Array, "b h w n"],
  ) -> Remembered:
    """Return the states of videos after their first frames.

    Args:
      params: from `own_params`.
      frame: the reference frames.
      mask: coverage of the n objects, 0 to 255.
    """
    masks = jnp.moveaxis(ranges.mask_to_float(mask), -1, 1)
    live = jnp.ones(mask.shape[-1], bool)
    begin = lambda frame, masks: self.begin(params, frame, masks, live)
    return jax.vmap(begin)(frame, masks)

  def run_all(
    self, params, states: Remembered, frames: UInt8[Array, "b t h w 3"]
  ) -> tuple[Remembered, Float[Array, "b t h w n"]]:
    """Return the states after t frames, and the objects' soft masks."""
    run = lambda state, frames: self.run(params, state, frames)
    states, soft = jax.vmap(run)(states, frames)
    # The first row is the background.
    return states, jnp.moveaxis(soft[:, :, 1:], 2, -1)

  def _advance(
    self, params, state: Remembered, query: memory.Query
  ) -> Remembered:
    """Segment one frame and put it into the memory."""
    n = len(state.live)
    prev_masks = memory.beside(state.maps[1:])
    earlier = (state.keys[None], state.values[None], state.valid[None])
    read = self._apply(
      params, "match", query, *earlier, prev_masks[None], self.top_k
    )[0]
    logits = self._apply(params, "decode", query.repeat(n), read, prev_masks)
    maps = jnp.exp(memory.merge(logits, state.live))
    values = self._value(params, query, maps[1:])
    time = state.time + 1
    state = state.replace(maps=maps, time=time)
    last = self.num_slots - 1
    ring = self.num_given + (time // self.every) % self.num_kept
    # A frame that does not enter the ring is written to the last slot twice.
    ring = jnp.where(time % self.every == 0, ring, last)
    state = _write(state, ring, query.key[0], values, state.live)
    return _write(state, last, query.key[0], values, state.live)

  def _query(self, params, frames: UInt8[Array, "t h w 3"]) -> memory.Query:
    planes = jnp.moveaxis(ranges.image_to_float(frames), -1, 1)
    t, c, h, w = planes.shape
    padded = _pad(planes.reshape(t * c, h, w))
    images = jnp.moveaxis(padded.reshape(t, c, *padded.shape[1:]), 1, -1)
    features = self.trunk.apply({"params": params["trunk"]}, images)
    return self._apply(params, "query", features)

  def _value(
    self, params, query: memory.Query, masks: Float[Array, "n h w"]
  ) -> jax.Array:
    rows = query.repeat(len(masks))
    return self._apply(params, "value", rows, memory.beside(masks))

  def _apply(self, params, method: str, *args) -> Any:
    return self.net.apply({"params": params["prop"]}, *args, method=method)


def _maps(objects: jax.Array) -> jax.Array:
  return jnp.concatenate([1.0 - objects.sum(0, keepdims=True), objects])


def _write(
  state: Remembered, slot: Any, key: jax.Array, values: jax.Array, live
) -> Remembered:
  """Write a frame into a slot of the memory."""
  return state.replace(
    keys=state.keys.at[slot].set(key),
    values=state.values.at[:, slot].set(values),
    valid=state.valid.at[:, slot].set(live),
  )


def _margins(length: int) -> tuple[int, int]:
  extra = -length % memory.STRIDE
  return extra // 2, extra - extra // 2


def _pad(x: Float[Array, "n h w"]) -> jax.Array:
  """Repeat the border up to multiples of the stride."""
  margins = [(0, 0), *map(_margins, x.shape[1:])]
  return jnp.pad(x, margins, mode="edge")


def _crop(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Undo `_pad`."""
  (top, _), (left, _) = map(_margins, size)
  return x[:, top : top + size[0], left : left + size[1]]
