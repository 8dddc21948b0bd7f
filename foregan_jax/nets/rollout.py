"""Foreground and background generators rolled out over a clip.

VOS-ForeGAN secs. 1, 4 and 8: the mask splits frame 0 into layers. For every
transition t -> t+1, `gf` generates the next foreground and mask, and `gb` the
next background; the frame is their composition. The same `step`, called frame
by frame, is the streaming form.
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
# A leaf of a tree: an array, or its shape during tracing.
Leaf = Any


class Carry(struct.PyTreeNode):
  """The carry between transitions."""

  fg: Leaf  # [b, h, w, 3] in [-1, 1]
  bg: Leaf  # [b, h, w, 3]
  mask: Leaf  # [b, h, w, 1] in [0, 1]
  fg_state: Any
  bg_state: Any
  # The masked first frame, moved by the flow alone (experiments 1 to 5).
  warped: Leaf | None


class Layers(struct.PyTreeNode):
  """The layers of a frame."""

  frame: Leaf  # [.., h, w, 3] composed, in [-1, 1]
  fg: Leaf  # [.., h, w, 3] input of the critic and of the next step
  bg: Leaf  # [.., h, w, 3]
  mask: Leaf  # [.., h, w, 1]
  # Prediction only: the frame without its object (`layers.plate`).
  plate: Leaf | None = None


class Inputs(struct.PyTreeNode):
  """The inputs of a transition t -> t+1 beside the carry."""

  flow: Leaf  # [.., h, w, 2] forward flow, pixels
  # The real next frame, for the variants that use it; else None.
  next_frame: Leaf | None


@dataclasses.dataclass(frozen=True)
class VideoLayers:
  """The two generators and the composition of their outputs.

  Attributes:
    gf: foreground generator of image and mask.
    gb: background generator.
    fg_condition: input of `gf` beside the previous foreground.
    fg_base: the image that the attention mixes with the new colours: the
      previous foreground, or the first foreground warped along the flow.
    carried: ours; move foreground and mask of frame t along the flow before
      `gf`, so that it corrects the flow and need not learn motion.
    bg_condition: input of `gb` beside its image.
    bg_input: the previous background, or the real next frame with noise in
      the predicted mask (experiment 6, second network pair).
    bg_init: how the hole in the first background is filled.
    composition: `alpha` (m F + (1-m) B) or the source's `additive`.
    fg_masking: `dark` sets the foreground outside the mask to -1, `zero` to
      mid-grey; `none` keeps it.
    fg_outside: value around the object in the first foreground: -1 (black), or
      0 in source versions that multiplied the foreground by its mask.
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
  def uses_next_frame(self) -> bool:
    """Whether a transition uses the real next frame."""
    return (
      self.fg_condition == "next_frame"
      or self.bg_input == "next_frame_noise_hole"
    )

  def init(self, key: jax.Array, height: int, width: int) -> Params:
    """Return fresh parameters {"gf", "gb"}."""
    key_f, key_b = jax.random.split(key)
    spec = lambda *shape: jax.ShapeDtypeStruct(
      (1, height, width, *shape), jnp.float32
    )
    frame, mask = spec(3), spec(1)
    carry = jax.eval_shape(self.start, frame, mask, key)
    inputs = Inputs(spec(2), frame)
    fg_in = jax.eval_shape(self._fg_input, carry, inputs)
    bg_in, _ = jax.eval_shape(self._bg_input, carry, inputs, mask, key)
    # Lazy, from shapes: XLA would fold a forward pass on constant zeros, which
    # takes minutes of compile time.
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
    """Split the first frame into layers (VOS-ForeGAN secs. 2.2, 2.3)."""
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
    inputs: Inputs,
    key: jax.Array,
    *,
    t: int = 0,
    mask_slope: float | jax.Array,
  ) -> tuple[Carry, Layers]:
    """Generate the layers of frame t+1 from those of frame t.

    Args:
      params: {"gf", "gb"}.
      carry: the layers of frame t.
      inputs: the flow t -> t+1, and the real frame t+1 if the variant uses it.
      key: for the variants that fill holes with noise.
      t: index of the transition; only generators with weights per time use it.
      mask_slope: slope k of the mask's sigmoid.
    """
    if self.carried:
      carry = _splat_carry(carry, inputs.flow)
    warped = carry.warped
    if warped is not None:
      # Pixels from outside of the image are black (VOS-ForeGAN sec. 2.5), here
      # the value around the object.
      shifted = warped - self.fg_outside
      warped = self.fg_outside + warp.backward(
        shifted, -inputs.flow, outside="zero"
      )
    fg_out = self.gf.apply(
      {"params": params["gf"]},
      self._fg_input(carry, inputs),
      carry.fg if warped is None else warped,
      carry.fg_state,
      t=t,
      mask_slope=mask_slope,
    )
    raw, mask = fg_out.image, fg_out.mask
    bg_in, bg_base = self._bg_input(carry, inputs, mask, key)
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
    inputs: Inputs,
    key: jax.Array,
    *,
    mask_slope: float | jax.Array,
    unroll: bool,
    remat: bool,
  ) -> tuple[Carry, Layers]:
    """Run all transitions of a clip.

    Args:
      params: {"gf", "gb"}.
      carry: from `start`, or from an earlier call.
      inputs: stacked over time: flow [b, t, h, w, 2] and
        next_frame [b, t, h, w, 3].
      key: see `step`.
      mask_slope: see `step`.
      unroll: unroll the scan. On CPU a convolution's weight gradient is 10 to
        30 times slower inside a loop than outside it.
      remat: recompute transitions in the backward pass; store only carries.

    Returns:
      The last carry and the layers [b, t, ...] of frames 1 to t.
    """
    inputs_tm = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), inputs)
    steps = inputs.flow.shape[1]
    keys = jax.random.split(key, steps)

    def body(carry, xs, t=0):
      now, key = xs
      return self.step(params, carry, now, key, t=t, mask_slope=mask_slope)

    if self.gf.temporal == "concat" or self.gb.temporal == "concat":
      # Weights and widths differ at every t, so a scan is not possible.
      frames = []
      for t in range(steps):
        xs = jax.tree.map(lambda x, t=t: x[t], (inputs_tm, keys))
        carry, layers = body(carry, xs, t)
        frames.append(layers)
      layers_tm = jax.tree.map(lambda *x: jnp.stack(x), *frames)
    else:
      carry, layers_tm = jax.lax.scan(
        jax.checkpoint(body) if remat else body,
        carry,
        (inputs_tm, keys),
        unroll=steps if unroll else 1,
      )
    return carry, jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), layers_tm)

  def _fg_input(self, carry: Carry, inputs: Inputs) -> jax.Array:
    if self.fg_condition == "next_frame":
      extra = [inputs.next_frame]
    else:
      extra = [flow_input(inputs.flow, self.flow_clip)]
    if self.fg_condition == "flow_mask":
      extra.append(carry.mask)
    return jnp.concatenate([carry.fg, *extra], axis=-1)

  def _bg_input(self, carry: Carry, inputs: Inputs, mask, key):
    """Return the input of `gb`, and the image that its attention keeps."""
    if self.bg_input == "next_frame_noise_hole":
      noise = _noise(key, carry.bg.shape, "uniform")
      image = composite.alpha(noise, inputs.next_frame, mask)
    else:
      image = carry.bg
    if self.bg_condition == "none":
      return image, image
    flow = flow_input(inputs.flow, self.flow_clip)
    return jnp.concatenate([image, flow], axis=-1), image


def _splat_carry(carry: Carry, flow: jax.Array) -> Carry:
  """Splat foreground and mask along the flow; uncovered pixels are black."""
  # Shifted by one, black is 0, the value of pixels that receive nothing.
  layer = jnp.concatenate([carry.fg + 1.0, carry.mask], axis=-1)
  moved, _ = warp.splat(layer, flow)
  return carry.replace(
    fg=moved[..., :3] - 1.0, mask=jnp.clip(moved[..., 3:], 0.0, 1.0)
  )


def flow_input(
  flow: Float[Array, "*b h w 2"], clip: float
) -> Float[Array, "*b h w 2"]:
  """Map a flow to [0, 1]: (clip(u, -c, c) + c) / 2c; rest is 0.5.

  VOS-ForeGAN sec. 2.4, with the sign of the intercept corrected.
  """
  return (jnp.clip(flow, -clip, clip) + clip) / (2.0 * clip)


def _noise(key: jax.Array, shape, kind: str) -> jax.Array:
  if kind == "uniform":
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  return jnp.clip(jax.random.normal(key, shape), -1.0, 1.0)
