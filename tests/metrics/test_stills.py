import numpy as np
import pytest

from foregan_jax.metrics import simple_masks, stills


def _mask(*rows):
  return np.array([[c == "#" for c in row] for row in rows])


def test_scores_of_small_masks():
  truth = [_mask("##..", "...."), _mask("....", "....")]
  predicted = [_mask("#.#.", "...."), _mask("....", "...#")]
  got = stills.scores(predicted, truth)
  # Pooled: 1 true positive, 2 false positives, 1 false negative, 12 true
  # negatives.
  assert got["acc"] == pytest.approx(13 / 16)
  assert got["iou"] == pytest.approx(1 / 4)
  assert got["miou"] == pytest.approx((1 / 4 + 12 / 15) / 2)
  assert got["iou_each"] == pytest.approx((1 / 3 + 0) / 2)
  assert got["dice_each"] == pytest.approx((2 / 4 + 0) / 2)


def test_two_empty_masks_score_one():
  empty = [_mask("..", "..")]
  assert stills.scores(empty, empty)["iou_each"] == 1
  assert stills.scores(empty, empty)["miou"] == 1


@pytest.mark.parametrize(
  "predicted, truth, message",
  [
    ([], [], "0 predictions for 0 masks"),
    ([_mask(".")], [_mask("..")], r"shape \(1, 1\), but its mask has \(1, 2\)"),
  ],
)
def test_wrong_masks_are_refused(predicted, truth, message):
  with pytest.raises(ValueError, match=message):
    stills.scores(predicted, truth)


def _image():
  """Return the image of a dark box on a bright background, and its mask."""
  mask = np.zeros((32, 32), bool)
  mask[10:22, 8:24] = True
  image = np.full((32, 32, 3), (200, 180, 90), np.uint8)
  image[mask] = (30, 60, 20)
  return image, mask


def test_simple_masks_find_a_box():
  image, mask = _image()
  np.testing.assert_array_equal(simple_masks.otsu(image), mask)
  # The border is background, whether it is brighter or darker.
  np.testing.assert_array_equal(simple_masks.otsu(255 - image), mask)
  cut = simple_masks.tune_border_cut([image], [mask])
  predicted = simple_masks.border_distance(image) > cut
  np.testing.assert_array_equal(predicted, mask)
  assert simple_masks.everything(image).all()
  disc = simple_masks.disc(image)
  assert disc[16, 16] and not disc[0, 0]
  np.testing.assert_array_equal(disc, disc[::-1, ::-1])
