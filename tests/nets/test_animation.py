import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import animation
from foregan_jax.nets import animation_inputs as inputs

_SIDE = 256


def _count(net, side, channels):
  x = jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)
  init = lambda x: net.init(jax.random.key(0), x)
  params = jax.eval_shape(init, x)["params"]
  return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
  ("net", "side", "channels", "count"),
  [
    (animation.MaskGenerator(), _SIDE, 3, 12_564_417),
    (animation.MaskRefiner(), 64, 5, 31_358_081),
    (animation.LowGenerator(), 64, 5, 7_529_219),
    (animation.HighGenerator(), _SIDE, 8, 37_635_867),
    # BGBase and BGRefine.
    (animation.LowGenerator(), 64, 8, 7_566_851),
    (animation.HighGenerator(), _SIDE, 11, 37_639_764),
  ],
)
def test_parameter_counts_are_those_of_the_published_code(
  net, side, channels, count
):
  assert _count(net, side, channels) == count


@pytest.mark.parametrize(
  ("net", "given", "made"),
  [
    (animation.MaskGenerator(), (_SIDE, 3), (64, 1)),
    (animation.MaskRefiner(), (64, 5), (64, 1)),
    (animation.LowGenerator(), (64, 5), (_SIDE, 3)),
    (animation.HighGenerator(), (_SIDE, 8), (_SIDE, 3)),
    (animation.LowGenerator(stride=2), (64, 5), (128, 3)),
    (animation.MaskGenerator(stride=2, levels=4), (64, 3), (32, 1)),
  ],
)
def test_output_sizes(net, given, made):
  x = jnp.zeros((2, given[0], given[0], given[1]), jnp.bfloat16)
  y = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x)[0], x)
  assert y.shape == (2, made[0], made[0], made[1])
  assert y.dtype == jnp.float32


@pytest.mark.parametrize("border", [True, False])
def test_masks_have_a_black_border_as_published_or_none(border):
  net = animation.MaskGenerator(4, 2, border=border)
  image = jax.random.uniform(jax.random.key(1), (2, 48, 48, 3))
  mask, _ = jax.jit(net.init_with_output)(jax.random.key(0), image)
  mask = np.array(mask)
  assert mask.shape == (2, 12, 12, 1)
  inner = mask[:, 3:-3, 3:-3]
  assert (inner > 0).all() and (inner < 1).all()
  mask[:, 3:-3, 3:-3] = 0
  assert (mask == 0).all() == border


def test_skips_join_upsampled_features_first_and_the_input_last():
  net = animation.Hourglass(4, 1, skips=True)
  x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
  y, _ = jax.jit(net.init_with_output, static_argnums=2)(
    jax.random.key(0), x, False
  )
  assert y.shape == (2, 4, 4, 7)
  np.testing.assert_array_equal(y[..., 4:], x)
  assert y[..., :4].min() >= 0  # after a ReLU


def test_up_repeats_pixels_then_convolves():
  layer = animation.Up(2)
  x = jax.random.normal(jax.random.key(1), (1, 3, 3, 2))
  variables = layer.init(jax.random.key(0), x, False)
  params = variables["params"]
  params["bias"] = jnp.array([0.5, -0.5])
  found = layer.apply({**variables, "params": params}, x, False)
  large = np.asarray(x).repeat(2, 1).repeat(2, 2)
  large = np.pad(large, ((0, 0), (1, 1), (1, 1), (0, 0)))
  kernel = np.asarray(params["conv"]["kernel"])
  for row in range(6):
    for column in range(6):
      window = large[0, row : row + 3, column : column + 3]
      raw = np.einsum("ijc,ijco->o", window, kernel) + [0.5, -0.5]
      expected = np.maximum(raw / np.sqrt(1 + 1e-5), 0)
      np.testing.assert_allclose(found[0, row, column], expected, atol=1e-5)


def test_a_residual_block_adds_to_its_input_without_a_last_relu():
  layer = animation.Residual(3)
  x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
  variables = layer.init(jax.random.key(0), x, True)
  params = variables["params"]
  params["conv2"] = jax.tree.map(jnp.zeros_like, params["conv2"])
  y, _ = animation.train(layer, {**variables, "params": params}, x)
  np.testing.assert_array_equal(y, x)


def test_old_batch_norm_scales_are_uniform():
  net = animation.MaskRefiner(4, 1, scales="uniform01")
  params = net.init(jax.random.key(0), jnp.zeros((2, 8, 8, 5)))["params"]
  scale = params["hourglass"]["down_1"]["norm"]["scale"]
  assert (scale > 0).all() and (scale < 1).all()


def test_biases_are_drawn_as_in_pytorch():
  net = animation.MaskRefiner(4, 1)
  params = net.init(jax.random.key(0), jnp.zeros((2, 8, 8, 5)))["params"]
  conv = params["hourglass"]["down_1"]["conv"]
  limit = (9 * 5) ** -0.5
  for leaf in (conv["kernel"], conv["bias"]):
    assert 0.5 * limit < jnp.abs(leaf).max() <= limit


def test_centred_masks_have_a_mean_logit_of_0():
  net = animation.MaskGenerator(4, 2, border=False, centred=True)
  image = jax.random.uniform(jax.random.key(1), (2, 48, 48, 3))
  mask, _ = jax.jit(net.init_with_output)(jax.random.key(0), image)
  logits = np.log(mask) - np.log1p(-mask)
  np.testing.assert_allclose(logits.mean((1, 2)), 0.0, atol=1e-4)
  assert np.abs(logits).max() > 0.01


@pytest.mark.parametrize("net", ["low", "high"])
def test_generators_mix_their_image_with_those_of_the_input(net):
  """The last channels of the head are logits; that of the painting is 0."""
  nets = {
    "low": animation.LowGenerator(4, 1, stride=2, base=inputs.images_of),
    "high": animation.HighGenerator(4, 1, base=inputs.images_of),
  }
  net = nets[net]
  x = jax.random.uniform(jax.random.key(1), (2, 8, 8, 5))
  variables = net.init(jax.random.key(0), x)
  side = jax.eval_shape(net.apply, variables, x).shape[1]
  images = inputs.resize(inputs.images_of(x), (side, side))

  def paint(*logits):
    head = {
      "kernel": jnp.zeros_like(variables["params"]["head"]["kernel"]),
      "bias": jnp.array([0.0, 0.0, 0.0, *logits]),
    }
    params = {**variables["params"], "head": head}
    return net.apply({**variables, "params": params}, x)

  same, moved = images[..., :3], images[..., 3:]
  assert jnp.abs(same - moved).max() > 0.05
  np.testing.assert_allclose(paint(50.0, 0.0), same, atol=1e-6)
  np.testing.assert_allclose(paint(0.0, 50.0), moved, atol=1e-6)
  np.testing.assert_allclose(paint(-50.0, -50.0), 0.5, atol=1e-6)
  mean = (same + moved + 0.5) / 3
  np.testing.assert_allclose(paint(0.0, 0.0), mean, atol=1e-6)


def test_prior_makes_the_centre_white():
  x = jnp.zeros((1, 64, 64, 3))
  means = []
  for prior in (0.0, 1.0):
    net = animation.MaskGenerator(4, 1, border=False, centred=True, prior=prior)
    mask, _ = net.init_with_output(jax.random.key(0), x)
    means.append(mask[:, 6:10, 6:10].mean() - mask[:, 0].mean())
  assert means[1] > means[0] + 0.5
