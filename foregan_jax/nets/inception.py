"""Inception-v3 up to its last features, the network that defines FID.

Szegedy et al. (CVPR 2016), in the version of TensorFlow's graph of 2015-12-05,
which pytorch-fid ported. It differs from torchvision's network in two ways:
average pools do not count the padding, and the last block uses a maximum pool.
Inference only: the batch statistics are ordinary parameters.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Array, Float, UInt8

from foregan_jax.layers import warp

SIZE = 299  # height and width of the training images
_EPSILON = 1e-3
_TORCH_NAMES = {  # torch's names of a unit's parameters
  "kernel": "conv.weight",
  "scale": "bn.weight",
  "bias": "bn.bias",
  "mean": "bn.running_mean",
  "var": "bn.running_var",
}
Map = Float[Array, "b h w i"]
Out = Float[Array, "b h2 w2 o"]


def features(
  params: Any, images: UInt8[Array | np.ndarray, "b h w 3"]
) -> Float[Array, "b 2048"]:
  """Return float32 features >= 0 of RGB images; call it under `jit`.

  Args:
    params: result of `from_state_dict`.
    images: RGB images of any size; `prepare` resizes them.
  """
  features = Inception().apply(params, prepare(images))
  # `apply` returns a tuple only with mutable collections.
  assert isinstance(features, jax.Array)
  return features


def prepare(
  images: UInt8[Array | np.ndarray, "b h w 3"],
) -> Float[Array, "b 299 299 3"]:
  """Resize RGB images to 299x299 and map them to [-1, 1].

  The resize is bilinear without antialiasing, like torch's `interpolate` with
  align_corners=False. Shrinking causes aliasing, as it does in published FIDs.
  """
  images = jnp.asarray(images, jnp.float32) / 255
  return 2 * warp.resize(images, (SIZE, SIZE), align_corners=False) - 1


def names_and_shapes() -> dict[str, tuple[int, ...]]:
  """Return torch's name and shape of each tensor of `from_state_dict`.

  Names and shapes are those of pytorch-fid's and torchvision's files; kernels
  are OIHW.
  """
  return {name: shape for name, (_, shape) in _parameters().items()}


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Return {"params": ...} for `features` from pytorch-fid's state dict.

  The parameters are float32 numpy arrays.

  Args:
    tensors: arrays by torch's names, at least those of `names_and_shapes`.
      Other tensors, such as the classifier's, are ignored.

  Raises:
    ValueError: if a tensor is missing or has another shape.
  """
  needed = _parameters()
  if missing := [name for name in needed if name not in tensors]:
    raise ValueError(
      f"{len(missing)} of Inception-v3's {len(needed)} tensors are missing, "
      f"for example {missing[0]}"
    )
  params = {}
  for name, (path, shape) in needed.items():
    tensor = np.asarray(tensors[name], np.float32)
    if tensor.shape != shape:
      raise ValueError(
        f"{name} has shape {tensor.shape}, but must have {shape}"
      )
    params[path] = tensor.transpose(2, 3, 1, 0) if len(shape) == 4 else tensor
  return {"params": traverse_util.unflatten_dict(params)}


@functools.cache
def _parameters() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
  """Return {torch's name: (path, torch's shape)} of all parameters."""
  image = jnp.zeros((1, SIZE, SIZE, 3))
  init = lambda: Inception().init(jax.random.key(0), image)
  tree = jax.eval_shape(init)["params"]
  oihw = lambda s: (s[3], s[2], s[0], s[1]) if len(s) == 4 else s
  return {
    ".".join([*path[:-1], _TORCH_NAMES[path[-1]]]): (path, oihw(leaf.shape))
    for path, leaf in traverse_util.flatten_dict(tree).items()
  }


