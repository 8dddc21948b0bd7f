"""Small networks with fixed weights and inputs, and their outputs.

All numbers come from `RandomState.random_sample`, whose stream numpy promises
not to change. Kernels before a norm are small, so that their outputs are not
large against the norm's epsilon, and a wrong epsilon is visible.
"""

import math
import pathlib
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from foregan_jax.layers import warp
from foregan_jax.nets import (
  critic,
  image_critic,
  image_layers,
  layer_generator,
  propagator,
  segmenter,
)

PATH = pathlib.Path(__file__).with_name("networks.npz")
_NUM_VALUES = 200  # stored values of an output
# The nets compute in float32: their norms and heads have no other dtype. This
# tolerance is 840 roundings (2^-23) of the output's standard deviation. Between
# SSE4.2, AVX2 and AVX-512, and between XLA's optimisation levels 0 and 3, the
# outputs differ by at most a seventh of it.
_TOLERANCE = 1e-4
_SMALL = 1 / 32  # factor of kernels before a norm


def check(name: str) -> None:
  """Assert that the outputs of a case equal the stored ones."""
  outputs = compute(name)
  with np.load(PATH) as stored:
    expected = {k: stored[k] for k in stored if k.split("/")[0] == name}
  assert outputs.keys() == expected.keys()
  for key, values in expected.items():
    np.testing.assert_allclose(
      outputs[key], values, rtol=0, atol=_TOLERANCE * values.std(), err_msg=key
    )


