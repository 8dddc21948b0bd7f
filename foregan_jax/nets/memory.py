"""A propagator of masks that reads a memory of earlier frames by attention.

The trunk sees frames only, so it runs once per frame for all objects. A query
pixel reads the values of memory pixels with similar keys; the decoder refines
what it has read with the frame's finer features and the previous mask.

Sources: STM (Oh et al., ICCV 2019) for the memory and its values; STCN (Cheng
et al., NeurIPS 2021) for keys of frames only and the L2 similarity. The sizes
are our own.
"""

import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Bool, Float

from foregan_jax.layers import convs, warp
from foregan_jax.nets import decoder, efficientnet

STRIDE = 16  # of keys and values
_LONG = (
  13  # length of the kernels of `global_conv`: RGMP's 7 at half the stride
)
_NEVER = -1e9  # similarity of a frame that does not count


class Query(struct.PyTreeNode):
  """What frames alone determine: the keys, and parts that all objects share."""

  key: Any  # [b, h/16, w/16, k]
  value16: Any  # [b, h/16, w/16, v]: the frame's part of the values
  value8: Any  # [b, h/8, w/8, v/2]
  value4: Any  # [b, h/4, w/4, v/4]
  join: Any  # [b, h/16, w/16, w16]: the frame's part of the decoder
  skip8: Any  # [b, h/8, w/8, w8]
  skip4: Any  # [b, h/4, w/4, w4]

  def repeat(self, times: int) -> "Query":
    """Return each frame `times` times: [b times, ...]."""
    return jax.tree.map(lambda x: jnp.repeat(x, times, axis=0), self)


