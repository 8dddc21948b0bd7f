import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import layer_generator

Generator = layer_generator.LayerGenerator

FLOW, FLOW_MASK, NO_CONDITION = 5, 6, 3
SMALL = {"width": 4, "num_blocks": 1}


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def inputs(module, key, cin=FLOW, size=(8, 12), batch=2):
  x = jax.random.uniform(key, (batch, *size, cin), minval=-1)
  return x, x[..., :3], module.initial_state(batch, *size)


def start(module, key, **kwargs):
  """Return parameters and the arguments of the first step.

  NumPy draws the parameters: compiling the real initialiser takes seconds.
  """
  x, base, state = inputs(module, key, **kwargs)
  init = lambda key: module.init(key, x, base, state, t=0, mask_slope=1.0)
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    value = 0.02 * rng.standard_normal(leaf.shape)
    value = value + (path[-1].key == "scale")
    return jnp.asarray(value, leaf.dtype)

  params = jax.tree.map_with_path(draw, jax.eval_shape(init, key))
  return params, x, base, state


@functools.cache
def compiled(module, t):
  return jax.jit(
    lambda params, x, base, state, slope: module.apply(
      params, x, base, state, t=t, mask_slope=slope
    )
  )


def run(module, params, x, base, state, *, t=0, slope=1.0):
  return compiled(module, t)(params, x, base, state, slope)


# Counts computed from the layer tables of VOS-ForeGAN, sec. 3.
@pytest.mark.parametrize(
  "fields, cin, size",
  [
    ({"mask_source": "h"}, FLOW, 8_461_696),
    ({"mask_source": "h"}, FLOW_MASK, 8_464_832),
    ({"mask_source": "h", "affine": True}, FLOW_MASK, 8_464_832 + 4_413_327),
    ({"mask_source": "fg_rgb"}, FLOW, 8_461_147),
    ({}, NO_CONDITION, 8_454_848),
    ({}, FLOW, 8_461_120),
    ({"temporal": "none"}, NO_CONDITION, 8_417_984),
    ({"temporal": "convlstm", "mask_source": "z"}, FLOW, 8_720_000),
    ({"temporal": "convlstm"}, NO_CONDITION, 8_713_152),
  ],
)
def test_parameter_counts_of_the_paper(fields, cin, size, key):
  module = Generator(**fields)
  x, base, state = inputs(module, key, cin=cin, size=(224, 416), batch=1)
  init = lambda key: module.init(key, x, base, state, t=0, mask_slope=1.0)
  assert count(jax.eval_shape(init, key)) == size


def test_concat_heads_of_experiment_5(key):
  module = Generator(temporal="concat", state_channels=32, num_steps=3)
  shapes = start(module, key)[0]["params"]
  # Attention and colour share a convolution: 3136 + 9408, 4704 + 14112.
  heads = [count(shapes[f"colour_attention_{t}"]) for t in range(3)]
  assert heads == [3136 + 9408, 4704 + 14112, 4704 + 14112]
  assert [count(shapes[f"reduce_{t}"]) for t in range(2)] == [18432, 27648]
  assert "reduce_2" not in shapes


def test_concat_refuses_steps_beyond_its_number(key):
  module = Generator(**SMALL, temporal="concat", num_steps=2)
  params, x, base, state = start(module, key)
  for t in range(2):
    state = run(module, params, x, base, state, t=t).state
  with pytest.raises(ValueError, match="step 2"):
    run(module, params, x, base, state, t=2)


@pytest.mark.parametrize("temporal", ["sum", "convlstm"])
def test_scan_over_time_equals_a_python_loop(temporal, key):
  module = Generator(**SMALL, temporal=temporal, mask_source="z")
  params, x, base, state = start(module, key)

  def step(carry, _):
    image, state = carry
    x_t = jnp.concatenate([image, x[..., 3:]], axis=-1)
    layer = module.apply(params, x_t, image, state, t=0, mask_slope=2.0)
    return (layer.image, layer.state), (layer.image, layer.mask)

  _, scanned = jax.lax.scan(step, (base, state), length=3)
  carry, looped = (base, state), []
  for _ in range(3):
    carry, out = jax.jit(step)(carry, None)
    looped.append(out)
  looped = jax.tree.map(lambda *a: jnp.stack(a), *looped)
  for got, expected in zip(scanned, looped, strict=True):
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_sum_equals_no_recurrence_at_the_first_step_only(key):
  recurrent = Generator(**SMALL, mask_source="z")
  params, x, base, state = start(recurrent, key)
  alone = Generator(**SMALL, mask_source="z", temporal="none")
  first = run(recurrent, params, x, base, state)
  single = run(alone, params, x, base, None)
  np.testing.assert_allclose(first.image, single.image, atol=1e-6)
  np.testing.assert_allclose(first.mask, single.mask, atol=1e-6)
  second = run(recurrent, params, x, base, first.state)
  assert jnp.abs(second.image - single.image).max() > 1e-4
  np.testing.assert_allclose(second.features, single.features, atol=1e-6)


