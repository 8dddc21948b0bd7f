"""RGMP's network: equality with the original, shared encoding, weights."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from foregan_jax.layers import resnet
from foregan_jax.nets import propagator, propagator_weights
from tests.nets import golden as golden_lib
from tests.runtime import torch_files

SIZE = (96, 160)
SMALL = {"blocks": (2, 1, 1, 1), "width": 8, "features": 16}


@pytest.fixture(scope="module")
def small():
  net = propagator.Propagator(**SMALL)
  return net, _init(net, 0)


def _init(net, seed):
  init = jax.jit(lambda key: propagator.init(net, key, (32, 64)))
  return init(jax.random.key(seed))


@pytest.fixture(scope="module")
def official(shared_data):
  """Return the recipe, and our parameters with the recipe's weights."""
  golden = golden_lib.Golden(shared_data / "net_golden")
  tensors = golden.weights("rgmp")
  shapes = jax.eval_shape(
    lambda: propagator.init(propagator.Propagator(), jax.random.key(0), SIZE)
  )
  flat = {
    place: propagator_weights.from_torch(
      tensors[propagator_weights.official_name(place)]
    )
    for place in traverse_util.flatten_dict(shapes)
  }
  return golden, traverse_util.unflatten_dict(flat)


def _inputs(golden):
  frame = lambda name: 2 * golden.input(name, (1, 3, *SIZE), low=0.0) - 1
  mask = lambda name: golden.input(name, (1, 1, *SIZE), low=0.0)
  given = (mask("rgmp_p0") > 0.5).astype(jnp.float32)
  return frame("rgmp_f0"), given, frame("rgmp_f1"), mask("rgmp_p1")


def test_features_and_logits_equal_those_of_the_original(official):
  golden, params = official

  # One program: the networks differ in the decoder only.
  @jax.jit
  def run(ref_frame, ref_mask, frame, mask):
    def apply(*args, align=True, **kwargs):
      net = propagator.Propagator(align_corners=align)
      return net.apply({"params": params}, *args, **kwargs)

    reference = apply(ref_frame, ref_mask, method="encode_reference")
    return (
      apply(ref_frame, ref_mask, method="encode").r5,
      apply(frame, mask, method="encode"),
      {x: apply(frame, mask, reference, align=x) for x in (True, False)},
    )

  ref_r5, features, decoded = run(*_inputs(golden))
  golden.check("rgmp/ref_r5", ref_r5)
  for name in ("r5", "r4", "r3", "r2"):
    golden.check(f"rgmp/{name}_first16ch", getattr(features, name)[..., :16])
  for align, (logits, sides) in decoded.items():
    golden.check(f"rgmp/align_corners_{align}/logits", logits)
    for name, side in zip(("p2", "p3", "p4", "p5"), sides, strict=True):
      golden.check(f"rgmp/align_corners_{align}/{name}", side)


def test_default_network_has_the_published_parameter_counts():
  params = jax.eval_shape(
    lambda: propagator.init(propagator.Propagator(), jax.random.key(0), SIZE)
  )
  counts = collections.Counter()
  for place, leaf in traverse_util.flatten_dict(params).items():
    if place[-1] not in ("mean", "var"):
      counts["all"] += leaf.size
      counts["/".join(place[:1])] += leaf.size
      counts["/".join(place[:2])] += leaf.size
  assert counts["all"] == 51_518_920
  assert counts["encoder"] == 23_511_232
  assert counts["encoder/conv1_p"] == 3_200
  assert counts["decoder"] == 28_007_688
  assert counts["decoder/gc"] == 15_598_592
  assert counts["decoder/g"] == 1_180_160
  assert counts["decoder/rf4"] == 4_719_872
  assert counts["decoder/rf3"] == 3_540_224
  assert counts["decoder/rf2"] == 2_950_400
  heads = sum(counts[f"decoder/pred{k}"] for k in (2, 3, 4, 5))
  assert heads == 18_440


def test_shapes_of_the_stages():
  net = propagator.Propagator()
  params = jax.eval_shape(lambda: propagator.init(net, jax.random.key(0), SIZE))
  frame, mask = jnp.zeros((1, *SIZE, 3)), jnp.zeros((1, *SIZE, 1))
  features = jax.eval_shape(
    lambda p: net.apply({"params": p}, frame, mask, method="encode"), params
  )
  assert features.r5.shape == (1, 3, 5, 2048)
  assert features.r4.shape == (1, 6, 10, 1024)
  assert features.r3.shape == (1, 12, 20, 512)
  assert features.r2.shape == (1, 24, 40, 256)


def test_features_without_the_pool_have_twice_the_resolution(small, key):
  frame, mask = jnp.zeros((1, 32, 64, 3)), jnp.zeros((1, 32, 64, 1))
  sizes = []
  for pool in (True, False):
    net = propagator.Propagator(**SMALL, pool=pool)
    features = jax.eval_shape(
      lambda net=net: net.apply(
        {"params": small[1]}, frame, mask, method="encode"
      )
    )
    sizes.append([x.shape[1:3] for x in jax.tree.leaves(features)])
  assert sizes[0][0] == (8, 16)
  for coarse, fine in zip(*sizes, strict=True):
    assert fine == (2 * coarse[0], 2 * coarse[1])