def compute(name: str) -> dict[str, np.ndarray]:
  """Return up to 200 values of each output of a case, by "case/output"."""
  outputs = {}
  for key, x in CASES[name](name).items():
    x = np.asarray(x).ravel()
    count = min(x.size, _NUM_VALUES)
    outputs[f"{name}/{key}"] = x[np.arange(count) * x.size // count]
  return outputs


def _random(name: str, shape) -> np.ndarray:
  """Return float32 numbers in [-1, 1)."""
  rng = np.random.RandomState(zlib.crc32(name.encode()))
  return (2 * rng.random_sample(shape) - 1).astype(np.float32)


def _params(name: str, init, small: str = "$^"):
  """Return {"params": ...} of the shapes that `init` gives.

  Args:
    name: of the case.
    init: a function of a key.
    small: a regular expression of the paths of kernels before a norm.
  """
  shapes = jax.eval_shape(init, jax.random.key(0))["params"]
  params = {}
  for place, leaf in traverse_util.flatten_dict(shapes).items():
    path, kind = "/".join(place), place[-1]
    x = _random(f"{name}/{path}", leaf.shape)
    if kind == "kernel":
      # Uniform in [-1, 1] has the variance 1/3; ReLU halves that of its input.
      x *= math.sqrt(6 / math.prod(leaf.shape[:-1]))
      x *= _SMALL if re.search(small, path) else 1
    elif kind == "var":
      x = _SMALL**2 * (1 + 0.1 * x)
    elif kind == "mean":
      x *= 0.1 * _SMALL
    else:
      x = 0.1 * x + (kind == "scale")
    params[place] = x.astype(np.float32)
  return {"params": traverse_util.unflatten_dict(params)}


def _input(name: str, shape) -> jax.Array:
  """Return `_random` as an array of JAX, as the nets expect it."""
  return jnp.asarray(_random(name, shape))


def _layer_generator(name: str, channels: int, **fields):
  """Return the outputs of two steps; only the image and the mask feed back."""
  net = layer_generator.LayerGenerator(width=4, **fields)
  x = _input("frame", (1, 16, 24, channels))
  image, flow, mask = x[..., :3], x[..., 3:5], x[..., 5:]
  state = net.initial_state(1, 16, 24)
  init = lambda key: net.init(key, x, image, state, t=0, mask_slope=3.0)
  params = _params(name, init, small="stem|down|block|up")
  if net.affine:
    # A map near the identity keeps the samples inside of the image.
    last = params["params"]["transform"]["fc_1"]
    last["kernel"] *= np.float32(0.01)
    last["bias"] += np.float32([1, 0, 0, 0, 1, 0])

  def step(params, image, mask, state):
    x = jnp.concatenate([image, flow, mask], axis=-1)
    layer = net.apply(params, x, image, state, t=0, mask_slope=3.0)
    mask = layer.mask if mask.shape[-1] else mask
    return (layer.image, mask, layer.state), layer

  @jax.jit
  def run(params):
    body = lambda carry, _: step(params, *carry)
    return jax.lax.scan(body, (image, mask, state), length=2)[1]

  layers = run(params)
  outputs = {"image": layers.image, "attention": layers.attention}
  return outputs if layers.mask is None else outputs | {"mask": layers.mask}


def _critic(name: str, size, batch: int, heads):
  net = critic.Critic(width=4, heads=heads)
  image = _input("frame", (batch, *size, 3))
  init = lambda key: net.init(key, image, "fg")
  run = jax.jit(lambda p: {head: net.apply(p, image, head) for head in heads})
  return run(_params(name, init))


def _propagator(name: str):
  """Return features, and logits with both conventions of the resizes."""
  net = propagator.Propagator(blocks=(2, 1, 1, 1), width=4, features=8)
  frames = _input("frame", (2, 1, 64, 96, 3))
  masks = 0.5 + 0.5 * _input("mask", (2, 1, 64, 96, 1))

  @jax.jit
  def run(params):
    outputs = {}
    for align in (True, False):
      apply = lambda *args, align=align, **kwargs: net.clone(
        align_corners=align
      ).apply(params, *args, **kwargs)
      reference = apply(frames[0], masks[0], method="encode_reference")
      logits, sides = apply(frames[1], masks[1], reference)
      outputs[f"logits_{align}"] = logits
      outputs |= {f"side_{k + 2}_{align}": x for k, x in enumerate(sides)}
    features = apply(frames[1], masks[1], method="encode")
    stages = ("r2", "r3", "r4", "r5")
    return outputs | {name: getattr(features, name) for name in stages}

  init = lambda key: {"params": propagator.init(net, key, (64, 96))}
  return run(_params(name, init, small="encoder/"))


def _image_layers(name: str):
  """Return the outputs of both generators.

  Eight samples, because the first batch norm divides by their spread.
  """
  fields = {"size": 16, "width": 4}
  bg = image_layers.BackgroundGenerator(**fields)
  fg = image_layers.ForegroundGenerator(**fields, num_residuals=1)
  public = _input("public", (8, 5))
  codes = public, np.eye(2)[np.arange(8) // 4], np.eye(4)[np.arange(8) // 2]
  codes = tuple(jnp.float32(code) for code in codes)
  small = "linear|up|told|residual|last"
  params = (
    _params(f"{name}/bg", lambda key: bg.init(key, public), small),
    _params(f"{name}/fg", lambda key: fg.init(key, *codes), small),
  )

  @jax.jit
  def run(params):
    layer = fg.apply(params[1], *codes)
    image = bg.apply(params[0], public)
    return {"bg": image, "fg": layer.image, "mask": layer.mask}

  return run(params)


def _image_critic(name: str):
  """Return the logits of the critic and of the mask's code estimator."""
  net = image_critic.ImageCritic(width=4, num_classes=4)
  estimator = image_critic.MaskCodeEstimator(width=4, num_classes=2)
  image = _input("frame", (8, 16, 16, 3))
  mask = 0.5 + 0.5 * image[..., :1]
  small = "down_[1-9]|last|code_conv"
  params = (
    _params(f"{name}/image", lambda key: net.init(key, image), small),
    _params(f"{name}/mask", lambda key: estimator.init(key, mask), small),
  )

  @jax.jit
  def run(params):
    logits = net.apply(params[0], image)
    superclass = estimator.apply(params[1], mask)
    return {"real": logits.real, "code": logits.code, "superclass": superclass}

  return run(params)


def _segmenter(name: str):
  net = segmenter.Segmenter(width=4, depth=2)
  image = _input("frame", (2, 16, 24, 3))
  params = _params(
    name, lambda key: net.init(key, image), small="enc_|dec_|down_"
  )
  return {"logits": jax.jit(net.apply)(params, image)}


def _warp(name: str):
  """Return a warped image for both borders, and a splatted one."""
  image = _input(f"{name}/image", (1, 12, 20, 3))
  flow = 4 * _input(f"{name}/flow", (1, 12, 20, 2))

  @jax.jit
  def run(image, flow):
    return {
      "border": warp.backward(image, flow, outside="border"),
      "zero": warp.backward(image, flow, outside="zero"),
      "splat": warp.splat(image, flow)[1],
    }

  return run(image, flow)


NETWORKS = {
  # Inputs: image and flow, then also the previous mask.
  "Gf": lambda name: _layer_generator(name, 5, mask_source="h"),
  "Gf_affine": lambda name: _layer_generator(
    name, 6, mask_source="h", affine=True
  ),
  "Gb": lambda name: _layer_generator(name, 3),
  "Df": lambda name: _critic(name, (76, 128), 1, ("fg", "mask")),
  "Db": lambda name: _critic(name, (60, 112), 4, ("fg",)),
  "propagator": _propagator,
  "image_layers": _image_layers,
  "image_critic": _image_critic,
  "segmenter": _segmenter,
}
CASES = NETWORKS | {"warp": _warp}
