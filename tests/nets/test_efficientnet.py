"""EfficientNet-Lite0 equals the original network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import efficientnet
from foregan_jax.runtime import state_dicts

# Means and standard deviations of all elements, and the first values of row 0,
# channel 0, computed with PyTorch for the ramp below.
_GOLDEN = {
  "f4": (1.728923, 7.837093, (-3.54622, -5.4821, -5.30012)),
  "f8": (0.433157, 6.808373, (-9.91915, -12.81768, -13.03486)),
  "f16": (-0.359008, 5.777721, (1.60418, 1.78746, 1.92268)),
  "f32": (0.024977, 1.580637, (0.1255, 0.93101, 0.18766)),
}
_LOGITS = (-0.2143, 0.0981, 0.8107, 0.378)


@pytest.fixture(scope="module")
def file():
  path = efficientnet.package_file()
  if path is None:
    pytest.skip(f"no weights of the trunk: {efficientnet.INSTALL}")
  return path


@pytest.fixture(scope="module")
def features(file):
  ramp = np.linspace(0, 1, 3 * 64 * 96, dtype=np.float32).reshape(3, 64, 96)
  image = 2 * ramp.transpose(1, 2, 0)[None] - 1
  net = efficientnet.EfficientNetLite0()
  params = {"params": efficientnet.load(file)}
  return jax.device_get(jax.jit(net.apply)(params, image))


@pytest.mark.parametrize("name", list(_GOLDEN))
def test_features_are_those_of_the_original(features, name):
  got = getattr(features, name)
  mean, std, first = _GOLDEN[name]
  np.testing.assert_allclose(got.mean(), mean, atol=1e-4 * std)
  np.testing.assert_allclose(got.std(ddof=1), std, rtol=1e-4)
  np.testing.assert_allclose(got[0, 0, :3, 0], first, atol=1e-4 * std)


def test_classifier_on_the_features_gives_the_logits_of_the_original(
  features, file
):
  w = state_dicts.read(file)
  x = features.f32[0] @ w["_conv_head.weight"][:, :, 0, 0].T
  rate = np.sqrt(w["_bn1.running_var"] + 1e-3)
  x = (x - w["_bn1.running_mean"]) / rate * w["_bn1.weight"] + w["_bn1.bias"]
  pooled = np.clip(x, 0, 6).mean((0, 1))
  logits = w["_fc.weight"] @ pooled + w["_fc.bias"]
  np.testing.assert_allclose(logits[:4], _LOGITS, atol=1e-3)


@pytest.mark.parametrize(
  ("path", "index"),
  [
    ("JPEGImages/240p/blackswan/00000.jpg", 100),
    ("JPEGImages/240p/camel/00000.jpg", 354),
  ],
)
def test_pictures_have_the_right_class(shared_data, file, path, index):
  from foregan_jax.media import images

  picture = images.read_image(shared_data / "DAVIS240" / path)
  picture = images.resize_image(picture, (224, 224))
  net = efficientnet.EfficientNetLite0()
  image = jnp.asarray(picture[None] / 127.5 - 1, jnp.float32)
  params = {"params": efficientnet.load(file)}
  f32 = np.asarray(jax.jit(net.apply)(params, image).f32)[0]
  w = state_dicts.read(file)
  x = f32 @ w["_conv_head.weight"][:, :, 0, 0].T
  rate = np.sqrt(w["_bn1.running_var"] + 1e-3)
  x = (x - w["_bn1.running_mean"]) / rate * w["_bn1.weight"] + w["_bn1.bias"]
  logits = w["_fc.weight"] @ np.clip(x, 0, 6).mean((0, 1)) + w["_fc.bias"]
  assert int(logits.argmax()) == index


def test_sides_are_rounded_up():
  image = jax.ShapeDtypeStruct((1, 50, 70, 3), jnp.float32)
  net = efficientnet.EfficientNetLite0()
  params = {"params": efficientnet._shapes()}
  made = jax.eval_shape(net.apply, params, image)
  sizes = [x.shape[1:] for x in jax.tree.leaves(made)]
  assert sizes == [(13, 18, 24), (7, 9, 40), (4, 5, 112), (2, 3, 320)]
  count = sum(x.size for x in jax.tree.leaves(params))
  assert count == 2_998_304


def test_missing_package_is_a_sentence(monkeypatch):
  monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
  with pytest.raises(ValueError, match="not installed; run `pip install eff"):
    efficientnet.load()


def test_wrong_file_is_refused(file):
  tensors = state_dicts.read(file)
  del tensors["_blocks.3._bn0.weight"]
  with pytest.raises(ValueError, match=r"own.pth.*_blocks.3._bn0.weight"):
    efficientnet.from_state_dict(tensors, "own.pth")
