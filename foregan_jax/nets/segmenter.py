"""Segmenters of single images: a compact U-Net, and the published one.

Both return one mask logit per pixel. `train` has an effect only on the batch
norms of `PublishedUNet`, whose collection is `batch_stats`.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms, warp

_CHANNELS_PER_GROUP = 8
# PyTorch's defaults: uniform in +-1 / sqrt(fan_in); its momentum is 1 - 0.9.
_torch_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_MOMENTUM = 0.9
_STATISTICS = "batch_stats"  # running statistics, if the net has any


@dataclasses.dataclass(frozen=True)
class Plain:
  """A segmenter without a trunk, applied to the nets of a system.

  `trunk_segmenter.OnTrunk` has the same methods.
  """

  net: nn.Module

  def init(self, key: jax.Array, size: tuple[int, int]) -> dict[str, Any]:
    """Return fresh collections, `params` among them."""
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    return dict(self.net.lazy_init(key, image))

  def __call__(self, nets: Any, images: Float[Array, "b h w 3"]) -> Any:
    """Return mask logits [b, h, w, 1] of images in [-1, 1]."""
    return self.net.apply(nets["seg"], images)

  def train(self, nets: Any, images: Float[Array, "b h w 3"]) -> Any:
    """Return logits, and the new running statistics if there are any."""
    return self.net.apply(
      nets["seg"], images, train=True, mutable=[_STATISTICS]
    )


class Segmenter(nn.Module):
  """A compact U-Net that separates the object from the background.

  It halves the image `depth` times; level l has `width 2^l` channels. The
  coarsest level gets the mean over the image, because the choice of the object
  depends on the whole image. Group norms use no batch statistics, so the result
  does not depend on the number of devices.
  """

  width: int = 16
  depth: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b h w 1"]:
    """Return float32 mask logits of an RGB image in [-1, 1]."""
    del train
    x = self._two_blocks(image.astype(self.dtype), self.width, "enc_0")
    skips = []
    for level in range(1, self.depth + 1):
      skips.append(x)
      features = self.width * 2**level
      x = self._conv_block(x, features, f"down_{level}", stride=2)
      x = self._two_blocks(x, features, f"enc_{level}")
    context = nn.Dense(x.shape[-1], dtype=self.dtype, name="context")
    x = nn.relu(x + context(x.mean(axis=(1, 2)))[:, None, None])
    for level in reversed(range(self.depth)):
      skip = skips[level]
      x = warp.resize(x, skip.shape[1:3], align_corners=False)
      x = jnp.concatenate([x, skip], axis=-1)
      x = self._two_blocks(x, self.width * 2**level, f"dec_{level}")
    head = nn.Conv(1, (1, 1), dtype=jnp.float32, name="mask_logits")
    return head(x.astype(jnp.float32))

  def _two_blocks(self, x: jax.Array, features: int, name: str) -> jax.Array:
    x = self._conv_block(x, features, f"{name}_0")
    return self._conv_block(x, features, f"{name}_1")

  def _conv_block(
    self, x: jax.Array, features: int, name: str, stride: int = 1
  ) -> jax.Array:
    """Apply a 3x3 convolution, group norm and ReLU."""
    conv = functools.partial(
      convs.Conv, kernel_init=nn.initializers.he_normal()
    )
    groups = max(features // _CHANNELS_PER_GROUP, 1)
    x = conv(features, (3, 3), stride, (1, 1), dtype=self.dtype, name=name)(x)
    x = norms.GroupNorm(groups, dtype=self.dtype, name=f"{name}_norm")(x)
    return nn.relu(x)


class PublishedUNet(nn.Module):
  """The U-Net of ILSGAN's code, which is the widely used bilinear one.

  A level is two 3x3 convolutions, each with batch norm and ReLU. There are
  `depth` max pools by 2. On the way down level l has `width 2^l` channels, the
  coarsest level as many as the one before it; on the way up it has as many as
  level l - 1 on the way down. With `width` 64 and `depth` 4 there are
  13,395,394 parameters: biases are included, and the head has two classes.

  The logit of a mask is the difference of both classes' logits, so its sigmoid
  is their softmax. Enlarging aligns the images' edges, not the centres of
  their corner pixels as in that code (no effect on quality is known).
  """

  width: int = 64
  depth: int = 4
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b h w 1"]:
    """Return float32 mask logits of an RGB image in [-1, 1].

    With `train` the norms use the statistics of the batch and update their
    running averages; else they use these averages.
    """
    channels = [self.width * 2**level for level in range(self.depth)]
    channels.append(channels[-1])
    x = image.astype(self.dtype)
    skips = []
    for level, features in enumerate(channels):
      if level:
        skips.append(x)
        x = nn.max_pool(x, (2, 2), (2, 2))
      x = self._two_blocks(x, features, train, f"enc_{level}")
    for level in reversed(range(self.depth)):
      skip = skips[level]
      size = (*skip.shape[:3], x.shape[-1])
      x = jnp.concatenate([skip, jax.image.resize(x, size, "bilinear")], -1)
      features = channels[max(level - 1, 0)]
      x = self._two_blocks(x, features, train, f"dec_{level}")
    head = nn.Conv(
      2, (1, 1), dtype=jnp.float32, kernel_init=_torch_init, name="classes"
    )
    classes = head(x.astype(jnp.float32))
    return classes[..., 1:] - classes[..., :1]

  def _two_blocks(self, x, features: int, train: bool, name: str) -> jax.Array:
    for i in range(2):
      x = convs.Conv(
        features, (3, 3), padding=(1, 1), use_bias=True, dtype=self.dtype,
        kernel_init=_torch_init, name=f"{name}_{i}",
      )(x)  # fmt: skip
      norm = nn.BatchNorm(
        use_running_average=not train, momentum=_MOMENTUM, dtype=self.dtype,
        name=f"{name}_{i}_norm",
      )  # fmt: skip
      x = nn.relu(norm(x))
    return x