def test_one_frame_broadcasts_over_many_masks(small, key):
  net, params = small
  frame = jax.random.uniform(key, (1, 32, 64, 3), minval=-1.0)
  masks = jax.random.uniform(key, (3, 32, 64, 1))
  run = jax.jit(
    lambda frame, masks: net.apply(
      {"params": params}, frame, masks, method="encode"
    )
  )
  shared = run(frame, masks)
  alone = run(jnp.repeat(frame, 3, axis=0), masks)
  for a, b in zip(jax.tree.leaves(shared), jax.tree.leaves(alone), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_target_and_reference_are_not_interchangeable(small, key):
  net, params = small
  frames = jax.random.uniform(key, (2, 1, 32, 64, 3), minval=-1.0)
  mask = jnp.ones((1, 32, 64, 1))

  def run(first, second):
    apply = lambda *a, **k: net.apply({"params": params}, *a, **k)
    return apply(first, mask, apply(second, mask, method="encode_reference"))[
      1
    ][-1]

  forward, swapped = run(*frames), run(*frames[::-1])
  assert jnp.abs(forward - swapped).max() > 1e-3


def test_frozen_norms_have_no_gradient(small, key):
  net, params = small
  frame = jax.random.uniform(key, (1, 32, 64, 3), minval=-1.0)
  mask = jnp.ones((1, 32, 64, 1))

  def loss(params):
    apply = lambda *a, **k: net.apply({"params": params}, *a, **k)
    return (
      apply(frame, mask, apply(frame, mask, method="encode_reference"))[0]
    ).sum()

  grads = traverse_util.flatten_dict(jax.jit(jax.grad(loss))(params))
  for place, grad in grads.items():
    frozen = any(part.startswith(("bn", "proj_bn")) for part in place)
    unused = place[1] in ("pred3", "pred4", "pred5")  # by this loss
    assert bool(jnp.any(grad != 0)) == (not frozen and not unused), place


def test_standardise_uses_the_statistics_of_imagenet():
  grey = jnp.full((1, 1, 1, 3), 2 * 0.5 - 1)
  expected = (0.5 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(
    resnet.standardise(grey)[0, 0, 0], expected, rtol=1e-5
  )


def _official_file(params, extra=()):
  """Return our parameters as the tensors of an official file."""
  tensors = {}
  for place, leaf in traverse_util.flatten_dict(params).items():
    leaf = np.asarray(leaf)
    if leaf.ndim == 4:
      leaf = leaf.transpose(3, 2, 0, 1)
    tensors[f"module.{propagator_weights.official_name(place)}"] = leaf
  mean = np.float32([0.485, 0.456, 0.406])
  tensors["module.Encoder.mean"] = mean.reshape(1, 3, 1, 1)
  tensors["module.Encoder.bn1.num_batches_tracked"] = np.zeros((), np.int64)
  return tensors | dict(extra)


@pytest.mark.parametrize("layout", ["zip", "legacy", "safetensors"])
def test_official_file_sets_all_parameters(layout, small, tmp_path):
  net, params = small
  path = torch_files.write_arrays(
    tmp_path / "rgmp.pth", _official_file(params), layout
  )
  fresh = _init(net, 1)
  loaded = propagator_weights.load(path, fresh)
  jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_imagenet_file_sets_the_encoder_except_the_mask_stem(small, tmp_path):
  net, params = small
  tensors = {}
  for name, x in _official_file(params).items():
    name = name.removeprefix("module.Encoder.")
    if not name.startswith(("module.", "conv1_p", "mean")):
      for stage in (2, 3, 4, 5):
        name = name.replace(f"res{stage}.", f"layer{stage - 1}.")
      tensors[name] = x
  tensors["fc.weight"] = np.zeros((10, 256), np.float32)
  path = torch_files.write_arrays(tmp_path / "resnet.pth", tensors, "zip")
  fresh = _init(net, 1)
  loaded = propagator_weights.load(path, fresh)
  from_file = loaded["encoder"] | {"conv1_p": params["encoder"]["conv1_p"]}
  jax.tree.map(np.testing.assert_array_equal, from_file, params["encoder"])
  initial = {"encoder": {"conv1_p": fresh["encoder"]["conv1_p"]}}
  initial["decoder"] = fresh["decoder"]
  kept = {"encoder": {"conv1_p": loaded["encoder"]["conv1_p"]}}
  kept["decoder"] = loaded["decoder"]
  jax.tree.map(np.testing.assert_array_equal, kept, initial)


@pytest.mark.parametrize(
  "change, words",
  [
    (lambda t: t.pop("module.Decoder.pred2.weight"), "missing: Decoder.pred2"),
    (lambda t: t.update({"module.Encoder.odd": np.zeros(3, np.float32)}),
     "unexpected: Encoder.odd"),
    (lambda t: t.update({"module.Encoder.bn1.bias": np.zeros(3, np.float32)}),
     r"wrong shape: Encoder.bn1.bias \(found \(3,\), expected \(8,\)\)"),
    (lambda t: t.update(
      {"module.Encoder.std": np.full((1, 3, 1, 1), 0.5, np.float32)}
    ), r"Encoder.std is \[0.5, 0.5, 0.5\], expected \[0.229"),
  ],
)  # fmt: skip
def test_wrong_weight_files_are_refused(change, words, small, tmp_path):
  net, params = small
  tensors = _official_file(params)
  change(tensors)
  path = torch_files.write_arrays(tmp_path / "rgmp.pth", tensors, "legacy")
  with pytest.raises(ValueError, match=words):
    propagator_weights.load(path, params)
