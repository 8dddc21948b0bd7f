"""A propagator's parameters from PyTorch's files: the official one, ImageNet's.

The user brings the file; see `runtime.state_dicts` for how it is read. Kernels
OIHW become HWIO; both are cross-correlations, so nothing is flipped.
"""

import re
from typing import Any

import numpy as np
from flax import traverse_util

from foregan_jax.layers import resnet
from foregan_jax.runtime import state_dicts

# What PyTorch adds to a batch norm, and RGMP's constants of normalisation.
_UNUSED = ("num_batches_tracked", "Encoder.mean", "Encoder.std")
_CONSTANTS = {"Encoder.mean": resnet.MEAN, "Encoder.std": resnet.STD}
_CLASSIFIER = ("fc.weight", "fc.bias")  # of ImageNet's file
_MASK_STEM = ("encoder", "conv1_p")  # which ImageNet's file lacks
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
_DETECTS_OFFICIAL = "Decoder."

Params = dict[str, Any]


def load(path, params: Params) -> Params:
  """Return parameters with the weights of a file.

  Args:
    path: RGMP's official file (all of the network), or torchvision's ResNet-50
      (the encoder without the mask's first layer); their names differ.
    params: of a `propagator.Propagator`; the rest is kept.

  Raises:
    ValueError: naming the file, if it cannot be read or tensors are missing,
      surplus or misshapen.
  """
  tensors = state_dicts.read(path)
  official = any(name.startswith(_DETECTS_OFFICIAL) for name in tensors)
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
  for name, ours in _CONSTANTS.items():
    theirs = tensors[name].ravel() if name in tensors else np.asarray(ours)
    if not np.allclose(theirs, ours, atol=1e-6):
      raise ValueError(
        f"weight file {path} normalises pictures otherwise: {name} is "
        f"{theirs.tolist()}, expected {list(ours)}"
      )
  loaded = {p: from_torch(tensors[name]) for p, name in names.items()}
  return traverse_util.unflatten_dict({**flat, **loaded})


def official_name(place: tuple[str, ...]) -> str:
  """Return the name in RGMP's file of a parameter of our tree."""
  half, *middle, field = place
  name = ".".join(middle)
  if half == "encoder":
    name = re.sub(r"block_(\d+)", r"\1", name)
    for ours, theirs in _SHORTCUT.items():
      name = name.replace(ours, theirs)
    return f"Encoder.{name}.{_FIELDS[field]}"
  # Names are upper case there, but for the heads.
  module, _, rest = name.partition(".")
  if module == "gc":
    name = f"GC.conv_{rest}"
  elif module == "g":
    name = _DECODER[name]
  elif module.startswith("rf"):
    name = f"{module.upper()}.{_DECODER[rest]}"
  return f"Decoder.{name}.{_FIELDS[field]}"


def _imagenet_name(place: tuple[str, ...]) -> str:
  """Return the name in torchvision's file: res2 is layer1 there."""
  name = official_name(place).removeprefix("Encoder.")
  return re.sub(r"^res(\d)", lambda m: f"layer{int(m[1]) - 1}", name)


def from_torch(tensor: np.ndarray) -> np.ndarray:
  """Return a kernel OIHW as HWIO, a vector as it is, in float32."""
  if tensor.ndim == 4:
    tensor = tensor.transpose(2, 3, 1, 0)
  return np.ascontiguousarray(tensor, np.float32)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
  if len(shape) == 4:
    h, w, i, o = shape
    return (o, i, h, w)
  return tuple(shape)
