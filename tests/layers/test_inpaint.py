import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import inpaint

OBJECT = 9.0


def scene(height=8, width=20):
  """Return an image whose colour is its column, and an empty mask."""
  image = np.tile(np.arange(width, dtype=np.float32), (height, 1)) / 10
  image = np.stack([image, -image, image + 1], -1)[None]
  return image, np.zeros((1, height, width, 1), np.float32)


def fill(image, mask):
  image = np.where(mask > 0, OBJECT, image)
  return np.asarray(inpaint.fill_rows(jnp.asarray(image), jnp.asarray(mask)))


@pytest.mark.parametrize(
  "rows, columns",
  [((2, 5), (6, 11)), ((0, 8), (0, 4)), ((1, 8), (15, 20)), ((3, 6), (0, 20)),
   ((0, 2), (0, 20)), ((0, 8), (1, 3)), ((0, 8), (0, 19))],
)  # fmt: skip
def test_hole_is_filled_and_other_pixels_do_not_change(rows, columns):
  image, mask = scene()
  mask[:, slice(*rows), slice(*columns)] = 1
  filled = fill(image, mask)
  assert filled.max() < OBJECT
  np.testing.assert_array_equal(
    np.where(mask > 0, 0, filled), np.where(mask > 0, 0, image)
  )


def test_hole_takes_the_colours_three_columns_left_and_right():
  image, mask = scene()
  mask[:, 3, 6:11] = 1
  filled = fill(image, mask)
  np.testing.assert_array_equal(filled[0, 3, 6:8], image[0, 3, [3, 3]])
  np.testing.assert_array_equal(filled[0, 3, 8:11], image[0, 3, [13, 13, 13]])


def test_hole_at_the_border_takes_the_colour_of_the_other_side():
  image, mask = scene()
  mask[:, 3, 16:] = 0.2
  filled = fill(image, mask)
  np.testing.assert_array_equal(filled[0, 3, 16:], image[0, 3, [13] * 4])


def test_whole_row_takes_the_row_above_or_the_mean_colour():
  image, mask = scene()
  mask[:, [0, 5]] = 1
  filled = fill(image, mask)
  np.testing.assert_array_equal(filled[0, 5], image[0, 4])
  np.testing.assert_allclose(filled[0, 0, 7], image[0, 1].mean(0), atol=1e-5)


def test_full_mask_yields_grey():
  image, mask = scene()
  np.testing.assert_array_equal(fill(image, mask + 1), 0)
