"""Propagation through videos, with a tracker that shifts masks by a pixel."""

import csv

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import images, pictures
from foregan_jax.predictors import propagate, results


def _roll(labels, by):
  return np.roll(labels, by, axis=1)


def _table(out):
  with open(out / "confidence.csv", newline="") as file:
    return list(csv.DictReader(file))


def test_shift_tracker_satisfies_the_protocol(shift_tracker):
  assert isinstance(shift_tracker(), propagate.Tracker)


def test_every_frame_gets_a_mask_with_the_given_ids(world, shift_tracker):
  given = world.draw({7: (2, 3), 200: (12, 10)})
  void = given.copy()
  void[20:, 20:] = images.VOID
  problems = world.write(shift_tracker(), {0: world.mask("first.png", void)})
  assert problems == []
  for t, found in enumerate(world.read_masks()):
    np.testing.assert_array_equal(found, _roll(given, t), f"frame {t}")
  with Image.open(world.out / "masks" / "f5.png") as mask:
    assert (mask.mode, mask.size) == ("P", world.SIZE[::-1])
    assert mask.getpalette()[21:24] == pictures.PALETTE[7].tolist()


def test_results_that_cannot_be_written_stop_the_call(
  world, shift_tracker, monkeypatch
):
  """They are written in another thread, whose errors must not be lost."""
  write = results.Results.write

  def fail(self, index, *args, **kwargs):
    if index == 2:
      raise OSError("no space left")
    write(self, index, *args, **kwargs)

  monkeypatch.setattr(results.Results, "write", fail)
  mask = world.mask("first.png", world.draw({7: (2, 3)}))
  with pytest.raises(OSError, match="no space left"):
    world.write(shift_tracker(), {0: mask})


def test_grey_mask_is_object_one(world, shift_tracker):
  path = world.root / "given" / "grey.png"
  labels = world.draw({1: (4, 5)})
  cv2.imwrite(str(path), labels * 255)
  world.write(shift_tracker(), {0: path})
  np.testing.assert_array_equal(world.read_masks()[3], _roll(labels, 3))


def test_mask_of_a_later_frame_is_propagated_both_ways(world, shift_tracker):
  given = world.draw({3: (4, 15)})
  world.write(shift_tracker(), {5: world.mask("5.png", given)})
  # The tracker shifts by a pixel per frame in both passes.
  for t, found in enumerate(world.read_masks()):
    np.testing.assert_array_equal(found, _roll(given, abs(t - 5)))
  assert [int(row["frame"]) for row in _table(world.out)] == list(range(12))


def test_later_masks_add_and_correct_objects(world, shift_tracker):
  first = world.draw({9: (2, 3), 4: (12, 3)})
  # On frame 5, object 9 is corrected, 6 is new, 4 is not given.
  later = world.draw({9: (2, 20), 6: (14, 20)})
  masks = {0: world.mask("0.png", first), 5: world.mask("5.png", later)}
  world.write(shift_tracker(), masks)
  found = world.read_masks()
  np.testing.assert_array_equal(found[4], _roll(first, 4))
  four = _roll(np.where(first == 4, first, 0), 5)
  expected = np.where(later > 0, later, four)
  for t in range(5, world.NUM_FRAMES):
    np.testing.assert_array_equal(found[t], _roll(expected, t - 5), f"{t}")


def test_broken_frames_are_skipped_and_named(
  world, first_mask, shift_tracker, unused_tracker
):
  (world.video / "f4.png").write_bytes(b"broken")
  cv2.imwrite(str(world.video / "f8.png"), np.zeros((9, 9, 3), np.uint8))
  problems = world.write(shift_tracker(), first_mask)
  assert len(problems) == 2
  assert problems[0].startswith(f"{world.video}/f4.png: cannot be decoded")
  assert problems[1].startswith(f"{world.video}/f8.png: size is 9x9")
  found = world.read_masks()
  assert [t for t, x in enumerate(found) if x is None] == [4, 8]
  labels = world.draw({3: (4, 5)})
  # The state skips the broken frames.
  np.testing.assert_array_equal(found[5], _roll(labels, 4))
  np.testing.assert_array_equal(found[11], _roll(labels, 9))
  assert len(_table(world.out)) == world.NUM_FRAMES - 2
  # A finished call reports them again.
  assert world.write(unused_tracker, first_mask) == problems


def test_unusable_masks_raise_one_sentence(world, first_mask, unused_tracker):
  good = world.draw({1: (4, 5)})
  soft = np.linspace(0, 255, good.size).reshape(world.SIZE).astype(np.uint8)
  soft[8:] = 255
  grey = world.root / "given" / "grey.png"
  cv2.imwrite(str(grey), soft)
  colour = world.root / "given" / "colour.png"
  cv2.imwrite(str(colour), np.zeros((*world.SIZE, 3), np.uint8))
  void = np.full(world.SIZE, images.VOID, np.uint8)
  first = first_mask[0]
  for masks, message in (
    ({}, "there is no mask"),
    ({0: world.root / "gone.png"}, "gone.png: mask is missing"),
    ({0: world.mask("e.png", 0 * good)}, "e.png: mask is empty"),
    ({0: world.mask("v.png", void)}, "v.png: most of the mask is void"),
    ({0: grey}, "grey.png: most of .* grey without soft edges"),
    ({0: colour}, "colour.png: mask has mode RGB"),
    ({0: world.mask("s.png", good[:, :20])}, "size is 20x24, expected 33x24"),
    ({12: first}, "is for frame 12, but .*video has frames 0 to 11"),
    ({-1: first}, "is for frame -1, but"),
  ):
    with pytest.raises(ValueError, match=message):
      world.write(unused_tracker, masks)
  (world.video / "f4.png").write_bytes(b"broken")
  for masks in ({4: first}, {0: first, 4: first}):
    with pytest.raises(images.DataError, match="f4.png.*mask of another frame"):
      world.write(unused_tracker, masks)
  assert not world.out.exists()
