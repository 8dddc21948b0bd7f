"""Propagation of a mask through a video by optical flow, without training.

These are baselines for a trained propagator, and targets for distillation.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import warp


def by_backward_warp(
  mask: Float[Array, "b h w n"], flow_bwd: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w n"]:
  """Return the masks of frames 1..t by gathering: `m(x + flow_bwd(x))`.

  Args:
    mask: frame 0 in [0, 1]; one channel per object.
    flow_bwd: pixels; `flow_bwd[:, t]` goes from frame t+1 to t, on frame t+1.
  """
  return _scan(lambda m, f: warp.backward(m, f, outside="zero"), mask, flow_bwd)


def by_forward_splat(
  mask: Float[Array, "b h w n"], flow_fwd: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w n"]:
  """Return the masks of frames 1..t by splatting along `flow_fwd`.

  Args:
    mask: frame 0 in [0, 1]; one channel per object.
    flow_fwd: pixels; `flow_fwd[:, t]` goes from frame t to t+1, on frame t.
  """
  return _scan(warp.splat_mask, mask, flow_fwd)


def _scan(step, mask: jax.Array, flow: jax.Array) -> jax.Array:
  """Apply `step(mask, flow)` to each frame in turn and stack the masks."""

  def body(mask, flow):
    mask = step(mask, flow)
    return mask, mask

  _, masks = jax.lax.scan(body, mask, jnp.moveaxis(flow, 1, 0))
  return jnp.moveaxis(masks, 0, 1)
