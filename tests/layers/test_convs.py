import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import convs

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def lax_conv(x, kernel, stride, padding):
  pads = [(p, p) for p in padding]
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), pads, dimension_numbers=DIMENSIONS
  )


def gradients(f, x, kernel):
  return jax.jit(jax.grad(lambda *a: jnp.sin(f(*a)).sum(), (0, 1)))(x, kernel)


def penalty_gradients(f, x, kernel):
  """Return the gradients of a gradient's squared norm, as a penalty needs."""
  inner = jax.grad(lambda *a: jnp.sin(f(*a)).sum())
  outer = jax.grad(lambda *a: jnp.square(inner(*a)).sum(), (0, 1))
  return jax.jit(outer)(x, kernel)


CASES = {
  "stem": ((2, 9, 11, 3), (7, 7, 3, 5), 1, (3, 3)),
  "block": ((2, 9, 11, 4), (3, 3, 4, 4), 1, (1, 1)),
  "head": ((2, 9, 11, 5), (3, 5, 5, 1), 1, (1, 2)),
  "down": ((2, 8, 12, 3), (4, 4, 3, 5), 2, (1, 1)),
  "down_odd": ((2, 9, 13, 3), (4, 4, 3, 5), 2, (1, 1)),
  "valid": ((2, 6, 8, 3), (2, 4, 3, 5), 1, (0, 0)),
  "stride_2_by_3": ((1, 8, 13, 4), (3, 3, 4, 2), 2, (1, 1)),
}


def check_gradients(differentiate, ours, lax, x, kernel):
  for got, want in zip(
    differentiate(ours, x, kernel), differentiate(lax, x, kernel), strict=True
  ):
    scale = np.abs(want).max()
    np.testing.assert_allclose(got / scale, want / scale, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_conv_and_its_gradients_equal_lax(case, key):
  shape, kernel_shape, stride, padding = CASES[case]
  x = jax.random.normal(key, shape)
  kernel = jax.random.normal(jax.random.key(1), kernel_shape)
  ours = lambda x, k: convs.conv(x, k, stride, padding)
  lax = lambda x, k: lax_conv(x, k, stride, padding)
  np.testing.assert_array_equal(ours(x, kernel), lax(x, kernel))
  check_gradients(gradients, ours, lax, x, kernel)
  if case in ("down", "valid"):
    check_gradients(penalty_gradients, ours, lax, x, kernel)


def test_transposed_adds_one_kernel_per_input_pixel(key):
  x = jax.random.normal(key, (2, 3, 5, 4))
  kernel = jax.random.normal(jax.random.key(1), (4, 4, 4, 6))
  full = np.zeros((2, 2 * 3 + 2, 2 * 5 + 2, 6))
  for i in range(3):
    for j in range(5):
      patch = np.einsum("bc,yxco->byxo", x[:, i, j], kernel)
      full[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
  got = convs.transposed(x, kernel)
  np.testing.assert_allclose(got, full[:, 1:-1, 1:-1], atol=1e-5)


def test_transposed_gradients_equal_lax(key):
  x = jax.random.normal(key, (2, 3, 5, 4))
  kernel = jax.random.normal(jax.random.key(1), (4, 4, 4, 6))
  lax = lambda x, k: jax.lax.conv_transpose(
    x, k[::-1, ::-1], (2, 2), "SAME", dimension_numbers=DIMENSIONS
  )
  check_gradients(gradients, convs.transposed, lax, x, kernel)
  check_gradients(penalty_gradients, convs.transposed, lax, x, kernel)


def test_conv_gradient_is_the_same_inside_a_scan(key):
  x = jax.random.normal(key, (1, 6, 6, 3))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 3))

  def loss(kernel, unroll):
    step = lambda x, _: (jnp.tanh(convs.conv(x, kernel, 1, (1, 1))), None)
    return jax.lax.scan(step, x, length=3, unroll=unroll)[0].sum()

  slope = jax.jit(jax.grad(loss), static_argnums=1)
  looped, unrolled = slope(kernel, 1), slope(kernel, 3)
  np.testing.assert_allclose(looped, unrolled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_modules_compute_in_dtype_and_keep_float32_parameters(dtype, key):
  x = jnp.ones((1, 4, 4, 3))
  for module in (
    convs.Conv(5, (3, 3), 2, (1, 1), use_bias=True, dtype=dtype),
    convs.TransposedConv(5, dtype=dtype),
  ):
    y, params = jax.jit(module.init_with_output)(key, x)
    assert y.dtype == dtype
    loss = lambda p, m=module: m.apply(p, x).astype(jnp.float32).sum()
    leaves = jax.tree.leaves((params, jax.jit(jax.grad(loss))(params)))
    assert {p.dtype for p in leaves} == {jnp.dtype("float32")}


def test_upsampled_equals_repeating_and_convolving(key):
  x = jax.random.normal(key, (2, 5, 6, 3))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))

  def plain(x, kernel):
    large = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return lax_conv(large, kernel, 1, (1, 1))

  np.testing.assert_allclose(
    convs.upsampled(x, kernel), plain(x, kernel), rtol=1e-4, atol=1e-4
  )
  for a, b in zip(
    gradients(convs.upsampled, x, kernel),
    gradients(plain, x, kernel),
    strict=True,
  ):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("use_bias", [False, True])
def test_affine_map_is_applied_to_the_result(key, use_bias):
  layer = convs.Conv(5, (3, 3), 1, (1, 1), use_bias)
  keys = jax.random.split(key, 5)
  x = jax.random.normal(keys[0], (2, 6, 7, 3))
  params = layer.init(keys[1], x)
  params = jax.tree.map(lambda p: jax.random.normal(keys[2], p.shape), params)
  factor, shift = jax.random.normal(keys[3], (2, 5))
  each = lambda a: a.reshape(1, 1, 1, 5)
  expected = layer.apply(params, x) * each(factor) + each(shift)
  got = layer.apply(params, x, (factor, shift))
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_affine_map_is_not_rounded_to_bfloat16():
  # The product of kernel and factor is 1; rounded to bfloat16, it is .996.
  factor = jnp.full(1, 1.501953125)
  layer = convs.Conv(1, (1, 1), dtype=jnp.bfloat16)
  params = {"params": {"kernel": jnp.reshape(1 / factor, (1, 1, 1, 1))}}
  x = jnp.ones((1, 1, 1, 1))
  got = layer.apply(params, x, (factor, jnp.zeros(1)))
  assert got.dtype == jnp.bfloat16 and got.item() == 1.0
  alone = layer.apply(params, x) * factor.astype(jnp.bfloat16).reshape(x.shape)
  assert alone.item() != 1.0
