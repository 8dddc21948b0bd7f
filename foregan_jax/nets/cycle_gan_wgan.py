"""Generator and Wasserstein critic of a student's CycleGAN for faces.

Source: github.com/MarcisTU/thesis_work, all_features_cyclegan.py (2022). Every
convolution of the generator but the last has an instance norm without
parameters and a leaky ReLU; the critic has layer norms, and noise before every
layer.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms
from foregan_jax.nets import cycle_gan, per_region

_NEGATIVE_SLOPE = 0.01
_BLOCKS = 3
# Of the critic: channels in units of `width`, side of the kernel, stride.
_LAYERS = (
  (1, 4, 2), (1, 3, 1), (2, 4, 2), (2, 3, 1), (4, 4, 2), (4, 3, 1), (8, 4, 2),
)  # fmt: skip
_AXES = (-3, -2, -1)  # of the layer norms: each pixel has its own scale
_EPS = 1e-5  # PyTorch's


class Generator(nn.Module):
  """Translates pictures; their sides must be multiples of 4.

  Attributes: see `cycle_gan.Generator`; published: 64 wide, 1 channel.
  """

  channels: int = 3
  width: int = 64
  residual: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return pictures in [-1, 1], of the size of the given ones."""
    n = self.width
    reflect = cycle_gan.reflect
    x = self._act(self._conv(n, 7, "first")(reflect(image, 3)))
    x = _halve(self._act(self._conv(2 * n, 3, "conv_0", 1)(x)))
    x = self._act(self._conv(2 * n, 3, "conv_1", 1)(x))
    x = _halve(self._act(self._conv(4 * n, 3, "conv_2", 1)(x)))
    for i in range(_BLOCKS):
      y = self._act(self._conv(4 * n, 3, f"block_{i}_a")(reflect(x, 1)))
      x = x + self._act(self._conv(4 * n, 3, f"block_{i}_b")(reflect(y, 1)))
    x = self._act(self._conv(2 * n, 3, "conv_3", 1)(x))
    # The pixels are repeated after the activation: part of the next layer.
    up = convs.UpConv(2 * n, dtype=self.dtype, use_bias=True, name="up")
    x = self._act(up(x))
    x = self._act(self._conv(n, 3, "conv_4", 1)(x))
    x = x.repeat(2, axis=1).repeat(2, axis=2)
    x = self._conv(self.channels, 7, "last")(reflect(x, 3))
    x = jnp.tanh(x.astype(jnp.float32))
    return jnp.clip(image + x, -1.0, 1.0) if self.residual else x

  def _conv(self, features: int, side: int, name: str, padding: int = 0):
    return _conv(features, side, name, self.dtype, padding)

  def _act(self, x: jax.Array) -> jax.Array:
    x = norms.InstanceNorm(affine=False)(x)
    return nn.leaky_relu(x, _NEGATIVE_SLOPE)


class Critic(nn.Module):
  """A critic of whole pictures; it is trained for one size of them.

  Attributes:
    width: channels of the first layer; 8 times as many in the last one.
    dtype: of the computation; scores are float32.
  """

  width: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    image: Float[Array, "b h w c"],
    std: Float[Array, ""] | None = None,
    key: Any = None,
  ) -> Float[Array, "b h2 w2 1"]:
    """Return a map of scores, 4x4 for pictures of 64 pixels.

    Args:
      image: pictures in [-1, 1].
      std: standard deviation of the noise before every layer; None: no noise.
      key: random key of the noise.
    """
    x = image
    for i, (times, side, stride) in enumerate(_LAYERS):
      if std is not None:
        drawn = jax.random.normal(jax.random.fold_in(key, i), x.shape)
        x = x + (std * drawn).astype(x.dtype)
      features = times * self.width
      x = _conv(features, side, f"conv_{i}", self.dtype, 1, stride)(x)
      norm = nn.LayerNorm(
        _EPS, reduction_axes=_AXES, feature_axes=_AXES, name=f"norm_{i}"
      )
      x = nn.leaky_relu(norm(x), _NEGATIVE_SLOPE)
    score = _conv(1, 3, "score", self.dtype, 1)
    return score(x).astype(jnp.float32)


def _conv(
  features: int, side: int, name: str, dtype, padding: int, stride: int = 1
) -> convs.Conv:
  return convs.Conv(
    features,
    (side, side),
    stride,
    (padding, padding),
    use_bias=True,
    dtype=dtype,
    name=name,
  )


def _halve(x: jax.Array) -> jax.Array:
  """Return the mean of 4x4 pixels at stride 2; zeros outside count."""
  return nn.avg_pool(x, (4, 4), (2, 2), padding=((1, 1), (1, 1)))


@dataclasses.dataclass(frozen=True)
class NoisyCritic:
  """Applies the critics of all regions as in training, with their noise.

  Attributes:
    critic: of each region.
    std: standard deviation of the noise at step 0; 0: no noise.
    steps: it falls linearly to 0 at this step.
  """

  critic: per_region.PerRegion
  std: float
  steps: int

  def __call__(self, collections: Any, x: jax.Array, step, key) -> jax.Array:
    """Return the scores [r, b, h, w, 1] of crops [r, b, s, s, c]."""
    if not self.std:
      return self.critic.apply(collections, x)
    std = self.std * jnp.maximum(0.0, 1.0 - step / self.steps)
    regions = self.critic.count
    keys = jax.random.split(key, regions)
    return self.critic.apply(
      collections, x, jnp.broadcast_to(std, (regions,)), keys
    )
