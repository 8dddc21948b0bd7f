"""Propagation of several objects through a video (RGMP, sec. 3.3).

`step` processes one frame; `run` is its `scan` over many frames. Memory is
constant for a video of any length: the carry is the soft masks of the previous
frame and the reference of each object.

The network propagates every object alone, and the union of all objects. The
complement of the union is background. A single object needs no merge.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, UInt8

from foregan_jax.layers import ranges, warp
from foregan_jax.nets import propagator

# Smallest and largest factor of the size at which frames are segmented.
SCALES = (0.05, 8.0)
_EPSILON = 1e-7  # of the published merge; keeps odds finite and above 0


class Tracked(struct.PyTreeNode):
  """The carry between frames, with n rows for objects; rows may be unused.

  Frames are padded, so h and w are larger than the video's. Each scale has
  `num_rows(n)` references: first the union of all objects, unless n is 1.
  """

  maps: Any  # float32 [n + 1, h, w]: background, then the objects; sums to 1
  references: tuple[propagator.ReferenceFeatures, ...]
  live: Any  # bool [n]: which rows are objects


@dataclasses.dataclass(frozen=True)
class Tracker:
  """A propagator of masks; all fields are static.

  Attributes:
    net: the network.
    scales: sizes of the frame, as factors, whose soft masks are averaged. The
      published ones cost twice as much as (1.0,).
    padding: how the sides of a frame become multiples of the network's stride:
      "black" always adds pixels, as published; "border" repeats the border.
      Black harms networks whose norms use statistics of the whole frame.
    unroll: whether the loop over frames is unrolled, which is faster on CPU.
  """

  net: propagator.Propagator
  scales: tuple[float, ...] = (0.5, 0.75, 1.0)
  padding: str = "black"
  unroll: bool = False

  def __post_init__(self):
    if self.padding not in ("black", "border"):
      raise ValueError(f"padding is {self.padding!r}, not black or border")

  def own_params(self, params: Mapping[str, Any]) -> Any:
    """Return the network's parameters, from those of all nets."""
    return params["prop"]

  def at_scales(self, scales: tuple[float, ...]) -> "Tracker":
    """Return the tracker with other scales; () keeps them."""
    return dataclasses.replace(self, scales=scales) if scales else self

  def begin(
    self,
    params,
    frame: UInt8[Array, "h w 3"],
    masks: Float[Array, "n h w"],
    live: Bool[Array, " n"],
  ) -> Tracked:
    """Return the state after a frame with known masks.

    Args:
      params: of the network.
      frame: the reference frame.
      masks: of the objects, in [0, 1], disjoint.
      live: which rows hold an object; other rows have no effect.
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
    """Return the state with new objects or corrected masks.

    The frame becomes the reference of these objects and of the union. The other
    objects keep their reference and the result of `step` on this frame.

    Args:
      params: of the network.
      state: after this frame.
      frame: the frame of the masks.
      masks: of the given objects, in [0, 1], disjoint.
      given: which rows are given.
    """
    is_given = given[:, None, None]
    masks = self._pad(masks * is_given)
    uncovered = 1.0 - masks.sum(0, keepdims=True)
    objects = jnp.where(is_given, masks, state.maps[1:] * uncovered)
    background = 1.0 - objects.sum(0, keepdims=True)
    maps = jnp.concatenate([background, objects])
    new_references = self._references(params, frame, maps)
    replaced = given
    if len(given) > 1:
      replaced = jnp.concatenate([jnp.ones(1, bool), given])
    pick = lambda new, old: jnp.where(replaced[:, None, None, None], new, old)
    references = jax.tree.map(pick, new_references, state.references)
    return Tracked(maps, references, state.live | given)

  def grow(self, state: Tracked, objects: int) -> Tracked:
    """Return a state with rows for more objects; call `add` before `step`.

    `add` fills the row of the union, which a single object does not have.
    """
    count = len(state.live)
    extra = objects - count
    if extra < 0:
      raise ValueError(f"the state has {count} objects, more than {objects}")
    first = num_rows(objects) - num_rows(count) - extra
    pad_rows = lambda x, before: jnp.pad(
      x, [(before, extra)] + [(0, 0)] * (x.ndim - 1)
    )
    return Tracked(
      pad_rows(state.maps, 0),
      jax.tree.map(lambda x: pad_rows(x, first), state.references),
      pad_rows(state.live, 0),
    )

  def step(
    self, params, state: Tracked, frame: UInt8[Array, "h w 3"]
  ) -> tuple[Tracked, Float[Array, "m h w"]]:
    """Return the state after the next frame, and its soft masks.

    Returns:
      The state, and probabilities [n + 1, h, w]: background, then the objects.
    """
    padded = self._padded_frame(frame)
    guides = _guides(state.maps)[..., None]
    soft_sum: Any = 0.0
    for scale, reference in zip(self.scales, state.references, strict=True):
      size = self._scaled(padded.shape[1:3], scale)
      resized = lambda x, size=size: warp.resize(x, size, align_corners=False)
      logits, _ = self.net.apply(
        {"params": params}, resized(padded), resized(guides), reference
      )
      soft = propagator.probability(logits)
      soft_sum += warp.resize(soft, padded.shape[1:3], align_corners=False)
    soft = soft_sum[..., 0] / len(self.scales)
    maps = _merge_rows(soft, state.live)
    return state.replace(maps=maps), self._crop(maps, frame.shape[:2])

  def run(
    self, params, state: Tracked, frames: UInt8[Array, "t h w 3"]
  ) -> tuple[Tracked, Float[Array, "t m h w"]]:
    """Return the state after t frames, and the soft masks of each."""
    body = lambda state, frame: self.step(params, state, frame)
    unroll = len(frames) if self.unroll else 1
    return jax.lax.scan(body, state, frames, unroll=unroll)

  def begin_all(
    self,
    params,
    frame: UInt8[Array, "b h w 3"],
    mask: UInt8[Array, "b h w n"],
  ) -> Tracked:
    """Return the states of videos after their first frames.

    Args:
      params: of the network.
      frame: the reference frames.
      mask: coverage of the n objects, 0 to 255.
    """
    masks = jnp.moveaxis(ranges.mask_to_float(mask), -1, 1)
    live = jnp.ones(mask.shape[-1], bool)
    begin = lambda frame, masks: self.begin(params, frame, masks, live)
    return jax.vmap(begin)(frame, masks)

  def run_all(
    self, params, states: Tracked, frames: UInt8[Array, "b t h w 3"]
  ) -> tuple[Tracked, Float[Array, "b t h w n"]]:
    """Return the states after t frames, and the objects' soft masks."""
    run = lambda state, frames: self.run(params, state, frames)
    states, soft = jax.vmap(run)(states, frames)
    # The first row is the background.
    return states, jnp.moveaxis(soft[:, :, 1:], 2, -1)

  def _references(
    self, params, frame, maps
  ) -> tuple[propagator.ReferenceFeatures, ...]:
    """Return the reference features at each scale."""
    frame = self._padded_frame(frame)
    masks = _guides(maps)[..., None]
    references = []
    for scale in self.scales:
      size = self._scaled(frame.shape[1:3], scale)
      references.append(
        self.net.apply(
          {"params": params},
          warp.resize(frame, size, align_corners=False),
          warp.resize(masks, size, align_corners=False),
          method="encode_reference",
        )
      )
    return tuple(references)

  def padded_length(self, length: int) -> int:
    """Return the side of a padded frame, a multiple of the net's stride.

    Black padding is never empty, as published: 480 becomes 512.
    """
    stride = self.net.stride
    if self.padding == "black":
      return length + stride - length % stride
    return -(-length // stride) * stride

  def _scaled(self, size: tuple[int, int], scale: float) -> tuple[int, int]:
    if scale == 1.0:
      return size
    height, width = (self.padded_length(int(n * scale)) for n in size)
    return height, width

  def _margins(self, length: int) -> tuple[int, int]:
    extra = self.padded_length(length) - length
    return extra // 2, extra - extra // 2

  def _pad(self, x: jax.Array, black: float = 0.0) -> jax.Array:
    """Pad [n, h, w] to multiples of the network's stride."""
    margins = [(0, 0), *map(self._margins, x.shape[1:])]
    if self.padding == "black":
      return jnp.pad(x, margins, constant_values=black)
    return jnp.pad(x, margins, mode="edge")

  def _padded_frame(self, frame: jax.Array) -> jax.Array:
    """Return a uint8 frame [h, w, 3] as padded input of the network."""
    planes = jnp.moveaxis(ranges.image_to_float(frame), -1, 0)
    return jnp.moveaxis(self._pad(planes, black=-1.0), 0, -1)[None]

  def _crop(self, x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Undo `_pad`."""
    (top, _), (left, _) = map(self._margins, size)
    return x[:, top : top + size[0], left : left + size[1]]


def parse_scales(text: str) -> tuple[float, ...]:
  """Return the scales of a flag such as `0.5,0.75,1`; () if it is empty.

  Raises:
    ValueError: if it is not a list of numbers within `SCALES`.
  """
  try:
    scales = tuple(map(float, filter(None, text.split(","))))
  except ValueError:
    scales = (0.0,)
  low, high = SCALES
  if not all(low <= scale <= high for scale in scales):
    raise ValueError(
      f"--scales={text}: expected numbers between {low} and {high}, as in "
      "--scales=0.5,0.75,1"
    )
  return scales


def num_rows(objects: int) -> int:
  """Return the number of propagated masks for a number of objects."""
  return objects if objects == 1 else objects + 1


def _guides(maps: jax.Array) -> jax.Array:
  """Return the masks to propagate: the union, then each object."""
  objects = maps[1:]
  if len(objects) == 1:
    return objects
  return jnp.concatenate([objects.sum(0, keepdims=True), objects])


def _merge_rows(
  soft: Float[Array, "r h w"], live: Bool[Array, " n"]
) -> jax.Array:
  """Return maps [n + 1, h, w] that sum to 1: odds over the sum of odds.

  `E_m = o_m / sum_j o_j`, `o = p / (1 - p)`, with `p_0 = 1 - p_union`. A single
  object keeps its `p`.
  """
  if len(live) == 1:
    soft = soft * live[:, None, None]
    return jnp.concatenate([1.0 - soft, soft])
  return merge(jnp.concatenate([1.0 - soft[:1], soft[1:]]), live)


def merge(
  soft: Float[Array, "m h w"], live: Bool[Array, " n"]
) -> Float[Array, "m h w"]:
  """Return soft masks (background first) that sum to 1 at each pixel."""
  soft = jnp.clip(soft, _EPSILON, 1.0 - _EPSILON)
  odds = soft / (1.0 - soft)
  counts = jnp.concatenate([jnp.ones(1, bool), live])[:, None, None]
  odds = odds * counts
  return odds / odds.sum(0, keepdims=True)


def step_on_noise(
  tracker: Any, params: Any, size: tuple[int, int], key: jax.Array
) -> Float[Array, "m h w"]:
  """Segment a random frame with one object, to measure the time of a step.

  Args:
    tracker: this one, or that of another network with the same methods.
    params: from its `own_params`.
    size: height and width of the frame.
    key: random key.
  """
  keys = jax.random.split(key, 2)
  frame = jax.random.bits(keys[0], (*size, 3), jnp.uint8)
  begin = lambda params, frame: tracker.begin(
    params, frame, jnp.ones((1, *size)), jnp.ones(1, bool)
  )
  # The time does not depend on the values of the state.
  like = jax.eval_shape(begin, params, frame)
  state = jax.tree.map(
    lambda x: jax.random.uniform(keys[1], x.shape).astype(x.dtype), like
  )
  return tracker.step(params, state, frame)[1]
