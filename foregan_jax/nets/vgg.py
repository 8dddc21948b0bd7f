"""VGG-19 (Simonyan and Zisserman, 2015) up to its first ReLU of each scale.

Weights come from a user's file or are random and fixed. A random network has
filters without a mean: it reacts to structure and hardly to brightness, while
plain random filters almost give a pixel difference.
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, resnet
from foregan_jax.runtime import state_dicts

NUM_TAPS = 5
# Names of the convolutions in torchvision's file, and channels over 64; a tap
# is the ReLU of the first convolution of a group.
_GROUPS = (
  (1, (0, 2)),
  (2, (5, 7)),
  (4, (10, 12, 14, 16)),
  (8, (19, 21, 23, 25)),
  (8, (28,)),
)
WIDTH = 64
# Means of the features of random networks, measured on demo frames at 128x128:
# between those of widths 16 and 64. Divided by them, features weigh equally.
_RANDOM_MEANS = (0.14, 0.10, 0.08, 0.05, 0.033)
_SEED = 19


class Vgg19(nn.Module):
  """The features after relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

  Attributes:
    taps: number of features, 1 to 5.
    width: channels of the first convolution; 64 in VGG-19.
    dtype: of the convolutions; parameters are float32.
  """

  taps: int = NUM_TAPS
  width: int = WIDTH
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w 3"]) -> list[jax.Array]:
    """Return the features of images in [0, 1], at 1, 1/2, 1/4, ..."""
    x = resnet.standardise(2.0 * image - 1.0).astype(self.dtype)
    features: list[jax.Array] = []
    for group, (times, names) in enumerate(_GROUPS[: self.taps]):
      if group:
        x = _max_pool(x)
      for name in names:
        x = convs.Conv(
          times * self.width, (3, 3), padding=(1, 1), use_bias=True,
          dtype=self.dtype, name=f"conv_{name}",
        )(x)  # fmt: skip
        x = nn.relu(x)
        if name == names[0]:
          features.append(x)
        if len(features) == self.taps:
          break
    return features


def _max_pool(x: jax.Array) -> jax.Array:
  """Return the maxima of 2x2 pixels; the gradient needs no scatter."""
  b, h, w, c = x.shape
  x = x[:, : h - h % 2, : w - w % 2].reshape(b, h // 2, 2, w // 2, 2, c)
  return x.max((2, 4))


@functools.cache
def _shapes(taps: int, width: int) -> dict[str, Any]:
  image = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
  init = Vgg19(taps, width).init
  return jax.eval_shape(init, jax.random.key(0), image)["params"]


def random(taps: int, width: int) -> dict[str, Any]:
  """Return random parameters, always the same, float32 NumPy arrays.

  He-normal filters without their mean, no biases. The scale of features is
  corrected by `random_scales`.
  """
  rng = np.random.default_rng(_SEED)
  params = {}
  for name, leaves in _shapes(taps, width).items():
    shape = leaves["kernel"].shape
    kernel = rng.normal(0.0, np.sqrt(2 / np.prod(shape[:3])), shape)
    kernel -= kernel.mean((0, 1, 2), keepdims=True)
    params[name] = {
      "kernel": kernel.astype(np.float32),
      "bias": np.zeros(shape[3], np.float32),
    }
  return params


def random_scales(taps: int) -> tuple[float, ...]:
  """Return the means by which to divide the features of `random`."""
  return _RANDOM_MEANS[:taps]


def load(path: str | pathlib.Path, taps: int) -> dict[str, Any]:
  """Return the parameters in a file, float32 NumPy arrays.

  Args:
    path: torchvision's `vgg19-*.pth`, or the same names and layouts in a
      .safetensors or .npz file. The classifier and deeper layers are ignored.
    taps: number of features.

  Raises:
    ValueError: naming the file, if it cannot be read, lacks a tensor, or has
      one of another shape or with values that are not finite.
  """
  path = pathlib.Path(path)
  tensors = read_npz(path) if path.suffix == ".npz" else state_dicts.read(path)
  return from_state_dict(tensors, path, taps)


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Read the arrays of an .npz file without running code from it.

  Raises:
    ValueError: naming the file, if it is missing, damaged or holds objects.
  """
  try:
    with np.load(path, allow_pickle=False) as arrays:
      return {name: arrays[name] for name in arrays.files}
  except Exception as error:  # Damaged archives raise many types.
    raise ValueError(
      f"weight file {path} is missing, truncated or damaged ({error!r})."
    ) from error


def from_state_dict(
  tensors: Mapping[str, np.ndarray], path: str | pathlib.Path, taps: int
) -> dict[str, Any]:
  """Return the parameters from PyTorch's tensors by name; see `load`."""
  expected, params = {}, {}
  for name, leaves in _shapes(taps, WIDTH).items():
    height, width, inputs, outputs = leaves["kernel"].shape
    prefix = name.replace("conv_", "features.")
    expected[f"{prefix}.weight"] = (outputs, inputs, height, width)
    expected[f"{prefix}.bias"] = (outputs,)
  used = {name: tensors[name] for name in expected if name in tensors}
  state_dicts.check_shapes(used, expected, path)
  for name, tensor in used.items():
    if not np.isfinite(tensor).all():
      raise ValueError(
        f"weight file {path} has values in {name} that are not finite."
      )
  for name in _shapes(taps, WIDTH):
    prefix = name.replace("conv_", "features.")
    kernel = np.asarray(used[f"{prefix}.weight"], np.float32)
    params[name] = {
      "kernel": np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)),
      "bias": np.asarray(used[f"{prefix}.bias"], np.float32),
    }
  return params
