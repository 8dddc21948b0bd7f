"""Two sizes in one system: frames, and layers at a whole fraction of them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import ranges, warp


def shrink(
  x: Float[Array, "*b h w c"], times: int
) -> Float[Array, "*b h2 w2 c"]:
  """Return the means of squares of `times` x `times` pixels."""
  rows = x.reshape(-1, *x.shape[-3:])
  small = nn.avg_pool(rows, (times, times), (times, times))
  return small.reshape(*x.shape[:-3], *small.shape[1:])


def enlarge(
  x: Float[Array, "*b h w c"], times: int
) -> Float[Array, "*b h2 w2 c"]:
  """Resize bilinearly by a whole factor."""
  rows = x.reshape(-1, *x.shape[-3:])
  size = (times * x.shape[-3], times * x.shape[-2])
  large = warp.resize(rows, size, align_corners=False)
  return large.reshape(*x.shape[:-3], *large.shape[1:])


def shrink_frames(frames: jax.Array, times: int) -> jax.Array:
  """Shrink uint8 frames [*b, h, w, 3]."""
  if times == 1:
    return frames
  small = shrink(ranges.image_to_float(frames), times)
  return ranges.image_to_uint8(small)


def shrink_mask(mask: jax.Array, times: int) -> jax.Array:
  """Shrink a uint8 mask [*b, h, w, n] of coverage, 0 to 255."""
  if times == 1:
    return mask
  return ranges.mask_to_uint8(shrink(ranges.mask_to_float(mask), times))


def shrink_flow(flow: jax.Array, times: int) -> jax.Array:
  """Shrink a flow [*b, h, w, 2] in pixels, which become larger."""
  return flow if times == 1 else shrink(flow, times) / times


def shrink_batch(batch: Mapping[str, Any], times: int) -> dict[str, Any]:
  """Shrink `video`, `ref_mask` and `flow_fwd` of a batch of videos."""
  return {
    **batch,
    "video": shrink_frames(jnp.asarray(batch["video"]), times),
    "ref_mask": shrink_mask(jnp.asarray(batch["ref_mask"]), times),
    "flow_fwd": shrink_flow(jnp.asarray(batch["flow_fwd"]), times),
  }
