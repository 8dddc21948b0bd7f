import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import inception


@pytest.fixture(scope="module")
def tensors():
  """Return random weights that keep the scale, by torch's names.

  RandomState has the same numbers in every version of numpy.
  """
  rng = np.random.RandomState(0)
  tensors = {}
  for name, shape in sorted(inception.names_and_shapes().items()):
    if name.endswith("conv.weight"):
      value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("bn.weight", "bn.running_var")):
      value = rng.uniform(0.5, 1.5, shape)
    else:
      value = 0.1 * rng.standard_normal(shape)
    tensors[name] = value.astype(np.float32)
  return tensors


def _images(*size):
  return np.random.RandomState(1).randint(0, 256, (2, *size, 3), np.uint8)


def test_parameters_have_the_original_names_and_shapes():
  shapes = inception.names_and_shapes()
  assert len(shapes) == 94 * 5
  learnt = [s for name, s in shapes.items() if "running" not in name]
  assert sum(int(np.prod(s)) for s in learnt) == 21_785_568
  assert shapes["Mixed_5b.branch1x1.conv.weight"] == (64, 192, 1, 1)
  assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
  assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
  assert shapes["Conv2d_1a_3x3.bn.running_var"] == (32,)


@pytest.mark.parametrize("size", [(8, 12), (299, 299), (375, 500)])
def test_images_of_any_size(size, tensors):
  params = inception.from_state_dict(tensors)
  features = jax.eval_shape(inception.features, params, _images(*size))
  assert (features.shape, features.dtype) == ((2, 2048), jnp.float32)


def test_from_state_dict_matches_init(tensors, key):
  image = jnp.zeros((1, 299, 299, 3))
  variables = jax.eval_shape(inception.Inception().init, key, image)
  shape = lambda x: (x.shape, np.dtype(x.dtype))
  params = inception.from_state_dict(tensors)
  assert jax.tree.map(shape, params) == jax.tree.map(shape, variables)


def test_state_dict_is_transposed_and_unused_tensors_ignored(tensors):
  unused = {
    "fc.weight": np.zeros((1008, 2048), np.float32),
    "fc.bias": np.zeros(1008, np.float32),
    "Conv2d_1a_3x3.bn.num_batches_tracked": np.array(0),
  }
  params = inception.from_state_dict({**tensors, **unused})["params"]
  assert "fc" not in params
  unit = params["Mixed_6c"]["branch7x7_2"]
  assert set(unit) == {"kernel", "scale", "bias", "mean", "var"}
  kernel = tensors["Mixed_6c.branch7x7_2.conv.weight"]
  assert unit["kernel"].shape == (1, 7, 160, 160)
  assert unit["kernel"][0, 2, 30, 4] == kernel[4, 30, 0, 2]
  scale = tensors["Mixed_6c.branch7x7_2.bn.weight"]
  np.testing.assert_array_equal(unit["scale"], scale)


def test_wrong_state_dicts_are_refused(tensors):
  name = "Mixed_7a.branch3x3_1.bn.running_mean"
  less = {k: v for k, v in tensors.items() if k != name}
  with pytest.raises(ValueError, match=f"1 of .* 470 tensors .* {name}"):
    inception.from_state_dict(less)
  other = {**tensors, name: np.zeros(7, np.float32)}
  message = rf"{name} has shape \(7,\), .* \(192,\)"
  with pytest.raises(ValueError, match=message):
    inception.from_state_dict(other)


def test_images_are_scaled_and_resized():
  images = _images(299, 299)
  np.testing.assert_allclose(
    inception.prepare(images), images / 127.5 - 1, atol=1e-6
  )
  # A black and a white pixel: constant outside the centres, linear in between.
  row = np.zeros((1, 1, 2, 3), np.uint8)
  row[:, :, 1] = 255
  resized = np.asarray(inception.prepare(row))[0, :, :, 0]
  expected = np.clip(2 * ((np.arange(299) + 0.5) * 2 / 299 - 1), -1, 1)
  np.testing.assert_allclose(resized[0], expected, atol=1e-5)
  np.testing.assert_array_equal(resized, resized[:1].repeat(299, axis=0))


# torch's features of `_SMALL` in float64: {first column of a branch of the last
# block: first four features of the branch}.
_SMALL = (107, 139)  # the last map is 2x3, so every pool uses its padding
_GOLDEN = {
  0: [[9.76171, 2.12504, 0, 3.41205], [9.88131, 1.93725, 0, 3.55353]],
  320: [
    [0.551447, 0.43292, 3.09009, 0.474202],
    [0.507723, 0.45628, 3.22255, 0.460114],
  ],
  1088: [
    [0.0487636, 3.03874, 0.62245, 0.23087],
    [0.063056, 3.06681, 0.620056, 0.203361],
  ],
  1858: [
    [5.97698, 8.83867, 16.4207, 2.54011],
    [6.12873, 8.30595, 16.3977, 2.6124],
  ],
}


def test_features_equal_stored_features_of_torch(tensors):
  images = np.float32(_images(*_SMALL) / 127.5 - 1)
  params = inception.from_state_dict(tensors)
  features = np.asarray(jax.jit(inception.Inception().apply)(params, images))
  for start, expected in _GOLDEN.items():
    found = features[:, start : start + 4]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def test_features_equal_torch(tensors):
  torch = pytest.importorskip("torch")
  pytest.importorskip("torchvision")
  images = _images(40, 56)
  x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
  x = torch.nn.functional.interpolate(
    x, size=(299, 299), mode="bilinear", align_corners=False
  )
  expected = _torch_net(tensors)(2 * x - 1).numpy()
  params = inception.from_state_dict(tensors)
  features = np.asarray(jax.jit(inception.features)(params, images))
  np.testing.assert_allclose(features, expected, atol=1e-5 * expected.max())


def _torch_net(tensors):
  """Return torchvision's network with the pools of TensorFlow's 2015 graph."""
  import torch
  from torchvision.models import inception as torch_inception

  class Pool:
    """Replaces torch.nn.functional in torchvision's module."""

    use_max = False

    def __getattr__(self, name):
      return getattr(torch.nn.functional, name)

    def avg_pool2d(self, x, **args):
      if self.use_max:
        return torch.nn.functional.max_pool2d(x, **args)
      args["count_include_pad"] = False
      return torch.nn.functional.avg_pool2d(x, **args)

  net = torch_inception.inception_v3(
    weights=None, aux_logits=False, init_weights=False
  )
  net.fc = torch.nn.Identity()
  named = {k: torch.from_numpy(v) for k, v in tensors.items()}
  missing, extra = net.load_state_dict(named, strict=False)
  assert not extra and all(k.endswith("num_batches_tracked") for k in missing)
  pool = Pool()
  # Only the last block uses a maximum pool.
  switch = lambda on: lambda *_: setattr(pool, "use_max", on)
  net.Mixed_7c.register_forward_pre_hook(switch(True))
  net.Mixed_7c.register_forward_hook(switch(False))

  def run(x):
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
      patch.setattr(torch_inception, "F", pool)
      return net.eval()(x)

  return run
