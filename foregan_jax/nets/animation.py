"""Networks of image animation with perturbed masks, and of its backgrounds.

Shalev and Wolf (CVPR 2022, arXiv 2011.06922), as in the authors' code. A mask
is the only thing that carries the pose of the driving frame to the output.
Images are in [0, 1]: what a mask removes is black, which is 0.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import bumps, convs, norms, pyramid, warp

STATISTICS = "batch_stats"  # the collection of running statistics
BORDER = 3  # pixels of the mask that the 7x7 head cannot fill
_HEAD = 7  # side of the kernels of the heads
# PyTorch's default: uniform in +-1 / sqrt(fan_in).
_torch_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# Initial scales of the batch norms. PyTorch before 1.1, which the authors
# require, draws them; later versions use 1.
SCALES: dict[str, Callable] = {
  "ones": nn.initializers.ones,
  "uniform01": nn.initializers.uniform(1.0),
}


def _conv(
  x: jax.Array, features: int, side: int, name: str, *, dtype: Any, pad: int
) -> jax.Array:
  """Apply a convolution with bias, initialised as in PyTorch."""
  return convs.Conv(
    features, (side, side), padding=(pad, pad), use_bias=True, dtype=dtype,
    kernel_init=_torch_init, bias_init=_bias_init(side * side * x.shape[-1]),
    name=name,
  )(x)  # fmt: skip


def _bias_init(fan_in: int) -> Callable:
  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0) * fan_in**-0.5

  return init


class _Block(nn.Module):
  """Common fields of the blocks; see `Down`, `Up`, `Same` and `Residual`."""

  features: int
  scales: str = "ones"
  dtype: Any = jnp.float32

  def _norm(self, x: jax.Array, train: bool, name: str) -> jax.Array:
    norm = norms.RunningBatchNorm(
      scale_init=SCALES[self.scales], dtype=self.dtype, name=name
    )
    return nn.relu(norm(x, train))


class Down(_Block):
  """Convolution 3x3, batch norm, ReLU, and the means of 2x2 pixels."""

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool
  ) -> Float[Array, "b h2 w2 o"]:
    """Return `features` channels at half the size."""
    x = _conv(x, self.features, 3, "conv", dtype=self.dtype, pad=1)
    x = self._norm(x, train, "norm")
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


class Up(_Block):
  """Every pixel twice along both axes, convolution 3x3, batch norm, ReLU."""

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool
  ) -> Float[Array, "b h2 w2 o"]:
    """Return `features` channels at twice the size."""
    fan_in = 9 * x.shape[-1]
    x = convs.UpConv(
      self.features, self.dtype, kernel_init=_torch_init, name="conv"
    )(x)
    shape = (self.features,)
    bias = self.param("bias", _bias_init(fan_in), shape, jnp.float32)
    x = x + bias.astype(self.dtype).reshape(1, 1, 1, -1)
    return self._norm(x, train, "norm")


class Same(_Block):
  """Convolution 7x7, batch norm, ReLU."""

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool
  ) -> Float[Array, "b h w o"]:
    """Return `features` channels."""
    x = _conv(x, self.features, _HEAD, "conv", dtype=self.dtype, pad=BORDER)
    return self._norm(x, train, "norm")


class Residual(_Block):
  """Twice batch norm, ReLU and convolution 3x3, added to the input."""

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool
  ) -> Float[Array, "b h w c"]:
    """Return the sum."""
    y = x
    for i in (1, 2):
      y = self._norm(y, train, f"norm{i}")
      y = _conv(y, self.features, 3, f"conv{i}", dtype=self.dtype, pad=1)
    return x + y


class Hourglass(nn.Module):
  """Halve the image `levels` times, then enlarge it as often.

  Level i has `min(width 2^i, cap)` channels.

  Attributes:
    width: channels at the input's size.
    levels: number of halvings.
    cap: largest number of channels.
    skips: join the features of the same size of both halves (a U-Net), the
      input at last; else all information passes the coarsest features.
    scales: initial scales of the batch norms, one of `SCALES`.
    dtype: of the convolutions.
  """

  width: int
  levels: int
  cap: int = 1024
  skips: bool = False
  scales: str = "ones"
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool
  ) -> Float[Array, "b h w o"]:
    """Return `width` channels, with `skips` those of the input in addition."""
    channels = lambda level: min(self.width * 2**level, self.cap)
    kept = [x]
    for i in range(self.levels):
      name = f"down_{i + 1}"
      x = Down(channels(i + 1), self.scales, self.dtype, name=name)(x, train)
      kept.append(x)
    for i in reversed(range(self.levels)):
      name = f"up_{i}"
      x = Up(channels(i), self.scales, self.dtype, name=name)(x, train)
      if self.skips:
        x = jnp.concatenate([x, kept[i].astype(x.dtype)], axis=-1)
    return x


class MaskGenerator(nn.Module):
  """The net m: an image to its mask, at 1 / `stride` of the size.

  Attributes:
    width: channels of the last features.
    levels: halvings of the shrunken image.
    stride: the image's size over the mask's.
    border: whether the head sees whole neighbourhoods only, so that `BORDER`
      pixels at each side of the mask are 0, as published; else it pads.
    temperature: the mask is `sigmoid(logit / temperature)`.
    centred: whether the mean logit of an image is 0. Ours: without it, at high
      learning rates, all masks become black in the first steps and stay so.
    prior: height of a bump at the image's centre that is added to the logits,
      so that the object becomes white, not the background; 0 as published.
    cap: largest number of channels.
    scales: see `Hourglass`.
    dtype: of the convolutions.
  """

  width: int = 32
  levels: int = 5
  stride: int = 4
  border: bool = True
  temperature: float = 0.1
  centred: bool = False
  prior: float = 0.0
  cap: int = 1024
  scales: str = "ones"
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b h2 w2 1"]:
    """Return the float32 soft mask in [0, 1] of an image in [0, 1]."""
    x = pyramid.shrink(image.astype(jnp.float32), self.stride)
    x = Hourglass(
      self.width, self.levels, self.cap, False, self.scales, self.dtype,
      name="hourglass",
    )(x, train)  # fmt: skip
    pad = 0 if self.border else BORDER
    logits = _conv(x, 1, _HEAD, "head", dtype=self.dtype, pad=pad)
    logits = logits.astype(jnp.float32)
    logits += self.prior * bumps.bump(*logits.shape[1:3])[None]
    if self.centred:
      logits -= logits.mean((1, 2), keepdims=True)
    mask = _mask(logits, self.temperature)
    if self.border:
      sides = (BORDER, BORDER)
      mask = jnp.pad(mask, ((0, 0), sides, sides, (0, 0)))
    return mask


class MaskRefiner(nn.Module):
  """The net r: redraws a perturbed mask with the shape of the source.

  Attributes: see `MaskGenerator`.
  """

  width: int = 64
  levels: int = 5
  temperature: float = 0.1
  cap: int = 1024
  scales: str = "ones"
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w 5"], train: bool = False
  ) -> Float[Array, "b h w 1"]:
    """Return the float32 soft mask in [0, 1]; input: `refiner_input`."""
    x = Hourglass(
      self.width, self.levels, self.cap, False, self.scales, self.dtype,
      name="hourglass",
    )(x, train)  # fmt: skip
    logits = _conv(x, 1, _HEAD, "head", dtype=self.dtype, pad=BORDER)
    return _mask(logits, self.temperature)


class LowGenerator(nn.Module):
  """The nets L and BGBase: paint an image from inputs at 1 / `stride`.

  The code builds two further blocks that halve the input and never calls them;
  they do not exist here.

  Attributes:
    width: channels of the last features; the residual blocks have `stride`
      times as many.
    residuals: number of residual blocks.
    stride: the output's size over the input's, a power of 2.
    scales: see `Hourglass`.
    dtype: of the convolutions.
    base: see `HighGenerator`.
  """

  width: int = 64
  residuals: int = 6
  stride: int = 4
  scales: str = "ones"
  dtype: Any = jnp.float32
  base: Callable[[jax.Array], jax.Array] | None = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool = False
  ) -> Float[Array, "b h2 w2 3"]:
    """Return a float32 image in [0, 1]."""
    base = self.base(x) if self.base else None
    channels = self.width * self.stride
    x = Same(channels, self.scales, self.dtype, name="first")(x, train)
    for i in range(self.residuals):
      name = f"residual_{i}"
      x = Residual(channels, self.scales, self.dtype, name=name)(x, train)
    while channels > self.width:
      channels //= 2
      name = f"up_{channels}"
      x = Up(channels, self.scales, self.dtype, name=name)(x, train)
    return _paint(x, base, self.dtype)


class HighGenerator(nn.Module):
  """The nets H and BGRefine: repaint an image at full size, by a U-Net.

  Attributes:
    width, levels, cap, scales, dtype: see `Hourglass`.
    base: returns of the input one or several images, [b, h, w, 3 k], that the
      output is mixed with, by weights that are outputs too. None: without, as
      published. With it, what does not change is copied from the start.
  """

  width: int = 64
  levels: int = 5
  cap: int = 1024
  scales: str = "ones"
  dtype: Any = jnp.float32
  base: Callable[[jax.Array], jax.Array] | None = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], train: bool = False
  ) -> Float[Array, "b h w 3"]:
    """Return a float32 image in [0, 1]."""
    base = self.base(x) if self.base else None
    x = Hourglass(
      self.width, self.levels, self.cap, True, self.scales, self.dtype,
      name="hourglass",
    )(x, train)  # fmt: skip
    return _paint(x, base, self.dtype)


def _mask(logits: jax.Array, temperature: float) -> jax.Array:
  return jax.nn.sigmoid(logits.astype(jnp.float32) / temperature)


def _paint(x: jax.Array, base: jax.Array | None, dtype: Any) -> jax.Array:
  """Return the image of the head, mixed with those of `base` if there are any.

  The last channels of the head are logits of the images' weights; what is
  painted has the logit 0.
  """
  count = 0 if base is None else base.shape[-1] // 3
  logits = _conv(x, 3 + count, _HEAD, "head", dtype=dtype, pad=BORDER)
  logits = logits.astype(jnp.float32)
  painted = jax.nn.sigmoid(logits[..., :3])
  if base is None:
    return painted
  weights = jax.nn.softmax(
    jnp.concatenate([jnp.zeros_like(logits[..., :1]), logits[..., 3:]], -1)
  )
  base = warp.resize(
    base.astype(jnp.float32), painted.shape[1:3], align_corners=False
  )
  images = jnp.concatenate([painted, base], axis=-1)
  images = images.reshape(*images.shape[:3], 1 + count, 3)
  return (weights[..., None] * images).sum(axis=3)


def train(
  net: nn.Module, collections: dict[str, Any], x: jax.Array
) -> tuple[jax.Array, dict[str, Any]]:
  """Apply a net with the statistics of the batch.

  Returns:
    The output, and `collections` with the new running statistics.
  """
  y, updated = net.apply(collections, x, train=True, mutable=[STATISTICS])
  return y, {**collections, **updated}
