"""The trunk of a ResNet (He et al., 2016), as in torchvision.

Bottlenecks have their stride on the 3x3 convolution ("v1.5"); padding is
symmetric. The four tensors of a batch norm are frozen, because video batches
are too small to estimate them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms

EXPANSION = 4  # output channels of a bottleneck / channels of its 3x3
# Statistics of ImageNet, for images in [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_CHANNELS_PER_GROUP = 8
Convolve = Callable[[convs.Affine | None], jax.Array]
_HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def standardise(image: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
  """Convert images in [-1, 1] to the input range of ImageNet networks."""
  mean, std = (jnp.reshape(jnp.asarray(x), (1, 1, 1, 3)) for x in (MEAN, STD))
  return ((image + 1.0) / 2.0 - mean) / std


class FrozenBatchNorm(nn.Module):
  """A frozen batch norm: `(x - mean) / sqrt(var + eps) scale + bias`.

  The four tensors are parameters, so that weight files and checkpoints contain
  them, but they receive no gradient. The convolution before it applies them,
  see `convs.Conv`.
  """

  channels: int
  eps: float = 1e-5

  @nn.compact
  def __call__(self) -> convs.Affine:
    """Return the factor and the shift of each channel."""
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    frozen = lambda name, init: jax.lax.stop_gradient(
      self.param(name, init, (self.channels,), jnp.float32)
    )
    scale = frozen("scale", ones)
    factor = scale * jax.lax.rsqrt(frozen("var", ones) + self.eps)
    return factor, frozen("bias", zeros) - frozen("mean", zeros) * factor


def normalised(
  kind: str, channels: int, convolve: Convolve, *, dtype, name: str
) -> Float[Array, "b h w c"]:
  """Return normalised features of a trunk.

  Args:
    kind: `frozen` for pretrained weights, or `group` for training from scratch.
    channels: number of channels.
    convolve: returns the features; its argument is an affine map of their
      channels, or None.
    dtype: dtype of the result.
    name: name of the normalisation's module.

  Raises:
    ValueError: if `kind` is neither.
  """
  if kind == "frozen":
    return convolve(FrozenBatchNorm(channels, name=name)())
  if kind == "group":
    groups = max(channels // _CHANNELS_PER_GROUP, 1)
    return norms.GroupNorm(groups, dtype=dtype, name=name)(convolve(None))
  raise ValueError(f"norm is {kind!r}, but must be frozen or group")


class Bottleneck(nn.Module):
  """A residual block of three convolutions: 1x1, 3x3 and 1x1.

  Attributes:
    channels: channels of the 3x3 convolution; the output has `EXPANSION` times
      as many.
    stride: stride of the 3x3 convolution and of the shortcut.
    projects: whether the shortcut is a 1x1 convolution.
    norm: kind of normalisation, see `normalised`.
  """

  channels: int
  stride: int
  projects: bool
  norm: str
  dtype: Any

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return the block's features."""
    out = EXPANSION * self.channels
    y = nn.relu(self._unit(x, self.channels, 1, 1, "conv1", "bn1"))
    y = nn.relu(self._unit(y, self.channels, 3, self.stride, "conv2", "bn2"))
    y = self._unit(y, out, 1, 1, "conv3", "bn3")
    if self.projects:
      x = self._unit(x, out, 1, self.stride, "proj_conv", "proj_bn")
    return nn.relu(x + y)

  def _unit(self, x, features: int, size: int, stride: int, conv, bn):
    """Apply a convolution named `conv` and a normalisation named `bn`."""
    pad = (size // 2, size // 2)
    layer = convs.Conv(
      features, (size, size), stride, pad,
      dtype=self.dtype, kernel_init=_HE, name=conv,
    )  # fmt: skip
    convolve = functools.partial(layer, x)
    return normalised(self.norm, features, convolve, dtype=self.dtype, name=bn)


class Stage(nn.Module):
  """A sequence of bottlenecks; the first one has the stride and projects."""

  channels: int
  blocks: int
  stride: int
  norm: str
  dtype: Any

  def setup(self):
    """Build the blocks."""
    self.block = [
      Bottleneck(
        self.channels, self.stride if i == 0 else 1, i == 0, self.norm,
        self.dtype,
      )
      for i in range(self.blocks)
    ]  # fmt: skip

  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return the last block's features."""
    for block in self.block:
      x = block(x)
    return x


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
  """Return the 3x3 maxima at stride 2; padding is minus infinity."""
  return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
