"""Weights, inputs and expected outputs of the recipe in net_golden.json."""

import json
import zlib

import jax.numpy as jnp
import numpy as np


class Golden:
  """The recipe, and the outputs of the original networks."""

  def __init__(self, folder):
    recipe = json.loads((folder / "net_golden.json").read_text())
    self.salt, self.shapes = recipe["salt"], recipe["parameters"]
    self.outputs = np.load(folder / "net_golden.npz")

  def _rng(self, name):
    return np.random.default_rng(zlib.crc32(f"{self.salt}:{name}".encode()))

  def input(self, name, shape, low=-1.0):
    x = low + (1 - low) * self._rng(name).random(shape)
    return jnp.asarray(x.astype(np.float32).transpose(0, 2, 3, 1))

  def weights(self, net):
    return {
      name: self._weight(name, shape, kind)
      for name, shape, kind in self.shapes[net]
    }

  def _weight(self, name, shape, kind):
    g = self._rng(name).standard_normal(shape)
    if name.endswith("linears.2.weight"):
      w = 0.001 * g
    elif name.endswith("linears.2.bias"):
      w = np.array([1, 0, 0, 0, 1, 0]) + 0.1 * g
    elif kind == "weight":
      w = g * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith("bn3.weight"):
      w = 0.25 + 0.1 * g
    else:
      w = {
        "norm_weight": 1 + 0.1 * g, "norm_bias": 0.1 * g, "bias": 0.01 * g,
        "running_mean": 0.1 * g, "running_var": 1 + 0.1 * np.abs(g),
      }[kind]  # fmt: skip
    return w.astype(np.float32)

  def check(self, name, got, factor=1.0):
    expected = self.outputs[name]
    tolerance = factor * 1e-3
    np.testing.assert_allclose(
      got, expected, rtol=tolerance, atol=tolerance * expected.std(),
      err_msg=name,
    )  # fmt: skip
