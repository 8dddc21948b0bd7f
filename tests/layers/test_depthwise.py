"""Depthwise convolutions: both ways, and TensorFlow's padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import depthwise


@pytest.mark.parametrize(
  ("size", "kernel", "stride", "expected"),
  [
    (8, 3, 1, (1, 1)), (8, 3, 2, (0, 1)), (9, 3, 2, (1, 1)),
    (8, 5, 2, (1, 2)), (9, 5, 2, (2, 2)), (1, 3, 2, (1, 1)),
  ],
)  # fmt: skip
def test_padding_is_that_of_tensorflow(size, kernel, stride, expected):
  assert depthwise.same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 8), (10, 9)])
def test_shifts_equal_the_grouped_convolution(key, kernel, stride, size):
  x = jax.random.normal(key, (2, *size, 6))
  weights = jax.random.normal(jax.random.key(1), (kernel, kernel, 6))
  padded = depthwise.pad_same(x, kernel, stride)
  native = jax.lax.conv_general_dilated(
    x, weights[:, :, None], (stride, stride), "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=6,
  )  # fmt: skip
  for function in (depthwise._by_shifts, depthwise._native):
    got = function(padded, weights, stride)
    np.testing.assert_allclose(got, native, rtol=1e-4, atol=1e-5)


def test_affine_map_is_applied_to_the_result(key):
  layer = depthwise.DepthwiseConv(3, 2)
  x = jax.random.normal(key, (1, 6, 6, 4))
  params = layer.init(key, x)
  factor, shift = jnp.arange(1.0, 5.0), jnp.arange(4.0)
  want = (
    layer.apply(params, x) * factor[None, None, None] + shift[None, None, None]
  )
  got = layer.apply(params, x, (factor, shift))
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
