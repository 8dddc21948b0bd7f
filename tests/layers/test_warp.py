import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import warp


def constant_flow(shape, dx, dy):
  return jnp.broadcast_to(jnp.array([dx, dy]), (*shape, 2)).astype(jnp.float32)


@pytest.mark.parametrize("outside", ["zero", "border"])
def test_sample_of_a_ramp_is_exact_between_pixels(outside):
  y, x = np.mgrid[:6, :8].astype(np.float32)
  image = jnp.stack([2 * x + 3 * y, x], -1)[None]
  xy = jnp.array([[[[1.25, 2.5], [0.0, 0.0], [7.0, 5.0]]]])
  got = warp.sample(image, xy, outside=outside)[0, 0]
  want = [[2.5 + 7.5, 1.25], [0, 0], [14 + 15, 7]]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_sample_outside_fades_to_zero_or_repeats_the_border():
  image = jnp.ones((1, 3, 4, 1))
  xy = jnp.array([[[[-0.25, 1], [-1, 1], [1e9, 1], [3.5, 2.5]]]], jnp.float32)
  zero = warp.sample(image, xy, outside="zero")[0, 0, :, 0]
  np.testing.assert_allclose(zero, [0.75, 0, 0, 0.25], atol=1e-6)
  border = warp.sample(image, xy, outside="border")[0, 0, :, 0]
  np.testing.assert_allclose(border, [1, 1, 1, 1])
  with pytest.raises(ValueError, match="'wrap'"):
    warp.sample(image, xy, outside="wrap")


def test_backward_samples_at_x_plus_flow(key):
  image = jax.random.normal(key, (1, 6, 8, 3))
  got = warp.backward(image, constant_flow((1, 6, 8), 2, -1), outside="zero")
  np.testing.assert_allclose(got[:, 1:, :-2], image[:, :-1, 2:], atol=1e-6)
  assert not got[:, 0].any() and not got[:, :, -2:].any()


def test_splat_moves_pixels_to_x_plus_flow(key):
  image = jax.random.normal(key, (1, 6, 8, 3))
  got, weight = warp.splat(image, constant_flow((1, 6, 8), 2, -1))
  np.testing.assert_allclose(got[:, :-1, 2:], image[:, 1:, :-2], atol=1e-6)
  assert not got[:, -1].any() and not got[:, :, :2].any()
  np.testing.assert_array_equal(weight[0, :-1, 2:], 1)
  np.testing.assert_array_equal(weight[0, -1], 0)


def test_splat_averages_pixels_with_the_same_target():
  image = jnp.array([1.0, 0, 3, 0]).reshape(1, 1, 4, 1)
  flow = jnp.zeros((1, 1, 4, 2)).at[0, 0, 0, 0].set(2).at[0, 0, 3, 0].set(9)
  got, weight = warp.splat(image, flow)
  np.testing.assert_allclose(got.ravel(), [0, 0, 2, 0], atol=1e-6)
  np.testing.assert_allclose(weight.ravel(), [0, 1, 2, 0], atol=1e-6)


def test_splat_mask_is_bilinear_and_in_range(key):
  mask = jnp.zeros((1, 1, 4, 1)).at[0, 0, 1].set(1)
  got = warp.splat_mask(mask, constant_flow((1, 1, 4), 0.5, 0))
  np.testing.assert_allclose(got.ravel(), [0, 0.5, 0.5, 0], atol=1e-6)
  mask = jax.random.uniform(key, (2, 9, 9, 1))
  flow = 30 * jax.random.normal(key, (2, 9, 9, 2))
  got = warp.splat_mask(mask, flow)
  assert got.min() >= 0 and got.max() <= 1


@pytest.mark.parametrize("size", [(7, 12), (14, 24), (28, 36), (4, 5), (7, 5)])
def test_resize_equals_jax_image_resize(size, key):
  image = jax.random.normal(key, (2, 7, 12, 3))
  got = warp.resize(image, size, align_corners=False)
  want = jax.image.resize(image, (2, *size, 3), "bilinear", antialias=False)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_resize_with_align_corners_keeps_the_corner_pixels(key):
  image = jax.random.normal(key, (1, 4, 5, 2))
  got = warp.resize(image, (10, 13), align_corners=True)
  np.testing.assert_allclose(got[:, ::9, ::12], image[:, ::3, ::4], atol=1e-6)
  np.testing.assert_allclose(got[:, ::3, ::3], image, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_affine_grid_identity_and_mirror(align_corners, key):
  image = jax.random.normal(key, (2, 5, 8, 3))
  identity = jnp.array([[1.0, 0, 0], [0, 1, 0]])
  mirror = jnp.array([[-1.0, 0, 0], [0, 1, 0]])
  xy = warp.affine_grid(jnp.stack([identity, mirror]), (5, 8), align_corners)
  got = warp.sample(image, xy, outside="border")
  np.testing.assert_allclose(got[0], image[0], atol=1e-4)
  np.testing.assert_allclose(got[1], image[1, :, ::-1], atol=1e-4)


def test_affine_grid_shift_of_one_is_half_the_image():
  theta = jnp.array([[[1.0, 0, 1], [0, 1, 0]]])
  edges = warp.affine_grid(theta, (5, 8), False)
  centres = warp.affine_grid(theta, (5, 8), True)
  np.testing.assert_allclose(edges[0, 0, 0], [4, 0], atol=1e-5)
  np.testing.assert_allclose(centres[0, 0, 0], [3.5, 0], atol=1e-5)