def set_attention(params, attention):
  """Set the attention to a constant 0 or 1; all features become one."""
  params = jax.tree.map(jnp.asarray, params)
  norm = params["params"]["up_1_norm"]
  norm["scale"], norm["bias"] = 0 * norm["scale"], 1 + 0 * norm["bias"]
  head = params["params"]["colour_attention"]
  head["kernel"] = head["kernel"].at[..., 3].set(100.0 * (2 * attention - 1))
  return params


@pytest.mark.parametrize("formula", ["lerp", "exp12"])
def test_attention_keeps_the_base_except_in_exp12(formula, key):
  module = Generator(**SMALL, formula=formula)
  params, x, base, state = start(module, key)
  half = base / 2
  keep = run(module, set_attention(params, 1), x, half, state)
  change = run(module, set_attention(params, 0), x, half, state)
  if formula == "exp12":
    np.testing.assert_array_equal(keep.image, change.image)
    return
  np.testing.assert_allclose(keep.image, half, atol=1e-6)
  # Without attention the image does not depend on the base.
  other = run(module, set_attention(params, 0), x, base, state)
  np.testing.assert_allclose(change.image, other.image, atol=1e-6)


@pytest.mark.parametrize("source", ["none", "att", "fg_rgb", "h", "z"])
def test_mask_heads(source, key):
  module = Generator(**SMALL, mask_source=source)
  args = start(module, key)
  layer = run(module, *args)
  if source == "none":
    assert layer.mask is None
    return
  steep = run(module, *args, slope=8.0).mask
  assert layer.mask.shape == (2, 8, 12, 1)
  if source == "att":
    np.testing.assert_array_equal(layer.mask, layer.attention)
    np.testing.assert_array_equal(layer.mask, steep)
  else:
    logit = lambda p: np.log(p / (1 - p))
    assert np.abs(logit(steep)).max() > 1e-3
    np.testing.assert_allclose(8 * logit(layer.mask), logit(steep), atol=1e-4)


def test_mask_kernel_of_seven(key):
  module = Generator(**SMALL, mask_source="h", mask_kernel=7)
  shapes = start(module, key)[0]["params"]
  assert shapes["mask"]["kernel"].shape == (7, 7, 4, 1)


def test_affine_warps_features_by_the_estimated_transform(key):
  plain = Generator(**SMALL, mask_source="h")
  warped = Generator(**SMALL, mask_source="h", affine=True)
  params, *args = start(warped, key, size=(16, 24))
  last = params["params"]["transform"]["fc_1"]
  last["kernel"] = 0 * last["kernel"]
  # A shift of 1 in normalised coordinates is half the width, 12 pixels.
  last["bias"] = jnp.array([1.0, 0, 1, 0, 1, 0])
  features = run(plain, params, *args).features
  moved = run(warped, params, *args).features
  np.testing.assert_allclose(moved[:, :, :12], features[:, :, 12:], atol=1e-3)
  np.testing.assert_allclose(moved[:, :, 12:], 0, atol=1e-3)


def test_sides_must_be_multiples_of_four(key):
  with pytest.raises(ValueError, match="multiples of 4"):
    start(Generator(**SMALL), key, size=(8, 10))


def test_bfloat16_outputs_for_composition_are_float32(key):
  module = Generator(**SMALL, mask_source="h", affine=True, dtype=jnp.bfloat16)

  params, *args = start(module, key)
  layer = jax.eval_shape(lambda p: run(module, p, *args), params)
  assert layer.features.dtype == layer.state.dtype == jnp.bfloat16
  for array in (layer.image, layer.mask, layer.attention):
    assert array.dtype == jnp.float32
  assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}


def test_initial_deviation_of_convolutions_is_that_of_the_paper(key):
  module = Generator(width=16, num_blocks=0, temporal="none")
  init = lambda key: module.init(key, *inputs(module, key), t=0, mask_slope=1.0)
  params = jax.jit(init)(key)
  for path, leaf in jax.tree.leaves_with_path(params):
    if path[-1].key == "kernel":
      np.testing.assert_allclose(leaf.std(), 0.02, rtol=0.1)
    else:
      np.testing.assert_array_equal(leaf, float(path[-1].key == "scale"))


def test_initial_transform_is_the_identity(key):
  module = layer_generator.TransformEstimator()
  h = jax.random.normal(key, (2, 16, 24, 4))
  theta = jax.jit(module.init_with_output)(key, h)[0]
  np.testing.assert_array_equal(theta, [[[1, 0, 0], [0, 1, 0]]] * 2)
