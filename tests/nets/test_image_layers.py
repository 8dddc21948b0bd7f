import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import image_critic, image_layers

_PUBLIC, _SUPER, _PRIVATE = 100, 20, 200


def _count(variables):
  return sum(x.size for x in jax.tree.leaves(variables["params"]))


def _shapes(net, *shapes, **kwargs):
  args = [jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes]
  return jax.eval_shape(
    lambda *x: net.init(jax.random.key(0), *x, **kwargs), *args
  )


def test_parameter_counts_of_the_paper():
  """Figure A.1's counts; our heads have 3 + 4 biases more."""
  bg = image_layers.BackgroundGenerator()
  fg = image_layers.ForegroundGenerator()
  public, superclass, private = (4, _PUBLIC), (4, _SUPER), (4, _PRIVATE)
  assert _count(_shapes(bg, public)) == pytest.approx(7.979e6, abs=600)
  count = _count(_shapes(fg, public, superclass, private))
  assert count == pytest.approx(8.629e6, abs=600)
  critic = _count(
    _shapes(image_critic.ImageCritic(num_classes=0), (2, 128, 128, 3))
  )
  assert critic == pytest.approx(15.876e6, abs=600)
  estimator = _count(
    _shapes(image_critic.MaskCodeEstimator(), (2, 128, 128, 1))
  )
  assert estimator == pytest.approx(18.392e6, abs=600)


def _small():
  net = image_layers.ForegroundGenerator(size=16, width=8, num_residuals=1)
  public = jax.random.normal(jax.random.key(1), (4, 10))
  superclass = jax.nn.one_hot(jnp.array([0, 0, 1, 1]), 2)
  private = jax.nn.one_hot(jnp.array([0, 1, 2, 3]), 4)
  variables = net.init(jax.random.key(0), public, superclass, private)
  return net, variables, public, superclass, private


def test_foreground_shapes_and_ranges():
  net, variables, *codes = _small()
  fg, _ = net.apply(variables, *codes, mutable=["batch_stats"])
  assert fg.image.shape == (4, 16, 16, 3)
  assert fg.mask.shape == (4, 16, 16, 1)
  assert jnp.abs(fg.image).max() <= 1
  assert fg.mask.min() >= 0 and fg.mask.max() <= 1


def test_mask_depends_only_on_the_superclass():
  net, variables, public, superclass, private = _small()
  apply = lambda p: net.apply(variables, public, superclass, p)
  one, other = apply(private), apply(private[::-1])
  np.testing.assert_array_equal(one.mask, other.mask)
  assert jnp.abs(one.image - other.image).max() > 1e-3


def test_prior_moves_the_masks_to_the_centre():
  net, variables, *codes = _small()
  plain, moved = (
    net.clone(prior=prior).apply(variables, *codes) for prior in (0.0, 4.0)
  )
  np.testing.assert_array_equal(plain.image, moved.image)
  change = moved.mask - plain.mask
  assert change[:, 6:10, 6:10].min() > 0 > change[:, [0, -1]].max()


def test_other_sizes_are_refused():
  net = image_layers.BackgroundGenerator(size=24)
  with pytest.raises(ValueError, match="size is 24"):
    net.init(jax.random.key(0), jnp.zeros((1, 4)))


def test_critic_logits_shapes():
  net = image_critic.ImageCritic(width=4, num_classes=6)
  image = jax.random.normal(jax.random.key(0), (3, 32, 32, 3))
  variables = net.init(jax.random.key(0), image)
  logits = net.apply(variables, image)
  assert logits.real.shape == (3,) and logits.code.shape == (3, 6)


def test_literal_convolutions_are_equal(key):
  public = jax.random.normal(key, (3, 5))
  superclass, private = jnp.eye(3), jnp.eye(6)[:3]
  bg = image_layers.BackgroundGenerator(16, 4)
  fg = image_layers.ForegroundGenerator(16, 4, 1)
  for net, codes in ((bg, (public,)), (fg, (public, superclass, private))):
    params = net.init(key, *codes)
    fast = net.apply(params, *codes)
    plain = net.clone(literal=True).apply(params, *codes)
    for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(plain), strict=True):
      # Batch norms divide by the spread of three samples.
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
