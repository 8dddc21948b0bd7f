"""Instance, group and batch norm, and batch norm with running statistics.

Linen's versions are not used, because their gradient costs about three times as
much on CPU. Instance and group norm define their own gradient: the automatic
one takes half as long again, to compile and to run.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


def spatial_moments(
  x: Float[Array, "b h w c"],
) -> tuple[Float[Array, "b c"], Float[Array, "b c"]]:
  """Return mean and biased variance over the pixels, float32, in one pass.

  `var = E[(x - p)^2] - E[x - p]^2`, where the pivot `p` is the top-left pixel.
  Without a pivot the difference loses precision if the mean is far from zero.
  """
  x = x.astype(jnp.float32)
  # The result does not depend on the pivot, so no gradient flows into it.
  pivot = jax.lax.stop_gradient(x[:, :1, :1])
  shifted = x - pivot
  # Rows first: short sums round less, and XLA can split rows among cores.
  mean = shifted.mean(axis=2).mean(axis=1)
  square = jnp.square(shifted).mean(axis=2).mean(axis=1)
  return mean + pivot[:, 0, 0], jnp.maximum(square - jnp.square(mean), 0)


class InstanceNorm(nn.Module):
  """Normalisation of each channel of each sample over its pixels.

  With `affine`, a trained scale and bias per channel follow. Statistics are
  always float32. `dtype` is the dtype of the result; None keeps that of the
  input. The default of `eps` is PyTorch's, not Flax's.
  """

  eps: float = 1e-5
  dtype: Any = None
  affine: bool = True

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the normalised `x`."""
    channels = x.shape[-1]
    if self.affine:
      return _apply(self, x, channels)
    scale, bias = jnp.ones(channels), jnp.zeros(channels)
    y = _normalise(x, scale, bias, channels, self.eps)
    return y.astype(self.dtype or x.dtype)


