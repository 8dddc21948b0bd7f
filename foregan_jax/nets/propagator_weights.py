"""Parameters of a propagator from PyTorch's weight files.

The user provides RGMP's official file, or torchvision's ResNet-50 trained on
ImageNet; `runtime.state_dicts` reads both. OIHW kernels become HWIO. PyTorch
and JAX both compute cross-correlations, so kernels are not flipped.
"""

import re
from typing import Any

import numpy as np
from flax import traverse_util

from foregan_jax.layers import resnet
from foregan_jax.runtime import state_dicts

# Tensors without a parameter of ours: a counter that PyTorch adds to batch
# norms, and RGMP's constants of image normalisation.
_UNUSED = ("num_batches_tracked", "Encoder.mean", "Encoder.std")
_CONSTANTS = {"Encoder.mean": resnet.MEAN, "Encoder.std": resnet.STD}
_CLASSIFIER = ("fc.weight", "fc.bias")  # in torchvision's file
_MASK_STEM = ("encoder", "conv1_p")  # not in torchvision's file
_FIELDS = {
  "kernel": "weight", "scale": "weight", "bias": "bias",
  "mean": "running_mean", "var": "running_var",
}  # fmt: skip
_SHORTCUT = {"proj_conv": "downsample.0", "proj_bn": "downsample.1"}
_DECODER = {
  "g.c1": "convG1", "g.c2": "convG2",
  "fs1": "convFS1", "fs.c1": "convFS2", "fs.c2": "convFS3",
  "mm.c1": "convMM1", "mm.c2": "convMM2",
}  # fmt: skip
_OFFICIAL_PREFIX = "Decoder."  # not in torchvision's file

Params = dict[str, Any]


def load(path, params: Params) -> Params:
  """Return `params` with the weights of a file.

  Args:
    path: RGMP's official file (the whole network), or torchvision's ResNet-50
      (the encoder without the mask's first layer). The names of the tensors
      decide which one it is.
    params: of a `propagator.Propagator`; those that the file lacks are kept.

  Raises:
    ValueError: the file cannot be read, uses another image normalisation, or
      has missing or unexpected tensors or wrong shapes.
  """
  tensors = state_dicts.read(path)
  official = any(name.startswith(_OFFICIAL_PREFIX) for name in tensors)
  flat = traverse_util.flatten_dict(params)
  names = {
    place: official_name(place) if official else _imagenet_name(place)
    for place in flat
    if official or (place[0] == "encoder" and place[:2] != _MASK_STEM)
  }
  shapes = {
    name: _torch_shape(flat[place].shape) for place, name in names.items()
  }
  unused = _UNUSED if official else _UNUSED + _CLASSIFIER
  state_dicts.check_shapes(tensors, shapes, path, ignore=unused)
  for name, expected in _CONSTANTS.items():
    found = tensors[name].ravel() if name in tensors else np.asarray(expected)
    if not np.allclose(found, expected, atol=1e-6):
      raise ValueError(
        f"weight file {path} uses another image normalisation: {name} is "
        f"{found.tolist()}, expected {list(expected)}"
      )
  loaded = {p: from_torch(tensors[name]) for p, name in names.items()}
  return traverse_util.unflatten_dict({**flat, **loaded})


def official_name(place: tuple[str, ...]) -> str:
  """Return the name in RGMP's file of the parameter at `place` of our tree."""
  half, *middle, field = place
  name = ".".join(middle)
  if half == "encoder":
    name = re.sub(r"block_(\d+)", r"\1", name)
    for our_name, torch_name in _SHORTCUT.items():
      name = name.replace(our_name, torch_name)
    return f"Encoder.{name}.{_FIELDS[field]}"
  # RGMP's names of decoder modules are upper case, except those of the heads.
  module, _, rest = name.partition(".")
  if module == "gc":
    name = f"GC.conv_{rest}"
  elif module == "g":
    name = _DECODER[name]
  elif module.startswith("rf"):
    name = f"{module.upper()}.{_DECODER[rest]}"
  return f"Decoder.{name}.{_FIELDS[field]}"


def _imagenet_name(place: tuple[str, ...]) -> str:
  """Return the name in torchvision's file, where res2 is layer1."""
  name = official_name(place).removeprefix("Encoder.")
  return re.sub(r"^res(\d)", lambda m: f"layer{int(m[1]) - 1}", name)


def from_torch(tensor: np.ndarray) -> np.ndarray:
  """Return an OIHW kernel as HWIO and a vector unchanged, in float32."""
  if tensor.ndim == 4:
    tensor = tensor.transpose(2, 3, 1, 0)
  return np.ascontiguousarray(tensor, np.float32)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
  if len(shape) == 4:
    h, w, i, o = shape
    return (o, i, h, w)
  return tuple(shape)