class MemoryNet(nn.Module):
  """Keys, values and the decoder; the trunk is another network.

  A convolution of features beside masks is the sum of two: that of the features
  is computed once per frame (`query`), that of the masks per object.

  Attributes:
    keys: channels of keys.
    values: channels of values.
    widths: channels of the decoder at strides 16, 8 and 4.
    matching: how a frame is compared with earlier ones: `memory` reads all of
      them by attention; `global_conv` compares with the first one by
      convolutions with large kernels, as RGMP (CVPR 2018, sec. 3.1).
    dtype: of the convolutions; parameters are float32.
  """

  keys: int = 64
  values: int = 128
  widths: tuple[int, int, int] = (128, 96, 64)
  matching: Literal["memory", "global_conv"] = "memory"
  dtype: Any = jnp.float32

  def setup(self):
    """Build the layers."""
    conv = functools.partial(decoder.conv, dtype=self.dtype)
    own = functools.partial(conv, use_bias=False)  # of an object
    _, _, c16, _ = efficientnet.CHANNELS
    v16, v8, v4 = self.values, self.values // 2, self.values // 4
    w16, w8, w4 = self.widths
    self.coarse = conv(c16, 1)
    self.to_key = conv(self.keys)
    self.value4, self.own_value4 = conv(v4), own(v4)
    self.value8, self.own_value8 = conv(v8), own(v8)
    self.value16, self.own_value16 = conv(v16), own(v16)
    self.value_residual = decoder.Residual(v16, self.dtype)
    self.join, self.own_join = conv(w16), own(w16)
    self.skip8, self.skip4 = conv(w8, 1), conv(w4, 1)
    if self.matching == "global_conv":
      long = lambda *size: convs.Conv(
        v16, size, 1, tuple(n // 2 for n in size), use_bias=True,
        dtype=self.dtype,
      )  # fmt: skip
      self.rows, self.columns = long(1, _LONG), long(_LONG, 1)
      self.rows_after, self.columns_after = long(_LONG, 1), long(1, _LONG)
    self.decoder = decoder.Decoder(self.widths, self.dtype)
    # Its parameters lie beside the others, not in a tree of their own.
    nn.share_scope(self, self.decoder)

  def query(self, features: efficientnet.Features) -> Query:
    """Return the parts of frames, from the features of the trunk."""
    x = efficientnet.normalise(features, self.dtype)
    size = x.f16.shape[1:3]
    f16 = x.f16 + warp.resize(self.coarse(x.f32), size, align_corners=False)
    return Query(
      key=self.to_key(nn.relu(f16)),
      value16=self.value16(f16),
      value8=self.value8(x.f8),
      value4=self.value4(x.f4),
      join=self.join(f16),
      skip8=self.skip8(x.f8),
      skip4=self.skip4(x.f4),
    )

  def value(
    self, query: Query, masks: Float[Array, "b h w 2"]
  ) -> Float[Array, "b h2 w2 v"]:
    """Return the values of frames for one object each; masks as `beside`."""
    x = query.value4 + self.own_value4(_shrink(masks, 4))
    x = query.value8 + self.own_value8(_shrink(nn.relu(x), 2))
    x = query.value16 + self.own_value16(_shrink(nn.relu(x), 2))
    return self.value_residual(x)

  def match(
    self,
    query: Query,
    keys: Float[Array, "b m h2 w2 k"],
    values: Float[Array, "b n m h2 w2 v"],
    valid: Bool[Array, "#b #n m"],
    prev_masks: Float[Array, "b n h w 2"],
    top_k: int = 0,
  ) -> Float[Array, "b n h2 w2 v"]:
    """Return what earlier frames tell about new ones, for n objects.

    Args:
      query: of the new frames.
      keys: of m earlier frames; the first of them is the reference.
      values: of the same frames.
      valid: which of them count; see `attend`.
      prev_masks: masks of the previous frame, from `beside`.
      top_k: see `attend`.
    """
    if self.matching == "memory":
      return attend(query.key, keys, values, valid, top_k)
    b, n = prev_masks.shape[:2]
    own = self.value(
      query.repeat(n), prev_masks.reshape(b * n, *prev_masks.shape[2:])
    )
    reference = values[:, :, 0].reshape(own.shape)
    x = jnp.concatenate([own, reference.astype(own.dtype)], axis=-1)
    x = self.rows_after(self.rows(x)) + self.columns_after(self.columns(x))
    return x.reshape(b, n, *x.shape[1:])

  def decode(
    self,
    query: Query,
    read: Float[Array, "b h2 w2 v"],
    prev_masks: Float[Array, "b h w 2"],
  ) -> Float[Array, "b h w"]:
    """Return float32 logits of one object per frame.

    Args:
      query: of the frames.
      read: from `attend`.
      prev_masks: masks of the previous frame, from `beside`.
    """
    own = jnp.concatenate([read, _shrink(prev_masks, STRIDE)], -1)
    x = query.join + self.own_join(own)
    size = prev_masks.shape[1:3]
    return self.decoder(x, query.skip8, query.skip4, size)


def attend(
  query: Float[Array, "b h w k"],
  keys: Float[Array, "b m h w k"],
  values: Float[Array, "b n m h w v"],
  valid: Bool[Array, "#b #n m"],
  top_k: int = 0,
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
    top_k: number of the most similar pixels in memory that a pixel reads, as in
      STCN, sec. 4.2; 0: all.
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
  if 0 < top_k < m * h * w:
    least = jax.lax.top_k(similarity, top_k)[0][..., -1:]
    similarity = jnp.where(similarity < least, _NEVER, similarity)
  weights = jax.nn.softmax(similarity, axis=-1).astype(values.dtype)
  weights = jnp.broadcast_to(weights, (b, n, *weights.shape[2:]))
  flat = values.reshape(b, n, m * h * w, v)
  read = jnp.einsum("bnqm,bnmv->bnqv", weights, flat)
  return read.reshape(b, n, h, w, v)


def beside(
  masks: Float[Array, "*b n h w"],
) -> Float[Array, "*b n h w 2"]:
  """Return each object's mask, and beside it the sum of the others' masks.

  Source: STCN, which gives both to the network that computes the values.
  """
  others = masks.sum(-3, keepdims=True) - masks
  return jnp.stack([masks, others], axis=-1)


def merge(
  logits: Float[Array, "*b n h w"], live: Bool[Array, "*b n"]
) -> Float[Array, "*b m h w"]:
  """Return log-probabilities of background and objects: a softmax per pixel.

  The background has the logit 0, so a single object keeps its probability,
  beside any number of rows that are not live. (STM, sec. 3.5, gives the
  background the odds of `prod(1 - p)`, which changes a single object's.)

  Args:
    logits: of the n objects.
    live: which rows are objects.
  """
  logits = jnp.where(live[..., None, None], logits, _NEVER)
  background = jnp.zeros_like(logits[..., :1, :, :])
  both = jnp.concatenate([background, logits], axis=-3)
  return jax.nn.log_softmax(both, axis=-3)


def init(net: MemoryNet, key: jax.Array) -> Any:
  """Return fresh parameters."""
  size = 2 * efficientnet.STRIDE
  features = efficientnet.feature_shapes(size)
  masks = jax.ShapeDtypeStruct((1, size, size, 2), jnp.float32)

  def forward(net, features, masks):
    query = net.query(features)
    values = net.value(query, masks)[:, None, None]
    valid = jnp.ones((1, 1, 1), bool)
    read = net.match(query, query.key[:, None], values, valid, masks[:, None])
    return net.decode(query, read[:, 0], masks)

  return net.lazy_init(key, features, masks, method=forward)["params"]


def _shrink(x: jax.Array, times: int) -> jax.Array:
  """Return averages of squares of `times` x `times` pixels."""
  return nn.avg_pool(x, (times, times), (times, times))
