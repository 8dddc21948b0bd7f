"""A segmenter of single images on a frozen ImageNet trunk."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import warp
from foregan_jax.nets import decoder, efficientnet


class TrunkSegmenter(nn.Module):
  """A decoder of the trunk's features.

  The coarsest features get their mean over the image, because the choice of the
  object depends on the whole image.

  Attributes:
    widths: channels at strides 16, 8 and 4.
    dtype: of the convolutions; parameters are float32.
  """

  widths: tuple[int, int, int] = (128, 96, 64)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, features: efficientnet.Features, size: tuple[int, int]
  ) -> Float[Array, "b h w 1"]:
    """Return float32 mask logits of `size` (h, w)."""
    w16, w8, w4 = self.widths
    conv = lambda channels, name: decoder.conv(
      channels, 1, dtype=self.dtype, name=name
    )
    x = efficientnet.normalise(features, self.dtype)
    mean = x.f32.mean(axis=(1, 2))
    context = nn.Dense(w16, dtype=self.dtype, name="context")(mean)
    coarse = conv(w16, "coarse")(x.f32)
    coarse = warp.resize(coarse, x.f16.shape[1:3], align_corners=False)
    joined = conv(w16, "join")(x.f16) + coarse + context[:, None, None]
    decode = decoder.Decoder(self.widths, self.dtype, name="decoder")
    logits = decode(
      joined, conv(w8, "skip8")(x.f8), conv(w4, "skip4")(x.f4), size
    )
    return logits[..., None]


def init(net: TrunkSegmenter, key: jax.Array) -> Any:
  """Return fresh parameters."""
  size = 2 * efficientnet.STRIDE
  features = efficientnet.feature_shapes(size)
  return net.lazy_init(key, features, (size, size))["params"]
