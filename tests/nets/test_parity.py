"""Networks with the weights of the original PyTorch ones give their outputs.

The recipe in net_golden.json draws weights and inputs; the expected outputs
are the original's.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import critic, layer_generator
from tests.nets import golden as golden_lib

SIZE = (224, 416)
# The level of a run, which other tests lower: with the affine resampling and a
# slope of 20, rounding errors alone come near the tolerance.
OPTIMISED = {"xla_backend_optimization_level": 3}
# Factor of the tolerance there. The original outputs, in float32, are 1.27
# tolerances away from a run in float64, and processors round differently.
AFFINE_MASKS = 2.0
AFFINE = "affine_tr_estimator.affine_tr_estimator_"


@pytest.fixture(scope="module")
def golden(shared_data):
  return golden_lib.Golden(shared_data / "net_golden")


def conv(w, name):
  """Return HWIO kernel, and bias if any, from PyTorch's OIHW weights."""
  params = {"kernel": w[f"{name}.weight"].transpose(2, 3, 1, 0)}
  if f"{name}.bias" in w:
    params["bias"] = w[f"{name}.bias"]
  return params


def norm(w, name):
  return {"scale": w[f"{name}.weight"], "bias": w[f"{name}.bias"]}


def generator_params(w):
  params = {"stem": conv(w, "main.0"), "stem_norm": norm(w, "main.1")}
  for i in range(2):
    params[f"down_{i}"] = conv(w, f"main.{3 + 3 * i}")
    params[f"down_{i}_norm"] = norm(w, f"main.{4 + 3 * i}")
    up = w[f"main.{15 + 3 * i}.weight"].transpose(2, 3, 0, 1)
    params[f"up_{i}"] = {"kernel": up}
    params[f"up_{i}_norm"] = norm(w, f"main.{16 + 3 * i}")
  for i in range(6):
    for j in range(2):
      block = f"main.{9 + i}.main"
      params[f"block_{i}_conv_{j}"] = conv(w, f"{block}.{3 * j}")
      params[f"block_{i}_norm_{j}"] = norm(w, f"{block}.{3 * j + 1}")
  heads = [conv(w, f"{n}_reg_packs.0")["kernel"] for n in ("img", "attention")]
  params["colour_attention"] = {"kernel": np.concatenate(heads, axis=-1)}
  params["reduce"] = conv(w, "reductor.0")
  params["mask"] = conv(w, "fgmask_conv")
  if f"{AFFINE}linears.0.weight" in w:
    params["transform"] = transform_params(w)
  return params


def transform_params(w):
  params = {
    f"conv_{i}": conv(w, f"{AFFINE}convs.{n}")
    for i, n in enumerate((0, 3, 7, 9))
  }
  for i in range(2):
    name = f"{AFFINE}linears.{2 * i}"
    fc = {"kernel": w[f"{name}.weight"].T, "bias": w[f"{name}.bias"]}
    params[f"fc_{i}"] = fc
  return params


def critic_params(w):
  params = {f"down_{i}": conv(w, f"main.{2 * i}") for i in range(4)}
  params["valid_0"] = conv(w, "conv1.0")
  params["valid_1"] = conv(w, "conv2.0")
  params["head_fg"] = conv(w, "conv3")
  if "conv4.weight" in w:
    params["head_mask"] = conv(w, "conv4")
  return params


@pytest.mark.parametrize(
  "net, fields, slope, prefix",
  [
    ("Gf_v1", {"mask_source": "h"}, 30.0, "Gf_v1"),
    ("Gf_v1_dark_m", {"affine_align_corners": False}, 20.0,
     "Gf_v1_dark_m/align_corners_False"),
    ("Gf_v1_dark_m", {"affine_align_corners": True}, 20.0,
     "Gf_v1_dark_m/align_corners_True"),
  ],
)  # fmt: skip
def test_foreground_generators(net, fields, slope, prefix, golden):
  affine = net == "Gf_v1_dark_m"
  module = layer_generator.LayerGenerator(
    **{"mask_source": "h", "affine": affine} | fields
  )
  params = {"params": generator_params(golden.weights(net))}
  image = golden.input("fg", (1, 3, *SIZE))
  flow = golden.input("of", (1, 2, *SIZE))
  mask = golden.input("mk", (1, 1, *SIZE), low=0.0)
  mask = (mask > 0.7).astype(jnp.float32)
  step = jax.jit(
    lambda x, base, state: module.apply(
      params, x, base, state, t=0, mask_slope=slope
    ),
    compiler_options=OPTIMISED,
  )
  state = module.initial_state(1, *SIZE)
  for t in range(2):
    parts = [image, flow, mask] if affine else [image, flow]
    layer = step(jnp.concatenate(parts, axis=-1), image, state)
    image, mask, state = layer.image, layer.mask, layer.state
    golden.check(f"{prefix}/t{t}/fg_stride4", image[:, ::4, ::4])
    golden.check(
      f"{prefix}/t{t}/mask_stride4",
      mask[:, ::4, ::4],
      AFFINE_MASKS if affine else 1.0,
    )


def test_background_generator(golden):
  module = layer_generator.LayerGenerator()
  params = {"params": generator_params(golden.weights("Gb"))}
  image = golden.input("bg", (1, 3, *SIZE))
  step = jax.jit(
    lambda x, state: module.apply(params, x, x, state, t=0, mask_slope=1.0),
    compiler_options=OPTIMISED,
  )
  state = module.initial_state(1, *SIZE)
  for t in range(2):
    layer = step(image, state)
    image, state = layer.image, layer.state
    golden.check(f"Gb/t{t}/bg_stride4", image[:, ::4, ::4])


def test_frame_critic(golden):
  module = critic.Critic(heads=("fg", "mask"))
  params = {"params": critic_params(golden.weights("Df"))}
  image = golden.input("fg", (1, 3, *SIZE))
  mask = golden.input("mk", (1, 1, *SIZE), low=0.0)
  mask = (mask > 0.7).astype(jnp.float32)
  golden.check("Df/fg", module.apply(params, image, "fg"))
  golden.check("Df/mask", module.apply(params, mask, "mask"))


def test_patch_critic(golden):
  params = {"params": critic_params(golden.weights("Db"))}
  patches = golden.input("patch", (4, 3, 60, 112))
  golden.check("Db/patches", critic.Critic().apply(params, patches, "fg"))