class GroupNorm(nn.Module):
  """Normalisation of groups of channels of each sample over their pixels.

  Unlike instance norm it keeps the contrast between channels of one group. A
  network that must classify a region needs this contrast.
  """

  num_groups: int
  eps: float = 1e-5
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the normalised `x`.

    Raises:
      ValueError: if `num_groups` does not divide the number of channels.
    """
    channels = x.shape[-1]
    if channels % self.num_groups:
      raise ValueError(
        f"{channels} channels do not divide into {self.num_groups} groups"
      )
    return _apply(self, x, self.num_groups)


class BatchNorm(nn.Module):
  """Normalisation of each channel over the current batch and its pixels.

  There are no running averages. Those of the trained weights would not fit the
  averaged (EMA) weights, so samples are always generated in batches. If a batch
  is split over devices, the statistics are those of the whole batch, because a
  mean under `jit` is global.
  """

  eps: float = 1e-5
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b *hw c"]) -> Float[Array, "b *hw c"]:
    """Return the normalised `x`."""
    channels = x.shape[-1]
    scale = self.param("scale", _near_one, (channels,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
    flat = x.astype(jnp.float32).reshape(-1, channels)
    mean = flat.mean(axis=0, keepdims=True)
    var = jnp.square(flat - mean).mean(axis=0, keepdims=True)
    y = (flat - mean) * (jax.lax.rsqrt(var + self.eps) * scale[None])
    y = (y + bias[None]).reshape(x.shape)
    return y.astype(self.dtype or x.dtype)


class RunningBatchNorm(nn.Module):
  """Batch norm as in PyTorch, with running statistics for predictions.

  The collection `batch_stats` has the running mean and variance of each
  channel. With `train` the statistics are those of the batch, over all devices
  (see `BatchNorm`), and the running ones move towards them; the running
  variance is the unbiased one. Statistics are always float32.

  Attributes:
    eps: added to the variance.
    momentum: share of the old running statistics; PyTorch's 1 - 0.1.
    scale_init: of the scales.
    dtype: of the result; None keeps that of the input.
  """

  eps: float = 1e-5
  momentum: float = 0.9
  scale_init: Any = nn.initializers.ones
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool
  ) -> Float[Array, "b h w c"]:
    """Return the normalised `x`."""
    channels = x.shape[-1]
    scale = self.param("scale", self.scale_init, (channels,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
    stored = lambda name, make: self.variable(
      "batch_stats", name, make, (channels,), jnp.float32
    )
    mean, var = stored("mean", jnp.zeros), stored("var", jnp.ones)
    if not train:
      factor = scale * jax.lax.rsqrt(var.value + self.eps)
      y = _shift(x, mean.value[None]) * _pixels(factor[None])
      return (y + _pixels(bias[None])).astype(self.dtype or x.dtype)
    y, batch_mean, batch_var = _normalise_batch(x, scale, bias, self.eps)
    if not self.is_initializing():
      count = x.size // channels
      unbiased = batch_var * (count / max(count - 1, 1))
      mix = lambda old, new: self.momentum * old + (1.0 - self.momentum) * new
      mean.value = mix(mean.value, jax.lax.stop_gradient(batch_mean))
      var.value = mix(var.value, jax.lax.stop_gradient(unbiased))
    return y.astype(self.dtype or x.dtype)


def _normalise_batch(x, scale, bias, eps: float):
  """Return normalised `x`, float32, and mean and biased variance [c]."""
  means, variances = spatial_moments(x)
  mean = means.mean(0)
  # Law of total variance: within samples plus between samples.
  var = (variances + jnp.square(means - mean[None])).mean(0)
  factor = scale * jax.lax.rsqrt(var + eps)
  y = _shift(x, mean[None]) * _pixels(factor[None]) + _pixels(bias[None])
  return y, mean, var


def _near_one(key: jax.Array, shape, dtype=jnp.float32) -> jax.Array:
  """Draw the initial scales of DCGAN, N(1, 0.02)."""
  return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


def _apply(module: InstanceNorm | GroupNorm, x, groups: int) -> jax.Array:
  """Normalise `x` in groups of channels, with parameters of `module`."""
  channels = x.shape[-1]
  scale = module.param("scale", nn.initializers.ones, (channels,), jnp.float32)
  bias = module.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
  y = _normalise(x, scale, bias, groups, module.eps)
  return y.astype(module.dtype or x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalise(
  x: Float[Array, "b h w c"],
  scale: Float[Array, " c"],
  bias: Float[Array, " c"],
  groups: int,
  eps: float,
) -> Float[Array, "b h w c"]:
  """Return `(x - mean) / sqrt(var + eps) scale + bias`, float32."""
  return _normalise_fwd(x, scale, bias, groups, eps)[0]


def _normalise_fwd(x, scale, bias, groups, eps):
  mean, var = spatial_moments(x)
  shape = mean.shape
  mean, var = (a.reshape(shape[0], groups, -1) for a in (mean, var))
  center = mean.mean(-1, keepdims=True)
  # Law of total variance: within channels plus between channels.
  var = (var + jnp.square(mean - center)).mean(-1, keepdims=True)
  repeat = lambda a: jnp.broadcast_to(a, mean.shape).reshape(shape)
  center, rate = repeat(center), repeat(jax.lax.rsqrt(var + eps))
  y = _shift(x, center) * _pixels(rate * scale[None])
  return y + bias.reshape(1, 1, 1, -1), (x, scale, center, rate)


def _normalise_bwd(groups, eps, saved, g):
  """Return the gradients of `x`, scale and bias.

  With `n = (x - mean) rate`, that of `x` is `scale g` without its mean and
  without its component along n, times `rate`.
  """
  del eps
  x, scale, center, rate = saved
  b, h, w, channels = x.shape
  # Rows first, as in `spatial_moments`.
  total = lambda a: a.sum(axis=2).sum(axis=1)
  level, along = total(g), total(g * _shift(x, center)) * rate

  def mean(a):
    a = (a * scale[None]).reshape(b, groups, -1)
    a = jnp.broadcast_to(a.mean(-1, keepdims=True), a.shape)
    return a.reshape(b, channels) / (h * w)

  dx = g * _pixels(rate * scale[None]) - _pixels(rate * mean(level))
  dx -= _shift(x, center) * _pixels(jnp.square(rate) * mean(along))
  return dx.astype(x.dtype), along.sum(0), level.sum(0)


_normalise.defvjp(_normalise_fwd, _normalise_bwd)


def _shift(x: jax.Array, center: jax.Array) -> jax.Array:
  """Return `x - center` in float32."""
  return x.astype(jnp.float32) - _pixels(center)


def _pixels(a: Float[Array, "b c"]) -> Float[Array, "b 1 1 c"]:
  """Insert two pixel axes."""
  return a[:, None, None]
