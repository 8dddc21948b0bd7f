import numpy as np
import pytest

from foregan_jax.metrics import simple_masks, stills


def _mask(*rows):
  return np.array([[c == "#" for c in row] for row in rows])


def test_scores_by_hand():
  truth = [_mask("##..", "...."), _mask("....", "....")]
  found = [_mask("#.#.", "...."), _mask("....", "...#")]
  got = stills.scores(found, truth)
  # Pooled: 1 found, 2 invented, 1 missed, 12 rest.
  assert got["acc"] == pytest.approx(13 / 16)
  assert got["iou"] == pytest.approx(1 / 4)
  assert got["miou"] == pytest.approx((1 / 4 + 12 / 15) / 2)
  assert got["iou_each"] == pytest.approx((1 / 3 + 0) / 2)
  assert got["dice_each"] == pytest.approx((2 / 4 + 0) / 2)


def test_two_empty_masks_agree():
  empty = [_mask("..", "..")]
  assert stills.scores(empty, empty)["iou_each"] == 1
  assert stills.scores(empty, empty)["miou"] == 1


@pytest.mark.parametrize(
  "found, truth, sentence",
  [
    ([], [], "0 predictions for 0 masks"),
    ([_mask(".")], [_mask("..")], r"\(1, 1\), but its mask is \(1, 2\)"),
  ],
)
def test_what_does_not_fit_is_refused(found, truth, sentence):
  with pytest.raises(ValueError, match=sentence):
    stills.scores(found, truth)


def _picture():
  """A dark square on a bright ground, and its mask."""
  mask = np.zeros((32, 32), bool)
  mask[10:22, 8:24] = True
  picture = np.full((32, 32, 3), (200, 180, 90), np.uint8)
  picture[mask] = (30, 60, 20)
  return picture, mask


def test_simple_masks_of_a_simple_picture():
  picture, mask = _picture()
  np.testing.assert_array_equal(simple_masks.otsu(picture), mask)
  # Whatever is brighter: the border says what is ground.
  np.testing.assert_array_equal(simple_masks.otsu(255 - picture), mask)
  cut = simple_masks.tune_border_cut([picture], [mask])
  found = simple_masks.border_distance(picture) > cut
  np.testing.assert_array_equal(found, mask)
  assert simple_masks.everything(picture).all()
  disc = simple_masks.disc(picture)
  assert disc[16, 16] and not disc[0, 0]
  np.testing.assert_array_equal(disc, disc[::-1, ::-1])
