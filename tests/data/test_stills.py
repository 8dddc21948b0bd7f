"""Pictures of one object: layouts, lists, masks, classes, errors."""

import os
import shutil

import cv2
import numpy as np
import pytest

from foregan_jax.data import check, stills
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render
from foregan_jax.media import images, pictures


def _write(root, name, size, mask=None, ending=".png"):
  rng = np.random.default_rng(len(name))
  path = root / "images" / f"{name}{ending}"
  path.parent.mkdir(parents=True, exist_ok=True)
  cv2.imwrite(str(path), rng.integers(0, 255, (*size, 3), np.uint8))
  if mask is not None:
    path = root / "segmentations" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask)


def _half(size):
  mask = np.zeros(size, np.uint8)
  mask[:, : size[1] // 2] = 255
  return mask


def test_pictures_with_masks_are_val_and_the_others_train(tmp_path):
  _write(tmp_path, "a/one", (20, 30))
  _write(tmp_path, "a/two.v2", (30, 20), ending=".jpg")
  _write(tmp_path, "b/three", (20, 40), _half((20, 40)))
  train = stills.Stills(tmp_path, split="train", size=16, slack=4)
  assert train.names == ("a/one", "a/two.v2")
  assert train[1]["image"].shape == (20, 20, 3)
  assert train.picture(1).shape == (16, 16, 3)
  assert train.mask(0) is None
  val = stills.Stills(tmp_path, split="val", size=16)
  assert val.names == ("b/three",)
  # Crop columns 10..30 of 40: the mask ends in the centre.
  mask = val.mask(0)
  assert mask[:, :8].all() and not mask[:, 8:].any()


@pytest.mark.parametrize("axis", [0, 1])
def test_training_pictures_are_random_squares_of_the_longer_side(
  axis, tmp_path
):
  ramp = np.broadcast_to(np.arange(50, dtype=np.uint8), (20, 50))
  ramp = np.moveaxis(ramp, 1, axis)
  (tmp_path / "images").mkdir()
  cv2.imwrite(str(tmp_path / "images" / "a.png"), ramp)
  source = stills.Stills(tmp_path, split="train", size=16, slack=4)
  draw = lambda seed: source.draw(0, np.random.default_rng(seed), 0)["image"]
  starts = set()
  for seed in range(300):
    line = np.moveaxis(draw(seed), axis, 0)[:, 0, 0].astype(int)
    np.testing.assert_array_equal(line, line[0] + np.arange(20))
    starts.add(line[0])
  assert starts == set(range(31))  # every window, the ends included
  np.testing.assert_array_equal(draw(5), draw(5))
  # The test protocol: the shorter side is resized, the centre is cropped.
  centre = np.moveaxis(source.picture(0), axis, 0)[:, 0, 0]
  assert centre[0] == 15 and centre[-1] == 34


def test_lists_select_the_pictures(tmp_path):
  for name in ("x", "y"):
    _write(tmp_path, name, (16, 16), _half((16, 16)))
  (tmp_path / "train.txt").write_text("y\n")
  assert stills.Stills(tmp_path, split="train", size=16).names == ("y",)
  (tmp_path / "val.txt").write_text("z\n")
  with pytest.raises(images.DataError, match="val.txt: lists z"):
    stills.Stills(tmp_path, split="val", size=16)


def test_cub_layout(tmp_path):
  for name in ("001.Albatross/a_1", "002.Auk/b_2"):
    votes = _half((16, 16)) // 5 * 3  # three of five annotators
    _write(tmp_path, name, (16, 16), votes, ending=".jpg")
  (tmp_path / "images.txt").write_text(
    "1 001.Albatross/a_1.jpg\n2 002.Auk/b_2.jpg\n"
  )
  (tmp_path / "train_test_split.txt").write_text("1 1\n2 0\n")
  val = stills.Stills(tmp_path, split="val", size=16)
  assert val.names == ("002.Auk/b_2",)
  assert val.mask(0).mean() == 0.5


def test_errors_name_the_file_or_split(tmp_path):
  with pytest.raises(images.DataError, match="holds neither a folder"):
    stills.Stills(tmp_path, split="train", size=16)
  _write(tmp_path, "one", (16, 16), _half((16, 12)))
  with pytest.raises(images.DataError, match="'train' holds no picture"):
    stills.Stills(tmp_path, split="train", size=16)
  val = stills.Stills(tmp_path, split="val", size=16)
  with pytest.raises(images.DataError, match="segmentations/one.png"):
    val.mask(0)


def test_voc_layout_with_classes(tmp_path):
  root = tmp_path / "VOCdevkit" / "X"
  for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
    (root / folder).mkdir(parents=True)
  cv2.imwrite(str(root / "JPEGImages/a.jpg"), np.zeros((16, 16, 3), np.uint8))
  objects = np.zeros((16, 16), np.uint8)
  objects[:8] = 2
  objects[8] = images.VOID
  pictures.save_labels(root / "SegmentationObject/a.png", objects)
  classes = np.where(objects == 2, np.uint8(7), objects)
  pictures.save_labels(root / "SegmentationClass/a.png", classes)
  lists = root / "ImageSets/Segmentation"
  lists.mkdir(parents=True)
  (lists / "val.txt").write_text("a\n")
  val = stills.Stills(root, split="val", size=16)
  np.testing.assert_array_equal(val.mask(0), objects == 2)
  assert val.class_name(0) == "7"
  with pytest.raises(images.DataError, match="no list of split 'train'"):
    stills.Stills(root, split="train", size=16)


def test_demo_singles_have_one_object_and_known_classes(tmp_path):
  recipe = render.Recipe(
    train_videos=0, val_videos=0, train_stills=0, val_stills=0,
    train_singles=7, val_singles=5, new_singles=5,
  )  # fmt: skip
  root = demo_dataset.prepare(tmp_path, recipe=recipe, num_workers=1)
  root = root / render.SINGLES
  assert not check.check(root)
  classes = {}
  for split, count in (("train", 7), ("val", 5), ("new", 5)):
    source = stills.Stills(root, split=split, size=32, slack=4)
    assert len(source) == count
    assert all(0.03 < source.mask(i).mean() < 0.8 for i in range(count))
    classes[split] = {source.class_name(i) for i in range(count)}
  # Five classes each: val has those of train, new has others.
  assert classes["train"] == classes["val"] == set("12345")
  assert classes["new"] == {"6", "7", "8", "9", "10"}


@pytest.mark.parametrize(
  "name, content, message",
  [
    ("images.txt", "1 a/x.jpg y\n", "images.txt: line 1 is '1 a/x.jpg y'"),
    ("images.txt", "\n1\n", "images.txt: line 2 is '1', expected a new number"),
    ("images.txt", "1 a/x.jpg\n1 a/y.jpg\n", "images.txt: line 2 is"),
    ("images.txt", "3 a/x.jpg\n", "split.txt: lacks picture 3"),
    ("images.txt", "1 a/z.jpg\n", "images.txt: lists a/z, which is not in"),
    ("train_test_split.txt", "", "split.txt: file is empty"),
    ("train_test_split.txt", "1 yes\n2 0\n", "picture 1 has 'yes', expected 1"),
    ("train_test_split.txt", "1,1\n2,0\n", "split.txt: line 1 is '1,1'"),
    ("train_test_split.txt", "\xff", "split.txt: is not text in UTF-8"),
    ("train.txt", "\xe4\n", "train.txt: is not text in UTF-8"),
  ],
)
def test_malformed_tables_are_named(tmp_path, name, content, message):
  for picture in ("a/x", "a/y"):
    _write(tmp_path, picture, (16, 16), ending=".jpg")
  (tmp_path / "images.txt").write_text("1 a/x.jpg\n2 a/y.jpg\n")
  (tmp_path / "train_test_split.txt").write_text("1 1\n2 0\n")
  assert stills.Stills(tmp_path, split="train", size=16).names == ("a/x",)
  (tmp_path / name).write_bytes(content.encode("latin-1"))
  with pytest.raises(images.DataError, match=message):
    stills.Stills(tmp_path, split="train", size=16)


def test_names_that_are_not_utf8_are_refused(tmp_path):
  _write(tmp_path, "x", (16, 16))
  odd = os.path.join(os.fsencode(tmp_path), b"images/\xff.png")
  shutil.copy(tmp_path / "images" / "x.png", odd)
  with pytest.raises(
    images.DataError, match="images: '.udcff' is not the name"
  ):
    stills.Stills(tmp_path, split="train", size=16)
