import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import mask_motion


def _square(top, left, height, width, side=32):
  image = np.zeros((1, side, side, 1), np.float32)
  image[:, top : top + height, left : left + width] = 1
  return jnp.asarray(image)


@pytest.mark.parametrize(
  "target", [(8, 6, 10, 8), (14, 10, 10, 8), (4, 12, 15, 12)]
)
def test_objects_move_onto_the_target(target):
  mask, target = _square(8, 6, 10, 8), _square(*target)
  moved = mask_motion.align(mask, mask, target)
  # Sides of 12 to 18 pixels: a border of half a pixel may differ.
  assert jnp.abs(moved - target).mean() < 0.02
  overlap = jnp.minimum(moved, target).sum() / jnp.maximum(moved, target).sum()
  assert overlap > 0.85


def test_masks_may_be_smaller_than_images():
  image = _square(8, 8, 16, 16)
  mask = lambda x: x.reshape(1, 16, 2, 16, 2, 1).mean((2, 4))
  target = _square(8, 12, 16, 16)
  moved = mask_motion.align(image, mask(image), mask(target))
  np.testing.assert_allclose(moved, target, atol=0.1)


def test_empty_masks_keep_the_image():
  image = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
  empty = jnp.zeros((2, 4, 4, 1))
  np.testing.assert_allclose(
    mask_motion.align(image, empty, empty), image, atol=1e-5
  )


def test_gradients_reach_both_masks():
  image = _square(8, 6, 10, 8)
  target = _square(12, 8, 10, 8)
  loss = lambda *masks: jnp.square(
    mask_motion.align(image, *masks) - target
  ).sum()
  for grad in jax.grad(loss, (0, 1))(image, image):
    assert jnp.isfinite(grad).all() and jnp.abs(grad).max() > 1e-4