class Inception(nn.Module):
  """The network; submodules have torchvision's names."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 3"]) -> Float[Array, "b 2048"]:
    """Return the features of RGB images in [-1, 1], at least 75x75 pixels."""
    x = Unit(32, (3, 3), 2, name="Conv2d_1a_3x3")(x)
    x = Unit(32, (3, 3), pad=False, name="Conv2d_2a_3x3")(x)
    x = _halve(Unit(64, (3, 3), name="Conv2d_2b_3x3")(x))
    x = Unit(80, name="Conv2d_3b_1x1")(x)
    x = _halve(Unit(192, (3, 3), pad=False, name="Conv2d_4a_3x3")(x))
    for name, width in (("5b", 32), ("5c", 64), ("5d", 64)):
      x = BlockA(width, name=f"Mixed_{name}")(x)
    x = BlockB(name="Mixed_6a")(x)
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
      x = BlockC(width, name=f"Mixed_{name}")(x)
    x = BlockD(name="Mixed_7a")(x)
    x = BlockE(name="Mixed_7b")(x)
    x = BlockE(max_pool=True, name="Mixed_7c")(x)
    return x.mean(axis=(1, 2))


class Unit(nn.Module):
  """Convolution, batch norm with stored statistics, ReLU.

  With a stride above 1 the convolution has no padding, whatever `pad` says.
  """

  features: int
  kernel_size: tuple[int, int] = (1, 1)
  stride: int = 1
  pad: bool = True

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return `features` channels with values >= 0."""
    shape = (*self.kernel_size, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.he_normal(), shape)
    zeros, ones = nn.initializers.zeros, nn.initializers.ones
    stored = lambda name, init: self.param(name, init, (self.features,))
    scale, bias = stored("scale", ones), stored("bias", zeros)
    mean, var = stored("mean", zeros), stored("var", ones)
    y = jax.lax.conv_general_dilated(
      x,
      kernel,
      (self.stride, self.stride),
      "SAME" if self.pad and self.stride == 1 else "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      # By default accelerators round float32; FID must equal other programs'.
      precision=jax.lax.Precision.HIGHEST,
    )
    scale = scale / jnp.sqrt(var + _EPSILON)
    channelwise = lambda v: v.reshape(1, 1, 1, -1)
    return nn.relu(y * channelwise(scale) + channelwise(bias - mean * scale))


class BlockA(nn.Module):
  """Branches of 1x1, 5x5 and twice 3x3."""

  pool_features: int

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return 224 + `pool_features` channels."""
    one = Unit(64, name="branch1x1")(x)
    five = _chain(x, "branch5x5", (48, 1, 1), (64, 5, 5))
    three = _chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))
    pool = Unit(self.pool_features, name="branch_pool")(_average(x))
    return jnp.concatenate([one, five, three, pool], axis=-1)


class BlockB(nn.Module):
  """Branches that halve height and width."""

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return 480 channels more than `x` has."""
    once = Unit(384, (3, 3), 2, name="branch3x3")(x)
    twice = _chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3, 2))
    return jnp.concatenate([once, twice, _halve(x)], axis=-1)


class BlockC(nn.Module):
  """Branches of 1x7 and 7x1 convolutions, once and twice."""

  width: int

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return 768 channels; inner layers have `width`."""
    c = self.width
    one = Unit(192, name="branch1x1")(x)
    once = _chain(x, "branch7x7", (c, 1, 1), (c, 1, 7), (192, 7, 1))
    steps = (c, 1, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7)
    twice = _chain(x, "branch7x7dbl", *steps)
    pool = Unit(192, name="branch_pool")(_average(x))
    return jnp.concatenate([one, once, twice, pool], axis=-1)


class BlockD(nn.Module):
  """Branches that halve height and width, the second time."""

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return 512 channels more than `x` has."""
    three = _chain(x, "branch3x3", (192, 1, 1), (320, 3, 3, 2))
    steps = (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2)
    seven = _chain(x, "branch7x7x3", *steps)
    return jnp.concatenate([three, seven, _halve(x)], axis=-1)


class BlockE(nn.Module):
  """Parallel branches of 1x3 and 3x1 convolutions."""

  max_pool: bool = False

  @nn.compact
  def __call__(self, x: Map) -> Out:
    """Return 2048 channels."""
    fork = lambda x, name: [
      Unit(384, kernel, name=name + end)(x)
      for end, kernel in (("a", (1, 3)), ("b", (3, 1)))
    ]
    one = Unit(320, name="branch1x1")(x)
    three = fork(_chain(x, "branch3x3", (384, 1, 1)), "branch3x3_2")
    twice = _chain(x, "branch3x3dbl", (448, 1, 1), (384, 3, 3))
    twice = fork(twice, "branch3x3dbl_3")
    max_pool = lambda x: nn.max_pool(x, (3, 3), (1, 1), "SAME")
    pool = (max_pool if self.max_pool else _average)(x)
    pool = Unit(192, name="branch_pool")(pool)
    return jnp.concatenate([one, *three, *twice, pool], axis=-1)


def _chain(x: Map, name: str, *steps: tuple[int, ...]) -> Out:
  """Apply units given as (channels, height, width[, stride]) in sequence."""
  for i, (channels, height, width, *stride) in enumerate(steps, 1):
    x = Unit(channels, (height, width), *stride, name=f"{name}_{i}")(x)
  return x


def _halve(x: Map) -> Out:
  return nn.max_pool(x, (3, 3), (2, 2))


def _average(x: Map) -> Map:
  return nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)
