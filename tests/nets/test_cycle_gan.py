"""CycleGAN's nets: parameter counts, sizes, receptive fields, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import flatten_util

from foregan_jax.layers import convs, norms
from foregan_jax.nets import cycle_gan, cycle_gan_wgan, per_region


def _count(net, side, channels):
  x = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
  shapes = jax.eval_shape(net.lazy_init, jax.random.key(0), x)
  return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("upsample", cycle_gan.UPSAMPLINGS)
@pytest.mark.parametrize(
  ("channels", "blocks", "count"),
  [
    (3, 9, 11_378_179), (3, 6, 7_837_699),
    (1, 9, 11_365_633), (1, 6, 7_825_153),
  ],
)  # fmt: skip
def test_generators_have_the_published_sizes(channels, blocks, count, upsample):
  net = cycle_gan.Generator(channels, blocks=blocks, upsample=upsample)
  assert _count(net, 64, channels) == count


@pytest.mark.parametrize(
  ("channels", "depth", "count"),
  [(3, 3, 2_764_737), (1, 3, 2_762_689), (1, 2, 660_929)],
)
def test_discriminators_have_the_published_sizes(channels, depth, count):
  assert _count(cycle_gan.Discriminator(depth=depth), 64, channels) == count


def test_nets_of_wgan_gp_have_the_published_sizes():
  assert _count(cycle_gan_wgan.Generator(1), 64, 1) == 4_579_841
  assert _count(cycle_gan_wgan.Critic(), 64, 1) == 4_008_833


@pytest.mark.parametrize(
  ("side", "depth", "scores"),
  [(256, 3, 30), (128, 3, 14), (64, 3, 6), (64, 2, 14)],
)
def test_number_of_scores(side, depth, scores):
  net = cycle_gan.Discriminator(4, depth)
  x = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
  make = lambda x: net.init_with_output(jax.random.key(0), x)[0]
  assert jax.eval_shape(make, x).shape == (2, scores, scores, 1)


@pytest.mark.parametrize(("depth", "field"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(depth, field):
  """Count the pixels that a score depends on, but for the norms."""
  net = cycle_gan.Discriminator(1, depth)
  x = jnp.ones((1, 96, 96, 1))

  def linear(next_fun, args, kwargs, context):
    if isinstance(context.module, norms.InstanceNorm):
      return args[0]
    return next_fun(*args, **kwargs)

  def slope(x):
    with nn.intercept_methods(linear):
      params = net.init(jax.random.key(0), x)
      # Positive kernels, so that no two paths cancel.
      params = jax.tree.map(lambda p: jnp.abs(p) + 1.0, params)
      middle = lambda x: net.apply(params, x)[0, 5, 5, 0]
      return jax.grad(middle)(x)[0, :, :, 0]

  for line in np.nonzero(np.asarray(jax.jit(slope)(x))):
    assert line.max() - line.min() + 1 == field
    assert 0 < line.min() and line.max() < 95  # not cut by the border


def test_scores_depend_on_the_picture_and_have_no_sigmoid():
  net = cycle_gan.Discriminator(4, 1)
  x = 5 * jax.random.normal(jax.random.key(0), (1, 16, 16, 3))
  params = jax.jit(net.init)(jax.random.key(1), x)
  params = jax.tree.map(lambda p: 30 * p, params)
  scores = jax.jit(net.apply)(params, x)
  assert scores.min() < 0 and scores.max() > 1


def test_upsampling_equals_repeated_and_reflected_pixels():
  """The generator pads before it repeats; this is the same, and less work."""
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  net = cycle_gan.ResizeConv(2)
  params = {
    "kernel": jax.random.normal(jax.random.key(1), (3, 3, 3, 2)),
    "bias": jnp.ones(2),
  }
  large = cycle_gan.reflect(x.repeat(2, axis=1).repeat(2, axis=2), 1)
  want = convs.conv(large, params["kernel"], 1, (0, 0)) + 1.0
  got = jax.jit(net.apply)({"params": {"conv": params}}, x)
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("kind", [cycle_gan, cycle_gan_wgan])
def test_residual_generators_begin_near_their_input(kind):
  x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 3), minval=-1.0)
  nets = [kind.Generator(width=4, residual=r) for r in (False, True)]
  params = jax.jit(nets[0].init)(jax.random.key(1), x)
  plain, residual = (jax.jit(net.apply)(params, x) for net in nets)
  assert jnp.abs(plain).max() <= 1
  np.testing.assert_allclose(residual, jnp.clip(x + plain, -1, 1), atol=1e-6)
  assert jnp.abs(residual - x).mean() < 0.3 * jnp.abs(x).mean()


def test_noise_of_the_critic_falls_to_zero():
  net = cycle_gan_wgan.Critic(2)
  critic = per_region.PerRegion(net, 2, unroll=True)
  x = jax.random.normal(jax.random.key(0), (2, 3, 16, 16, 1))
  spec = jax.ShapeDtypeStruct(x.shape[1:], jnp.float32)
  params = jax.jit(lambda key: critic.init(key, spec))(jax.random.key(1))
  score = jax.jit(cycle_gan_wgan.NoisyCritic(critic, 0.1, 10))
  quiet = jax.jit(critic.apply)(params, x)
  key = jax.random.key(2)
  noise = [
    float(jnp.abs(score(params, x, jnp.int32(step), key) - quiet).mean())
    for step in (0, 9, 10, 20)
  ]
  assert noise[0] > noise[1] > 0 and noise[2] == noise[3] < 1e-5


@pytest.mark.parametrize(
  "net", [cycle_gan.Generator(width=2, blocks=1), cycle_gan_wgan.Critic(2)]
)
def test_nets_of_regions_are_independent_and_equal_a_vmap(net):
  x = jax.random.normal(jax.random.key(0), (2, 3, 16, 16, 3))
  spec = jax.ShapeDtypeStruct(x.shape[1:], jnp.float32)
  one, other = (per_region.PerRegion(net, 2, unroll=u) for u in (True, False))
  params = jax.jit(lambda key: one.init(key, spec))(jax.random.key(1))
  first = next(iter(params["params"].values()))["kernel"]
  assert first.shape[0] == 2 and (first[0] != first[1]).all()

  def gradient(stacked):
    loss = lambda p: jnp.sin(stacked.apply(p, x)).sum()
    return flatten_util.ravel_pytree(jax.jit(jax.grad(loss))(params))[0]

  got, want = gradient(one), gradient(other)
  scale = float(jnp.abs(want).max())
  np.testing.assert_allclose(got / scale, want / scale, atol=1e-5)
  single = jax.jit(net.apply)(jax.tree.map(lambda p: p[1], params), x[1])
  whole = jax.jit(one.apply)(params, x)
  np.testing.assert_allclose(whole[1], single, atol=1e-5)
