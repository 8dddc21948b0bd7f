"""Weight files, used like a run with one checkpoint: our own and RGMP's.

A file of our own (`write`) is a .safetensors file with the nets of a run as
evaluation uses them and, in its header, the run's config. Frozen nets are not
in it; they are loaded from the file or package that the config names.
"""

import functools
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from foregan_jax import game, runs, storage, systems
from foregan_jax.runtime import (
  base_config,
  safetensors,
  settings,
  state_dicts,
)
from foregan_jax.systems.rgmp import defaults

PACKAGED = pathlib.Path(__file__).parent / "weights" / "memory.safetensors"
# Shorter side of the frames, in pixels. It is better than 240, the side of
# training, on training videos that were held out (see the card).
PACKAGED_SIDE = 360
_CONFIG = "foregan_jax_config"  # in the header
# Paths of the machine that trained; they mean nothing to others.
_PATHS = ("root", "train_root", "stills_root", "cut_out_roots", "flow_cache")


class WeightFile:
  """A file of our own.

  Attributes:
    workdir: absolute path, for results.
    config: of the run; fields may be changed before `system` is used.
  """

  def __init__(self, path: str | pathlib.Path, workdir: str | os.PathLike = ""):
    """Read the config; the weights are read by `load`.

    Raises:
      ValueError: naming the file, if it cannot be read or is not ours.
    """
    self._path = str(path)
    self.workdir = storage.open_path(workdir)
    metadata = safetensors.read_metadata(path)
    if _CONFIG not in metadata:
      raise ValueError(
        f"weight file {path} was not written by `python -m foregan_jax.export`"
      )
    self.config = settings.from_text(metadata[_CONFIG], path)
    base_config.check(self.config, path)

  @functools.cached_property
  def system(self):
    """The `game.System` of the config.

    Raises:
      ValueError: as `runs.build`.
    """
    return runs.build(self.config, self._path)

  def steps(self, which: str) -> list[int]:
    """Refuse: there is no numbered step."""
    raise ValueError(f"--step={which}: a weight file has no checkpoints")

  def load(self, which: str) -> tuple[int, game.Nets]:
    """Return step 0 and the nets; `which` is `best` or `latest`.

    Raises:
      ValueError: naming the file, if it cannot be read or does not fit its own
        config; for a numbered step; if a frozen net cannot be loaded.
    """
    if which not in ("best", "latest"):
      self.steps(which)
    params, variables = self._load()
    frozen = runs.load_frozen(self.system, None)
    state = game.State(0, params, variables, {}, {}, {}, frozen)
    return 0, game.evaluation_nets(state)

  def _load(self) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters and variables of the trained nets."""
    shapes = jax.eval_shape(self.system.init, jax.random.key(0))
    expected = _flatten(*shapes)
    tensors = state_dicts.read(self._path)
    state_dicts.check_shapes(
      tensors, {name: x.shape for name, x in expected.items()}, self._path
    )
    loaded = {
      name: tensors[name].astype(x.dtype) for name, x in expected.items()
    }
    tree = traverse_util.unflatten_dict(loaded, sep="/")
    return tree.get("params", {}), tree.get("variables", {})


class OfficialRGMP(WeightFile):
  """RGMP's official weight file."""

  def __init__(self, path: str | pathlib.Path, workdir: str | os.PathLike = ""):
    """Set the file, which is read by `load`."""
    self._path = str(path)
    self.workdir = storage.open_path(workdir)
    self.config = defaults.pretrained()
    self.config.init_from.weights = self._path

  def _load(self) -> tuple[dict[str, Any], dict[str, Any]]:
    shapes, variables = jax.eval_shape(self.system.init, jax.random.key(0))
    params = self.system.load_weights(shapes, self._path)
    missing = jax.ShapeDtypeStruct
    if any(isinstance(x, missing) for x in jax.tree.leaves(params)):
      raise ValueError(
        f"{self._path} has the weights of an encoder only (ResNet-50); give "
        "those of RGMP's whole network"
      )
    return params, variables


def open_file(
  path: str | pathlib.Path, workdir: str | os.PathLike = ""
) -> WeightFile:
  """Open a weight file: one of our own, or RGMP's.

  Raises:
    ValueError: naming the file, if it cannot be read.
  """
  path = pathlib.Path(path)
  if path.suffix == ".safetensors" and _CONFIG in safetensors.read_metadata(
    path
  ):
    return WeightFile(path, workdir)
  return OfficialRGMP(path, workdir)


def write(
  path: str | pathlib.Path,
  nets: game.Nets,
  config,
  *,
  dtype: Any = np.float16,
  about: Mapping[str, str],
) -> None:
  """Write the trained nets of a run; `about` are texts for the header.

  Raises:
    ValueError: if a weight is not finite, or too large for `dtype`.
  """
  fields = settings.to_json(config)
  empty = settings.to_json(base_config.base())["data"]
  for name in _PATHS:
    fields["data"][name] = empty[name]
  fields["init_from"] = settings.to_json(base_config.base())["init_from"]
  trained, _ = jax.eval_shape(systems.build(config).init, jax.random.key(0))
  params = {net: nets.params[net] for net in trained}
  tensors = {
    name: np.asarray(x, dtype)
    for name, x in _flatten(params, nets.variables).items()
  }
  for name, tensor in tensors.items():
    if not np.isfinite(tensor).all():
      raise ValueError(
        f"{name} has values that are not finite as {np.dtype(dtype).name}: "
        f"{path} is not written"
      )
  safetensors.write(path, tensors, {**about, _CONFIG: json.dumps(fields)})


def _flatten(params: Any, variables: Any) -> dict[str, Any]:
  tree = {"params": params, "variables": variables}
  return traverse_util.flatten_dict(tree, sep="/")
