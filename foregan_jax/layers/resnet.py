"""The trunk of a ResNet (He et al., 2016) in the form of torchvision's.

Bottlenecks with the stride on their 3x3 convolution ("v1.5"), symmetric
padding, and batch norm whose four tensors never move: video batches are too
small to estimate them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms

EXPANSION = 4  # of a bottleneck's channels
# ImageNet's statistics, for pictures in [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_CHANNELS_PER_GROUP = 8
_HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def standardise(image: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
  """Returns a picture in [-1, 1] as ImageNet's networks want it."""
  mean, std = (jnp.reshape(jnp.asarray(x), (1, 1, 1, 3)) for x in (MEAN, STD))
  return ((image + 1.0) / 2.0 - mean) / std


class FrozenBatchNorm(nn.Module):
  """`(x - mean) / sqrt(var + eps) scale + bias`, none of which learns.

  The four tensors lie with the parameters, because that is what a weight file
  holds and a checkpoint keeps, but no gradient reaches them.
  """

  eps: float = 1e-5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the normalised `x`."""
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    fixed = lambda name, init: jax.lax.stop_gradient(
      self.param(name, init, (x.shape[-1],), jnp.float32)
    )
    factor = fixed("scale", ones) * jax.lax.rsqrt(fixed("var", ones) + self.eps)
    shift = fixed("bias", zeros) - fixed("mean", zeros) * factor
    factor, shift = (
      a.astype(self.dtype).reshape(1, 1, 1, -1) for a in (factor, shift)
    )
    return x * factor + shift


def norm(kind: str, channels: int, *, dtype, name: str) -> nn.Module:
  """Returns the normalisation of a trunk.

  Args:
    kind: `frozen` for weights that come from elsewhere, or `group` for trunks
      that learn from nothing.
    channels: of what is normalised.
    dtype: of the result.
    name: of the module.

  Raises:
    ValueError: for another kind.
  """
  if kind == "frozen":
    return FrozenBatchNorm(dtype=dtype, name=name)
  if kind == "group":
    groups = max(channels // _CHANNELS_PER_GROUP, 1)
    return norms.GroupNorm(groups, dtype=dtype, name=name)
  raise ValueError(f"norm is {kind!r}, but must be frozen or group")


class Bottleneck(nn.Module):
  """1x1, 3x3 with the stride, 1x1 to four times the channels, and a shortcut.

  Attributes:
    channels: of the 3x3 convolution.
    stride: of the 3x3 convolution and the shortcut.
    projects: whether the shortcut is a 1x1 convolution.
    norm: see `norm`.
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
    pad = (size // 2, size // 2)
    x = convs.Conv(
      features, (size, size), stride, pad,
      dtype=self.dtype, kernel_init=_HE, name=conv,
    )(x)  # fmt: skip
    return norm(self.norm, features, dtype=self.dtype, name=bn)(x)


class Stage(nn.Module):
  """A row of bottlenecks; the first one projects and has the stride."""

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
  """Takes the maximum of 3x3 at stride 2; beyond the border is nothing."""
  return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
