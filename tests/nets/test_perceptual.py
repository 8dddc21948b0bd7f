import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import perceptual

_BASE = dict(source="", width=4, taps=2, dtype=jnp.float32)


def test_trunk_returns_its_first_stages():
  features = perceptual.build("trunk", **_BASE | {"source": "tiny", "taps": 3})
  source, load = features.frozen()
  assert source == "tiny"
  image = jnp.zeros((1, 32, 32, 3))
  found = jax.eval_shape(features, load(), image)
  assert [x.shape[1] for x in found] == [8, 4, 2]


def test_random_features_are_divided_by_their_means():
  features = perceptual.build("random", **_BASE)
  image = jax.random.uniform(jax.random.key(0), (1, 8, 8, 3))
  collections = features.frozen()[1]()
  found = features(collections, image)
  raw = features.net.apply(collections, image)
  for x, y, divisor in zip(found, raw, features.divisors, strict=True):
    np.testing.assert_allclose(x, y / divisor, rtol=1e-6)
  assert features.smallest == 2


@pytest.mark.parametrize(
  ("kind", "change", "message"),
  [
    ("vggg", {}, "kind is 'vggg', but must be one of vgg, random, trunk"),
    ("vgg", {}, "perceptual.file is empty"),
    ("trunk", {"taps": 5}, "has 5 features, but trunk has 1 to 4"),
    ("random", {"taps": 0}, "has 0 features"),
  ],
)
def test_bad_values_are_refused(kind, change, message):
  with pytest.raises(ValueError, match=message):
    perceptual.build(kind, **_BASE | change)
