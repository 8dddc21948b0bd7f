"""Pictures with instance masks: windows, layouts, errors."""

import cv2
import numpy as np
import pytest

from foregan_jax.data import instances
from foregan_jax.media import images


def _picture(path, size, seed=0):
  """Write a picture whose red channel is a ramp along x, green along y."""
  h, w = size
  y, x = np.mgrid[:h, :w]
  rgb = np.stack([x * 255 // w, y * 255 // h, np.full(size, seed)], -1)
  path.parent.mkdir(parents=True, exist_ok=True)
  cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint8))


def _voc(root, tiny, name, labels, split="train"):
  _picture(root / "JPEGImages" / f"{name}.jpg", labels.shape)
  tiny.write_mask(root / "SegmentationObject" / f"{name}.png", labels, "P")
  path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open("a") as f:
    f.write(f"{name}\n")


@pytest.fixture
def wide():
  """Labels with instances 1 and 3 at the right, and void around 3."""
  labels = np.zeros((20, 50), np.uint8)
  labels[4:10, 34:44] = 1
  labels[11:17, 38:46] = 255
  labels[12:16, 39:45] = 3
  return labels


def test_window_is_centred_on_the_objects(tmp_path, tiny, wide):
  _voc(tmp_path, tiny, "wide", wide)
  _voc(tmp_path, tiny, "tall.v2", wide.T.copy())
  source = instances.Instances(tmp_path, split="train", size=20)
  assert source.names == ("wide", "tall.v2") and len(source) == 2
  # The box has columns 34 to 44. Its centre is 39.5: the window starts at 30.
  for index, window in enumerate((wide[:, 30:50], wide.T[30:50])):
    sample = source[index]
    assert sample["image"].dtype == sample["labels"].dtype == np.uint8
    assert sample["image"].shape == (20, 20, 3)
    np.testing.assert_array_equal(sample["labels"][..., 0], window)
  # The picture has the same window.
  red = source[0]["image"][10, :, 0].astype(int)
  np.testing.assert_allclose(red, np.arange(30, 50) * 255 // 50, atol=6)


@pytest.mark.parametrize("size", [7, 20, 33])
def test_ids_never_mix(tmp_path, tiny, wide, size):
  _voc(tmp_path, tiny, "wide", wide)
  labels = instances.Instances(tmp_path, split="train", size=size)[0]["labels"]
  assert labels.shape == (size, size, 1)
  assert set(np.unique(labels)) <= {0, 1, 3, 255}
  share = (labels == 1).mean()
  assert share == pytest.approx((wide[:, 30:] == 1).mean(), abs=0.05)


def test_without_objects_the_window_is_central(tmp_path, tiny):
  _voc(tmp_path, tiny, "nothing", np.zeros((10, 30), np.uint8))
  sample = instances.Instances(tmp_path, split="train", size=10)[0]
  assert not sample["labels"].any()
  np.testing.assert_allclose(sample["image"][5, 0, 0], 85, atol=6)


def test_devkit_gives_all_years(tmp_path, tiny, wide):
  for year in ("VOC2007", "VOC2012"):
    _voc(tmp_path / year, tiny, "one", wide)
  source = instances.Instances(tmp_path, split="train", size=8)
  assert source.names == ("VOC2007/one", "VOC2012/one")
  with pytest.raises(images.DataError, match="VOC2007/.*/val.txt: file is mi"):
    instances.Instances(tmp_path, split="val", size=8)


def test_davis_gives_first_frames(tiny_root, tiny):
  source = instances.Instances(tiny_root, split="train", size=12)
  assert source.names == ("ant", "cicada")  # list of 2017: it has ids
  assert set(np.unique(source[0]["labels"])) == {0, 1, 2}
  for path in (tiny_root / "ImageSets").glob("*/*.txt"):
    path.unlink()
  with pytest.raises(images.DataError, match="list of split 'train'"):
    instances.Instances(tiny_root, split="train", size=12)
  for folder in ("2017", "2016", ""):
    (tiny_root / "ImageSets" / folder).rmdir()
  everything = instances.Instances(tiny_root, split="train", size=12)
  assert everything.names == ("ant", "bee", "cicada")


def test_errors_name_the_file(tmp_path, tiny, wide):
  with pytest.raises(images.DataError, match="no folder JPEGImages"):
    instances.Instances(tmp_path, split="train", size=8)
  _voc(tmp_path, tiny, "one", wide)
  mask = tmp_path / "SegmentationObject" / "one.png"
  tiny.write_mask(mask, wide[:, 1:], "P")
  source = instances.Instances(tmp_path, split="train", size=8)
  with pytest.raises(images.DataError, match="one.png: size is 49x20"):
    source[0]
  mask.unlink()
  with pytest.raises(
    images.DataError, match="SegmentationObject/one.*: file is"
  ):
    instances.Instances(tmp_path, split="train", size=8)
  (tmp_path / "ImageSets/Segmentation/train.txt").write_text("")
  with pytest.raises(images.DataError, match="train.txt: file is empty"):
    instances.Instances(tmp_path, split="train", size=8)


@pytest.mark.parametrize(
  ("folder", "count"), [("VOCdevkit", 17), ("DAVIS_testdev_first", 20)]
)
def test_real_data(shared_data, folder, count):
  source = instances.Instances(shared_data / folder, split="train", size=128)
  assert len(source) == count
  covered = []
  for i in range(count):
    sample = source[i]
    assert sample["image"].shape == (128, 128, 3)
    labels = sample["labels"]
    covered.append(((labels > 0) & (labels < 255)).mean())
  assert min(covered) > 0.001 and 0.05 < np.mean(covered) < 0.6
