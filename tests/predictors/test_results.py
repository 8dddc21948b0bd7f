"""The table of confidences, and files that must not be replaced."""

import csv
import os

import cv2
import numpy as np
import pytest

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import pictures
from foregan_jax.predictors import propagate


def _table(out):
  with open(out / "confidence.csv", newline="") as file:
    return list(csv.DictReader(file))


def test_table_has_confidence_and_area_of_each_object(world, shift_tracker):
  first = world.draw({7: (2, 3)})
  later = world.draw({2: (12, 4)})
  masks = {0: world.mask("0.png", first), 6: world.mask("6.png", later)}
  world.write(shift_tracker(), masks)
  rows = _table(world.out)
  assert [row["frame"] for row in rows] == [
    str(i) for i in range(world.NUM_FRAMES)
  ]
  assert [row["name"] for row in rows] == [
    f"f{i}" for i in range(world.NUM_FRAMES)
  ]
  given, fifth, sixth, seventh = rows[0], rows[5], rows[6], rows[7]
  area = f"{64 / (24 * 33):.6f}"
  assert given == {
    "frame": "0", "name": "f0", "confidence": "1.0000",
    "confidence_7": "1.0000", "area_7": area,
    "confidence_2": "", "area_2": "0.000000",
  }  # fmt: skip
  assert 0.6 < float(fifth["confidence_7"]) < 1
  assert fifth["confidence"] == fifth["confidence_7"]
  # One of two equal objects is given, the other one is predicted.
  assert (sixth["confidence_2"], sixth["area_2"]) == ("1.0000", area)
  mean = (1 + float(sixth["confidence_7"])) / 2
  assert float(sixth["confidence"]) == pytest.approx(mean, abs=1e-4)
  assert float(seventh["confidence_2"]) < 1


def test_frame_without_objects_has_no_confidence(
  world, first_mask, shift_tracker
):
  class EmptyMasks(shift_tracker):
    def step(self, state, frame):
      state, soft = super().step(state, frame)
      soft[0], soft[1:] = 1, 0
      return state, soft

  world.write(EmptyMasks(), first_mask)
  assert not world.read_masks()[1].any()
  row = _table(world.out)[1]
  assert (row["confidence"], row["confidence_3"]) == ("", "")
  assert row["area_3"] == "0.000000"


def test_foreign_files_are_not_replaced(world, first_mask, unused_tracker):
  foreign = world.out / "masks" / "f0.png"
  pictures.save_labels(foreign, world.draw({1: (4, 5)}))
  before = foreign.read_bytes()
  with pytest.raises(ValueError, match="masks exists already.*another --out"):
    world.write(unused_tracker, first_mask)
  with pytest.raises(ValueError, match="f0.png lies where results"):
    world.write(unused_tracker, {0: foreign})
  # Also deeper below.
  deep = world.out / "masks" / "a" / "m.png"
  pictures.save_labels(deep, world.draw({1: (4, 5)}))
  with pytest.raises(ValueError, match="m.png lies where results"):
    world.write(unused_tracker, {0: deep})
  with pytest.raises(ValueError, match="out/masks lies where results"):
    pictures.save_png(
      foreign.with_name("f1.png"), np.zeros((24, 33, 3), np.uint8)
    )
    propagate.write(
      unused_tracker,
      footage=footage_lib.Footage(foreign.parent),
      masks=first_mask,
      out=world.out,
      description="",
    )
  assert foreign.read_bytes() == before
  assert not (world.out / propagate.SNAPSHOT_NAME).exists()


@pytest.fixture
def finished(world, first_mask, shift_tracker):
  """Return the bytes of all results of a call."""
  world.write(shift_tracker(), first_mask)
  return world.contents()


def test_damaged_snapshot_is_no_licence_to_delete(
  world, first_mask, finished, unused_tracker
):
  (world.out / propagate.SNAPSHOT_NAME).write_bytes(b"junk")
  with pytest.raises(ValueError, match="resume.npz is damaged.*another --out"):
    world.write(unused_tracker, first_mask)
  left = world.contents()
  assert left.pop("resume.npz") == b"junk"
  assert left == {k: v for k, v in finished.items() if k != "resume.npz"}


@pytest.mark.parametrize("entry", ["notes.txt", "deeper/f0.png"])
def test_folder_with_other_files_is_not_replaced(
  world, first_mask, finished, unused_tracker, entry
):
  foreign = world.out / "masks" / entry
  foreign.parent.mkdir(exist_ok=True)
  foreign.write_bytes(b"mine")
  with pytest.raises(ValueError, match="would be removed, but is not"):
    world.write(unused_tracker, first_mask, description="another")
  assert world.contents() == finished | {f"masks/{entry}": b"mine"}


def test_folder_that_replaced_ours_is_not_removed(
  world, first_mask, finished, unused_tracker
):
  """The snapshot names `masks`, but the user has put another one there."""
  (world.out / "masks").rename(world.root / "moved")
  pictures.save_labels(world.out / "masks" / "f0.png", world.draw({1: (4, 5)}))
  mine = (world.out / "masks" / "f0.png").read_bytes()
  with pytest.raises(ValueError, match="has no file .foregan_jax"):
    world.write(unused_tracker, first_mask, description="another")
  assert (world.out / "masks" / "f0.png").read_bytes() == mine


@pytest.mark.parametrize("name", ["masks", "confidence.csv", "overlay.webp"])
def test_nothing_is_written_through_a_link(
  world, first_mask, unused_tracker, name
):
  target = world.root / "precious"
  target.mkdir() if name == "masks" else target.write_bytes(b"mine")
  world.out.mkdir()
  (world.out / name).symlink_to(target)
  with pytest.raises(ValueError, match=f"{name} is a symbolic link"):
    world.write(unused_tracker, first_mask)
  assert list(world.out.iterdir()) == [world.out / name]


def test_truncated_mask_is_made_again(
  world, first_mask, finished, shift_tracker
):
  path = world.out / "masks" / "f5.png"
  path.write_bytes(path.read_bytes()[:-20])
  world.write(shift_tracker(), first_mask)
  assert world.contents() == finished


def test_soft_mask_is_refused_with_a_hint(world, unused_tracker):
  ramp = np.arange(24 * 33, dtype=np.uint8).reshape(24, 33) % 200
  cv2.imwrite(str(world.root / "soft.png"), ramp)
  with pytest.raises(ValueError, match="soft.png: .*199 distinct.*above 127"):
    world.write(unused_tracker, {0: world.root / "soft.png"})


@pytest.mark.parametrize(
  "table", [b"frame,name\nx,f0\n", b"\xff\xfe", b"frame\n\n", b"\n"]
)
def test_damaged_table_is_named(
  world, first_mask, finished, unused_tracker, table
):
  path = world.out / "confidence.csv"
  path.write_bytes(table.ljust(path.stat().st_size, b"\n"))
  with pytest.raises(ValueError, match="confidence.csv is damaged .*remove it"):
    world.write(unused_tracker, first_mask)


@pytest.mark.parametrize("name", ["confidence.csv", "masks/f5.png"])
def test_pipe_among_results_is_refused(
  world, first_mask, finished, unused_tracker, name
):
  (world.out / name).unlink()
  os.mkfifo(world.out / name)
  with pytest.raises(
    ValueError, match=f"{name} (is not a file|would be remov)"
  ):
    world.write(unused_tracker, first_mask)
