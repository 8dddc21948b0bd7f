"""A segmenter of single images on a frozen ImageNet trunk."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import sizes, warp
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


@dataclasses.dataclass(frozen=True)
class OnTrunk:
  """A segmenter and its frozen trunk, applied to the nets of a system.

  Attributes:
    net: the decoder, net `seg`.
    trunk: net `trunk`.
    times: factor by which images are enlarged for the trunk.
  """

  net: TrunkSegmenter
  trunk: efficientnet.EfficientNetLite0
  times: int = 1

  def init(self, key: jax.Array, size: tuple[int, int]) -> dict[str, Any]:
    """Return fresh collections, `params` among them; for all sizes."""
    del size
    side = 2 * efficientnet.STRIDE
    features = efficientnet.feature_shapes(side)
    return dict(self.net.lazy_init(key, features, (side, side)))

  def __call__(self, nets: Any, images: Float[Array, "b h w 3"]) -> Any:
    """Return mask logits [b, h, w, 1] of images in [-1, 1]."""
    large = sizes.enlarge(images, self.times)
    features = self.trunk.apply(nets["trunk"], large)
    return self.net.apply(nets["seg"], features, images.shape[1:3])

  def train(self, nets: Any, images: Float[Array, "b h w 3"]) -> Any:
    """Return logits; there are no running statistics."""
    return self(nets, images), {}
