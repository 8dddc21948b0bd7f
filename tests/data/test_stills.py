import cv2
import numpy as np
import pytest

from foregan_jax.data import demo, demo_stills, images, stills


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
  # The middle 20 columns of 40: the mask's edge lies in their middle.
  mask = val.mask(0)
  assert mask[:, :8].all() and not mask[:, 8:].any()


def test_lists_choose(tmp_path):
  for name in ("x", "y"):
    _write(tmp_path, name, (16, 16), _half((16, 16)))
  (tmp_path / "train.txt").write_text("y\n")
  assert stills.Stills(tmp_path, split="train", size=16).names == ("y",)
  (tmp_path / "val.txt").write_text("z\n")
  with pytest.raises(images.DataError, match="val.txt: lists z"):
    stills.Stills(tmp_path, split="val", size=16)


def test_cub_as_it_comes(tmp_path):
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


def test_broken_folders_are_named(tmp_path):
  with pytest.raises(images.DataError, match="no such folder of pictures"):
    stills.Stills(tmp_path, split="train", size=16)
  _write(tmp_path, "one", (16, 16), _half((16, 12)))
  with pytest.raises(images.DataError, match="'train' holds no picture"):
    stills.Stills(tmp_path, split="train", size=16)
  val = stills.Stills(tmp_path, split="val", size=16)
  with pytest.raises(images.DataError, match="segmentations/one.png"):
    val.mask(0)


def test_demo_pictures_show_objects(tmp_path, monkeypatch):
  small = demo.Recipe(
    train_videos=2, train_frames=2, val_videos=2, val_frames=4,
    train_stills=0, val_stills=0,
  )  # fmt: skip
  monkeypatch.setattr(demo, "RECIPE", small)
  demo.prepare(tmp_path / "videos", recipe=small, num_workers=1)
  monkeypatch.setattr(demo, "prepare", lambda root: root)
  root = demo_stills.prepare(tmp_path / "stills", tmp_path / "videos")
  train = stills.Stills(root, split="train", size=32, slack=4)
  val = stills.Stills(root, split="val", size=32)
  assert 4 < len(train) <= 16 and 1 < len(val) <= 4
  assert all(train.mask(i) is None for i in range(len(train)))
  for i in range(len(val)):
    assert 0.05 < val.mask(i).mean() < 0.9
  marker = (root / "finished").stat().st_mtime_ns
  demo_stills.prepare(tmp_path / "stills", tmp_path / "videos")
  assert (root / "finished").stat().st_mtime_ns == marker
