"""A propagator of masks that reads a memory of earlier frames by attention.

The trunk sees frames only, so it runs once per frame for all objects. A query
pixel reads the values of memory pixels with similar keys; the decoder refines
what it has read with the frame's finer features and the previous mask.

Sources: STM (Oh et al., ICCV 2019) for the memory and its values; STCN (Cheng
et al., NeurIPS 2021) for keys of frames only and the L2 similarity. The sizes
are our own.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Bool, Float

from foregan_jax.layers import convs, norms, warp
from foregan_jax.nets import efficientnet

STRIDE = 16  # of keys and values
_CHANNELS_PER_GROUP = 8
_NEVER = -1e9  # similarity of a frame that does not count
_INIT = nn.initializers.he_normal()


class Query(struct.PyTreeNode):
  """Features of frames, which do not depend on any object."""

  key: Any  # [b, h/16, w/16, k]
  f16: Any  # [b, h/16, w/16, c]
  f8: Any  # [b, h/8, w/8, 40]
  f4: Any  # [b, h/4, w/4, 24]

  def repeat(self, times: int) -> "Query":
    """Return each frame `times` times: [b times, ...]."""
    return jax.tree.map(lambda x: jnp.repeat(x, times, axis=0), self)


class MemoryNet(nn.Module):
  """Keys, values and the decoder; the trunk is another network.

  Attributes:
    keys: channels of keys.
    values: channels of values.
    widths: channels of the decoder at strides 16, 8 and 4.
    dtype: of the convolutions; parameters are float32.
  """

  keys: int = 64
  values: int = 128
  widths: tuple[int, int, int] = (128, 96, 64)
  dtype: Any = jnp.float32

  def setup(self):
    """Build the layers."""
    conv = lambda channels, size=3: convs.Conv(
      channels, (size, size), 1, (size // 2, size // 2), use_bias=True,
      dtype=self.dtype, kernel_init=_INIT,
    )  # fmt: skip
    residual = lambda channels: Residual(channels, self.dtype)
    _, _, c16, _ = efficientnet.CHANNELS
    self.coarse = conv(c16, 1)
    self.to_key = conv(self.keys)
    self.value4, self.value8 = conv(self.values // 4), conv(self.values // 2)
    self.value16 = conv(self.values)
    self.value_residual = residual(self.values)
    w16, w8, w4 = self.widths
    self.join, self.skip8, self.skip4 = conv(w16), conv(w8, 1), conv(w4, 1)
    self.up8, self.up4 = conv(w8, 1), conv(w4, 1)
    self.residual16, self.residual8 = residual(w16), residual(w8)
    self.residual4 = residual(w4)
    self.head = convs.Conv(
      1, (3, 3), 1, (1, 1), use_bias=True, dtype=jnp.float32, kernel_init=_INIT
    )

  def query(self, features: efficientnet.Features) -> Query:
    """Return the features of frames, from those of the trunk."""
    size = features.f16.shape[1:3]
    coarse = warp.resize(self.coarse(features.f32), size, align_corners=False)
    f16 = features.f16.astype(self.dtype) + coarse
    key = self.to_key(nn.relu(f16))
    return Query(key, f16, features.f8, features.f4)

  def value(
    self, query: Query, mask: Float[Array, "b h w 1"]
  ) -> Float[Array, "b h2 w2 v"]:
    """Return the values of frames with the soft masks of one object each."""
    x = jnp.concatenate([query.f4.astype(self.dtype), _shrink(mask, 4)], -1)
    x = _shrink(nn.relu(self.value4(x)), 2)
    x = jnp.concatenate([x, query.f8.astype(self.dtype)], -1)
    x = _shrink(nn.relu(self.value8(x)), 2)
    x = self.value16(jnp.concatenate([x, query.f16], -1))
    return self.value_residual(x)

  def decode(
    self,
    query: Query,
    read: Float[Array, "b h2 w2 v"],
    prev_mask: Float[Array, "b h w 1"],
  ) -> Float[Array, "b h w 1"]:
    """Return float32 logits of one object per frame.

    Args:
      query: of the frames.
      read: from `attend`.
      prev_mask: soft masks of the previous frame.
    """
    double = lambda x, like: warp.resize(
      x, like.shape[1:3], align_corners=False
    )
    mask = _shrink(prev_mask, STRIDE)
    x = self.join(jnp.concatenate([read, query.f16, mask], -1))
    x = self.residual16(x)
    x = double(self.up8(x), query.f8) + self.skip8(query.f8)
    x = self.residual8(x)
    x = double(self.up4(x), query.f4) + self.skip4(query.f4)
    x = self.residual4(x)
    logits = self.head(nn.relu(x).astype(jnp.float32))
    return warp.resize(logits, prev_mask.shape[1:3], align_corners=False)


class Residual(nn.Module):
  """A pre-activation block with group norm."""

  channels: int
  dtype: Any

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the sum of `x` and its correction."""
    y = x
    for i in range(2):
      groups = self.channels // _CHANNELS_PER_GROUP
      y = norms.GroupNorm(max(groups, 1), dtype=self.dtype, name=f"norm{i}")(y)
      y = convs.Conv(
        self.channels, (3, 3), 1, (1, 1), dtype=self.dtype, kernel_init=_INIT,
        name=f"conv{i}",
      )(nn.relu(y))  # fmt: skip
    return x + y


