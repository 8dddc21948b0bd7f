"""Foreground and background generators rolled out over a clip.

VOS-ForeGAN secs. 1, 4 and 8: frame 0 is cut into layers by its mask; then, for
every transition t -> t+1, `gf` makes the next foreground and mask, `gb` the
next background, and the frame is composed from them. The same `step`, called
frame by frame, is the streaming form.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import composite, inpaint, warp

Params = dict[str, Any]
# In a tree: an array, or its shape while a program is only traced.
Leaf = Any


@struct.dataclass
class Carry:
  """What one transition hands to the next."""

  fg: Leaf  # [b, h, w, 3] in [-1, 1]
  bg: Leaf  # [b, h, w, 3]
  mask: Leaf  # [b, h, w, 1] in [0, 1]
  fg_state: Any
  bg_state: Any
  # The masked first frame carried by the flow alone (experiments 1 to 5).
  warped: Leaf | None


@struct.dataclass
class Layers:
  """One frame, taken apart."""

  frame: Leaf  # [.., h, w, 3] composed, in [-1, 1]
  fg: Leaf  # [.., h, w, 3] what the critic sees and the next step gets
  bg: Leaf  # [.., h, w, 3]
  mask: Leaf  # [.., h, w, 1]
  # In prediction, the scene without its object (`layers.plate`), else None.
  plate: Leaf | None = None


@struct.dataclass
class Inputs:
  """What a transition t -> t+1 is told beside the carry."""

  flow: Leaf  # [.., h, w, 2] forward flow, pixels
  # The real next frame, for the variants that look at it; else None.
  next_frame: Leaf | None


@dataclasses.dataclass(frozen=True)
class VideoLayers:
  """The two generators and how their outputs are put together.

  Attributes:
    gf: foreground generator; makes image and mask.
    gb: background generator; makes an image.
    fg_condition: what `gf` gets beside the previous foreground.
    fg_base: what the attention mixes with the new colours: the previous
      foreground, or the first foreground warped along the flow.
    carried: ours; whether the foreground and the mask of frame t are moved
      along the flow before `gf` sees them, so that it corrects what the flow
      says instead of learning to move things.
    bg_condition: what `gb` gets beside its image.
    bg_input: the previous background, or the real next frame with noise in
      the predicted mask (experiment 6, second network pair).
    bg_init: how the hole in the first background is filled.
    composition: `alpha` (m F + (1-m) B) or the source's `additive`.
    fg_masking: `dark` sets the foreground to -1 outside the mask; `none` not;
      `zero` sets it to mid-grey.
    fg_outside: what surrounds the object in the first foreground: black, or
      0 in the weeks in which the source multiplied it by its mask.
    flow_clip: pixels at which the flow input saturates.
  """

  gf: nn.Module
  gb: nn.Module
  fg_condition: Literal["flow", "flow_mask", "next_frame"] = "flow_mask"
  fg_base: Literal["prev", "warp"] = "prev"
  carried: bool = False
  bg_condition: Literal["none", "flow"] = "none"
  bg_input: Literal["prev", "next_frame_noise_hole"] = "prev"
  bg_init: Literal["row", "noise", "uniform", "black"] = "row"
  composition: Literal["alpha", "additive"] = "alpha"
  fg_masking: Literal["dark", "none", "zero"] = "dark"
  fg_outside: float = -1.0
  flow_clip: float = 20.0

  @property
  def looks_ahead(self) -> bool:
    """Whether a transition is told the real next frame."""
    return (
      self.fg_condition == "next_frame"
      or self.bg_input == "next_frame_noise_hole"
    )

  def init(self, key: jax.Array, height: int, width: int) -> Params:
    """Returns fresh parameters {"gf", "gb"}."""
    key_f, key_b = jax.random.split(key)
    spec = lambda *shape: jax.ShapeDtypeStruct(
      (1, height, width, *shape), jnp.float32
    )
    frame, mask = spec(3), spec(1)
    carry = jax.eval_shape(self.start, frame, mask, key)
    told = Inputs(spec(2), frame)
    fg_in = jax.eval_shape(self._fg_input, carry, told)
    bg_in, _ = jax.eval_shape(self._bg_input, carry, told, mask, key)
    # Lazily, from shapes: a forward pass on constant zeros would be folded at
    # compile time, for minutes.
    init = lambda net, key, x, state: net.lazy_init(
      key, x, frame, state, t=0, mask_slope=1.0
    )["params"]
    return {
      "gf": init(self.gf, key_f, fg_in, carry.fg_state),
      "gb": init(self.gb, key_b, bg_in, carry.bg_state),
    }

  def start(
    self,
    frame: Float[Array, "b h w 3"],
    mask: Float[Array, "b h w 1"],
    key: jax.Array,
  ) -> Carry:
    """Cuts the first frame into layers (VOS-ForeGAN secs. 2.2, 2.3)."""
    b, h, w, _ = frame.shape
    fg = frame * mask + self.fg_outside * (1.0 - mask)
    hole = (mask > 0).astype(frame.dtype)
    if self.bg_init == "row":
      bg = inpaint.fill_rows(frame, mask)
    elif self.bg_init == "black":
      bg = composite.dark(frame, 1.0 - hole)
    else:
      noise = _noise(key, frame.shape, self.bg_init)
      bg = frame * (1.0 - hole) + noise * hole
    return Carry(
      fg=fg,
      bg=bg,
      mask=mask,
      fg_state=self.gf.initial_state(b, h, w),
      bg_state=self.gb.initial_state(b, h, w),
      warped=fg if self.fg_base == "warp" else None,
    )

  def step(
    self,
    params: Params,
    carry: Carry,
    told: Inputs,
    key: jax.Array,
    *,
    t: int = 0,
    mask_slope: float | jax.Array,
  ) -> tuple[Carry, Layers]:
    """Goes from frame t to frame t+1.

    Args:
      params: {"gf", "gb"}.
      carry: the layers of frame t.
      told: the flow t -> t+1 (and the real frame t+1 where a variant sees it).
      key: noise for the variants that fill holes with it.
      t: the transition's number; only generators with weights per time use it.
      mask_slope: steepness k of the mask's sigmoid.
    """
    if self.carried:
      carry = _move(carry, told.flow)
    warped = carry.warped
    if warped is not None:
      # Outside the picture there is nothing: black (VOS-ForeGAN sec. 2.5).
      # What comes in from outside is what surrounds the object already.
      shifted = warped - self.fg_outside
      warped = self.fg_outside + warp.backward(
        shifted, -told.flow, outside="zero"
      )
    fg_out = self.gf.apply(
      {"params": params["gf"]},
      self._fg_input(carry, told),
      carry.fg if warped is None else warped,
      carry.fg_state,
      t=t,
      mask_slope=mask_slope,
    )
    raw, mask = fg_out.image, fg_out.mask
    bg_in, bg_base = self._bg_input(carry, told, mask, key)
    bg_out = self.gb.apply(
      {"params": params["gb"]},
      bg_in,
      bg_base,
      carry.bg_state,
      t=t,
      mask_slope=mask_slope,
    )
    bg = bg_out.image
    if self.composition == "alpha":
      frame = composite.alpha(raw, bg, mask)
    else:
      frame = composite.additive(raw, bg, mask)
    if self.fg_masking == "dark":
      fg = composite.dark(raw, mask)
    elif self.fg_masking == "zero":
      fg = raw * mask
    else:
      fg = raw
    carry = Carry(fg, bg, mask, fg_out.state, bg_out.state, warped)
    return carry, Layers(frame, fg, bg, mask)

  def rollout(
    self,
    params: Params,
    carry: Carry,
    told: Inputs,
    key: jax.Array,
    *,
    mask_slope: float | jax.Array,
    unroll: bool,
    remat: bool,
  ) -> tuple[Carry, Layers]:
    """Plays all transitions of a clip.

    Args:
      params: {"gf", "gb"}.
      carry: from `start`, or from an earlier call.
      told: stacked over time: flow [b, t, h, w, 2], next_frame [b, t, h, w, 3].
      key: see `step`.
      mask_slope: see `step`.
      unroll: unroll the scan. On CPU a convolution's weight gradient is 10 to
        30 times slower inside a loop than outside it.
      remat: recompute a transition in the backward pass; keeps only carries.

    Returns:
      The last carry and the layers [b, t, ...] of frames 1 to t.
    """
    told_tm = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), told)
    steps = told.flow.shape[1]
    keys = jax.random.split(key, steps)

    def body(carry, xs, t=0):
      now, key = xs
      return self.step(params, carry, now, key, t=t, mask_slope=mask_slope)

    if self.gf.temporal == "concat" or self.gb.temporal == "concat":
      # Own weights and own widths at every t: nothing a scan could share.
      made = []
      for t in range(steps):
        xs = jax.tree.map(lambda x, t=t: x[t], (told_tm, keys))
        carry, layers = body(carry, xs, t)
        made.append(layers)
      layers_tm = jax.tree.map(lambda *x: jnp.stack(x), *made)
    else:
      carry, layers_tm = jax.lax.scan(
        jax.checkpoint(body) if remat else body,
        carry,
        (told_tm, keys),
        unroll=steps if unroll else 1,
      )
    return carry, jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), layers_tm)

  def _fg_input(self, carry: Carry, told: Inputs) -> jax.Array:
    if self.fg_condition == "next_frame":
      extra = [told.next_frame]
    else:
      extra = [flow_input(told.flow, self.flow_clip)]
    if self.fg_condition == "flow_mask":
      extra.append(carry.mask)
    return jnp.concatenate([carry.fg, *extra], axis=-1)

  def _bg_input(self, carry: Carry, told: Inputs, mask, key):
    """Returns what `gb` is given, and the image that its attention keeps."""
    if self.bg_input == "next_frame_noise_hole":
      noise = _noise(key, carry.bg.shape, "uniform")
      image = composite.alpha(noise, told.next_frame, mask)
    else:
      image = carry.bg
    if self.bg_condition == "none":
      return image, image
    flow = flow_input(told.flow, self.flow_clip)
    return jnp.concatenate([image, flow], axis=-1), image


def _move(carry: Carry, flow: jax.Array) -> Carry:
  """Pushes foreground and mask along the flow; uncovered places are black."""
  # Shifted by one, black is 0: where nothing lands there is no object.
  layer = jnp.concatenate([carry.fg + 1.0, carry.mask], axis=-1)
  moved, _ = warp.splat(layer, flow)
  return carry.replace(
    fg=moved[..., :3] - 1.0, mask=jnp.clip(moved[..., 3:], 0.0, 1.0)
  )


def flow_input(
  flow: Float[Array, "*b h w 2"], clip: float
) -> Float[Array, "*b h w 2"]:
  """Maps a flow to [0, 1]: (clip(u, -c, c) + c) / 2c; rest is 0.5.

  VOS-ForeGAN sec. 2.4, with the intercept's sign put right.
  """
  return (jnp.clip(flow, -clip, clip) + clip) / (2.0 * clip)


def _noise(key: jax.Array, shape, kind: str) -> jax.Array:
  if kind == "uniform":
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  return jnp.clip(jax.random.normal(key, shape), -1.0, 1.0)
