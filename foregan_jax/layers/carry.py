"""Masks carried through a video without learning anything.

They are the baselines that a propagator has to beat, and a target to distil.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import warp


def by_backward_warp(
  mask: Float[Array, "b h w n"], flow_bwd: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w n"]:
  """Fetches every pixel of frame t+1 from where it was: m(x + flow_bwd(x)).

  Args:
    mask: of frame 0, [0, 1], a channel per object.
    flow_bwd: `flow_bwd[:, t]` = frame t+1 to t, on frame t+1, pixels.
  """
  return _scan(lambda m, f: warp.backward(m, f, outside="zero"), mask, flow_bwd)


def by_forward_splat(
  mask: Float[Array, "b h w n"], flow_fwd: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w n"]:
  """Pushes every pixel of frame t to where it goes.

  Args:
    mask: of frame 0, [0, 1], a channel per object.
    flow_fwd: `flow_fwd[:, t]` = frame t to t+1, on frame t, pixels.
  """
  return _scan(warp.splat_mask, mask, flow_fwd)


def _scan(step, mask: jax.Array, flow: jax.Array) -> jax.Array:
  def body(mask, flow):
    mask = step(mask, flow)
    return mask, mask

  _, masks = jax.lax.scan(body, mask, jnp.moveaxis(flow, 1, 0))
  return jnp.moveaxis(masks, 0, 1)
