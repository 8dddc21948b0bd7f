import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import vgg
from foregan_jax.runtime import safetensors


def _tensors(taps, seed=0):
  """Return tensors by torchvision's names, with deeper layers beside them."""
  rng = np.random.default_rng(seed)
  tensors = {"features.34.bias": np.zeros(3, np.float32)}
  channels, names = (64, 64, 128), (0, 2, 5)
  inputs = 3
  for name, outputs in list(zip(names, channels, strict=True))[: 2 * taps - 1]:
    shape = (outputs, inputs, 3, 3)
    weight = rng.normal(0, 0.1, shape).astype(np.float32)
    tensors[f"features.{name}.weight"] = weight
    tensors[f"features.{name}.bias"] = np.full(outputs, 0.25, np.float32)
    inputs = outputs
  return tensors


@pytest.mark.parametrize(
  ("taps", "count"),
  [(1, 1_792), (2, 112_576), (3, 555_328), (4, 3_505_728), (5, 12_944_960)],
)
def test_parameters_up_to_each_feature(taps, count):
  image = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
  net = vgg.Vgg19(taps)
  shapes = jax.eval_shape(
    lambda x: net.init_with_output(jax.random.key(0), x), image
  )
  features, variables = shapes
  leaves = jax.tree.leaves(variables["params"])
  assert sum(leaf.size for leaf in leaves) == count
  sizes = [(256, 64), (128, 128), (64, 256), (32, 512), (16, 512)]
  expected = [(1, side, side, channels) for side, channels in sizes[:taps]]
  assert [x.shape for x in features] == expected


def test_file_formats_hold_the_same_network(tmp_path):
  tensors = _tensors(2)
  np.savez(tmp_path / "vgg.npz", **tensors)
  safetensors.write(tmp_path / "vgg.safetensors", tensors, {})
  one, two = (
    vgg.load(tmp_path / name, 2) for name in ("vgg.npz", "vgg.safetensors")
  )
  jax.tree.map(np.testing.assert_array_equal, one, two)
  assert set(one) == {"conv_0", "conv_2", "conv_5"}


def test_first_feature_equals_a_loop_in_the_layout_of_pytorch(tmp_path):
  tensors = _tensors(1)
  np.savez(tmp_path / "vgg.npz", **tensors)
  params = vgg.load(tmp_path / "vgg.npz", 1)
  image = np.random.default_rng(1).random((1, 4, 5, 3)).astype(np.float32)
  found = vgg.Vgg19(1).apply({"params": params}, jnp.asarray(image))[0]
  mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  padded = np.pad((image[0] - mean) / std, ((1, 1), (1, 1), (0, 0)))
  weight = tensors["features.0.weight"]
  for y in range(4):
    for x in range(5):
      window = padded[y : y + 3, x : x + 3]
      raw = np.einsum("yxi,oiyx->o", window, weight) + 0.25
      np.testing.assert_allclose(found[0, y, x], np.maximum(raw, 0), atol=1e-4)


def _rename(tensors):
  tensors["features.1.weight"] = tensors.pop("features.0.weight")


def _transpose(tensors):
  weight = tensors["features.0.weight"]
  tensors["features.0.weight"] = weight.transpose(2, 3, 1, 0)


def _poison(tensors):
  tensors["features.2.bias"][3] = np.nan


@pytest.mark.parametrize(
  ("damage", "message"),
  [
    (_rename, r"missing: features.0.weight \(64, 3, 3, 3\)"),
    (_transpose, r"found \(3, 3, 3, 64\), expected \(64, 3, 3, 3\)"),
    (_poison, "features.2.bias that are not finite"),
  ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, damage, message):
  tensors = _tensors(2)
  damage(tensors)
  np.savez(tmp_path / "vgg.npz", **tensors)
  with pytest.raises(ValueError, match=message) as error:
    vgg.load(tmp_path / "vgg.npz", 2)
  assert "vgg.npz" in str(error.value)


def test_damaged_archives_are_refused(tmp_path):
  path = tmp_path / "vgg.npz"
  path.write_bytes(b"PK\x03\x04 damaged")
  with pytest.raises(ValueError, match="vgg.npz is missing, truncated"):
    vgg.load(path, 1)
  np.savez(path, a=np.array({"an": "object"}, object))
  with pytest.raises(ValueError, match="vgg.npz is missing, truncated"):
    vgg.load(path, 1)


def test_random_filters_have_no_mean():
  params = vgg.random(3, 8)
  for leaves in params.values():
    mean = leaves["kernel"].mean((0, 1, 2))
    np.testing.assert_allclose(mean, 0, atol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, params, vgg.random(3, 8))


def test_scaled_random_features_have_similar_means():
  noise = np.random.default_rng(0).random((2, 8, 8, 3))
  image = jnp.asarray(noise.repeat(8, 1).repeat(8, 2), jnp.float32)
  params = vgg.random(5, 16)
  features = jax.jit(vgg.Vgg19(5, 16).apply)({"params": params}, image)
  raw = [float(x.mean()) for x in features]
  scaled = np.divide(raw, vgg.random_scales(5))
  assert max(raw) / min(raw) > 3
  assert max(scaled) / min(scaled) < 2, scaled
