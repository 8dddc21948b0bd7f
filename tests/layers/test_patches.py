import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import patches


@pytest.mark.parametrize(
  "stride, want",
  [((20, 36), (9, 9)), ((15, 20), (11, 16)), ((10, 12), (17, 26)),
   ((2, 2), (83, 153)), ((3, 3), (55, 102))],
)  # fmt: skip
def test_grid_size_equals_the_paper(stride, want):
  assert patches.grid_size((224, 416), (60, 112), stride) == want
  image = jnp.zeros((1, 224, 416, 1))
  assert patches.box_sum(image, (60, 112), stride).shape == (1, *want)


def test_patch_larger_than_the_image_raises():
  with pytest.raises(ValueError, match=r"\(9, 4\)"):
    patches.grid_size((8, 8), (9, 4), (1, 1))


def test_box_sum_equals_sums_of_crops(key):
  image = jax.random.uniform(key, (2, 9, 11, 1))
  got = patches.box_sum(image, (4, 3), (2, 3))
  for i in range(got.shape[1]):
    for j in range(got.shape[2]):
      crop = image[:, 2 * i : 2 * i + 4, 3 * j : 3 * j + 3]
      np.testing.assert_allclose(got[:, i, j], crop.sum((1, 2, 3)), rtol=1e-5)


def test_gather_equals_crops(key):
  image = jax.random.normal(key, (2, 9, 11, 3))
  yx = jnp.array([[[0, 0], [5, 3]], [[2, 7], [1, 1]]])
  got = patches.gather(image, yx, (4, 4))
  for b in range(2):
    for n in range(2):
      y, x = yx[b, n]
      np.testing.assert_array_equal(
        got[b, n], image[b, y : y + 4, x : x + 4, :]
      )


def test_positions_are_uniform_over_allowed_positions(key):
  allowed = jnp.zeros((2, 3, 4), bool).at[0, 1, 2].set(True)
  allowed = allowed.at[0, 0, 3].set(True).at[0, 2, 0].set(True)
  yx, valid = patches.sample_positions(key, allowed, 3000)
  np.testing.assert_array_equal(valid, [True, False])
  found, counts = np.unique(np.asarray(yx[0]), axis=0, return_counts=True)
  np.testing.assert_array_equal(found, [[0, 3], [1, 2], [2, 0]])
  assert counts.min() > 900
  assert not yx[1].any()