def attend(
  query: Float[Array, "b h w k"],
  keys: Float[Array, "b m h w k"],
  values: Float[Array, "b n m h w v"],
  valid: Bool[Array, "#b #n m"],
) -> Float[Array, "b n h w v"]:
  """Return the mean of the values, weighted by the similarity of the keys.

  The weights are a softmax over all pixels of the valid frames of
  `-|k_m - k_q|^2 / sqrt(k)`. The term `|k_q|^2` cancels in it.

  Source: STCN, eq. 4 and 5.

  Args:
    query: keys of the frames to segment.
    keys: of the m frames in memory.
    values: of the same frames, for n objects.
    valid: which frames in memory count, for each object; at least one.
  """
  b, n, m, h, w, v = values.shape
  q = query.reshape(b, h * w, -1).astype(jnp.float32)
  k = keys.reshape(b, m * h * w, -1).astype(jnp.float32)
  scale = 1 / math.sqrt(k.shape[-1])
  similarity = 2 * jnp.einsum("bmk,bqk->bqm", k, q)
  similarity -= jnp.square(k).sum(-1)[:, None]
  counts = jnp.repeat(valid, h * w, axis=-1)[:, :, None]
  # A finite number, so that unused rows without any valid frame are not NaN.
  similarity = jnp.where(counts, scale * similarity[:, None], _NEVER)
  weights = jax.nn.softmax(similarity, axis=-1).astype(values.dtype)
  weights = jnp.broadcast_to(weights, (b, n, *weights.shape[2:]))
  flat = values.reshape(b, n, m * h * w, v)
  read = jnp.einsum("bnqm,bnmv->bnqv", weights, flat)
  return read.reshape(b, n, h, w, v)


def init(net: MemoryNet, key: jax.Array) -> Any:
  """Return fresh parameters."""
  size = 2 * efficientnet.STRIDE
  feature = lambda stride, channels: jax.ShapeDtypeStruct(
    (1, size // stride, size // stride, channels), jnp.float32
  )
  features = efficientnet.Features(
    *map(feature, (4, 8, 16, 32), efficientnet.CHANNELS)
  )
  mask = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)

  def forward(net, features, mask):
    query = net.query(features)
    return net.decode(query, net.value(query, mask), mask)

  return net.lazy_init(key, features, mask, method=forward)["params"]


def _shrink(x: jax.Array, times: int) -> jax.Array:
  """Return averages of squares of `times` x `times` pixels."""
  return nn.avg_pool(x, (times, times), (times, times))
