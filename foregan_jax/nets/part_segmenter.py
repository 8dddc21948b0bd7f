"""A segmenter of small parts on a frozen ImageNet trunk.

`trunk_segmenter` ends at a quarter of the image's size, where a mouth has one
or two rows of pixels. This decoder goes on to the full size; there it sees the
image itself.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, warp
from foregan_jax.nets import decoder, efficientnet

STRIDE = 16  # of the coarsest features that the decoder uses


class PartDecoder(nn.Module):
  """A decoder of the trunk's features and of the image.

  Attributes:
    channels: number of independent masks.
    widths: channels at strides 16, 8, 4, 2 and 1.
    dtype: of the convolutions but the last one; parameters are float32.
  """

  channels: int
  widths: tuple[int, int, int, int, int] = (96, 64, 48, 24, 16)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, features: efficientnet.Features, image: Float[Array, "b h w 3"]
  ) -> Float[Array, "b h w n"]:
    """Return float32 mask logits of images in [-1, 1]."""
    coarse, *finer = self.widths
    scaled = efficientnet.normalise(features, self.dtype)
    half = self._conv(image, finer[-2], "image2", size=3, stride=2)
    full = self._conv(image, finer[-1], "image1", size=3)
    skips = (scaled.f8, scaled.f4, nn.relu(half), nn.relu(full))
    x = self._conv(scaled.f16, coarse, "coarse")
    # Where a part is depends on the whole face.
    context = nn.Dense(coarse, dtype=self.dtype, name="context")
    x = x + context(scaled.f16.mean(axis=(1, 2)))[:, None, None]
    x = decoder.Residual(coarse, self.dtype, name="residual_0")(x)
    for i, (width, skip) in enumerate(zip(finer, skips, strict=True), 1):
      x = self._conv(x, width, f"up_{i}")
      x = warp.resize(x, skip.shape[1:3], align_corners=False)
      x = x + self._conv(skip, width, f"skip_{i}")
      x = decoder.Residual(width, self.dtype, name=f"residual_{i}")(x)
    head = decoder.conv(self.channels, dtype=jnp.float32, name="mask_logits")
    return head(nn.relu(x).astype(jnp.float32))

  def _conv(self, x, channels: int, name: str, *, size=1, stride=1):
    return convs.Conv(
      channels, (size, size), stride, (size // 2, size // 2), use_bias=True,
      dtype=self.dtype, kernel_init=nn.initializers.lecun_normal(), name=name,
    )(x)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class OnTrunk:
  """A decoder and its frozen trunk, applied to the nets of a system.

  Attributes:
    net: the decoder.
    trunk: net `trunk`.
    name: of the decoder in the system.
  """

  net: PartDecoder
  trunk: efficientnet.EfficientNetLite0
  name: str

  def init(self, key: jax.Array, size: tuple[int, int]) -> dict[str, Any]:
    """Return fresh collections, `params` among them; for all sizes."""
    del size
    side = efficientnet.STRIDE
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    features = efficientnet.feature_shapes(side)
    return dict(self.net.lazy_init(key, features, image))

  def __call__(self, nets: Any, images: Float[Array, "b h w 3"]) -> Any:
    """Return mask logits [b, h, w, n] of images in [-1, 1]."""
    features = self.trunk.apply(nets["trunk"], images)
    features = jax.lax.stop_gradient(features)
    return self.net.apply(nets[self.name], features, images)
