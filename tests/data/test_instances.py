"""Pictures with instance masks: windows, layouts, errors."""

import cv2
import numpy as np
import pytest

from foregan_jax.data import instance_folders, instances, pipeline
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


def _salient(root, tiny, name, value, pictures="", masks=""):
  """Write a picture with its number as blue, and a grey mask of a square."""
  mask = np.zeros((12, 16), np.uint8)
  mask[2:8, 3:9] = value
  mask[1] = value // 3  # a soft border
  _picture(root / pictures / f"{name}.jpg", mask.shape, int(name))
  tiny.write_mask(root / masks / f"{name}.png", mask, "L")


@pytest.mark.parametrize(
  ("pictures", "masks", "value"),
  [("", "", 255), ("Imgs", "Imgs", 1), ("images", "ground_truth_mask", 255)],
)
def test_salience_data_give_one_object(tmp_path, tiny, pictures, masks, value):
  for name in ("07", "200"):
    _salient(tmp_path, tiny, name, value, pictures, masks)
  source = instances.Instances(tmp_path, split="any", size=12)
  assert source.names == ("07", "200")
  labels = source[1]["labels"]
  assert np.unique(labels).tolist() == [0, 1] and labels.sum() == 36
  assert instance_folders.find_resolution(tmp_path, "480p") == ""
  (tmp_path / masks / "07.png").unlink()
  with pytest.raises(images.DataError, match="07.jpg: .*expected 07.png"):
    instances.Instances(tmp_path, split="any", size=12)


def test_salience_names_must_differ(tmp_path, tiny):
  for folder in ("a", "b"):
    _salient(tmp_path, tiny, "1", 255, folder, "masks")
  with pytest.raises(images.DataError, match="b/1.jpg: has the same name.*a/1"):
    instances.Instances(tmp_path, split="any", size=12)


@pytest.fixture
def roots(tmp_path, tiny):
  """A source of 4 pictures, blue 0, and two of objects, blue 80 and 160."""
  sources = []
  for blue, count in ((0, 4), (80, 1), (160, 3)):
    folder = tmp_path / str(blue)
    for k in range(count):
      _salient(folder, tiny, f"{blue + k}", 255)
    sources.append(instances.Instances(folder, split="any", size=8))
  return sources


@pytest.mark.parametrize(
  ("weights", "shares"),
  [((), (4 / 8, 1 / 8, 3 / 8)), ((1, 3, 0), (1 / 4, 3 / 4, 0))],
)
def test_mixture_has_the_shares_of_its_weights(roots, weights, shares):
  mixture = instances.Mixture(roots[0], roots[1:], weights)
  assert len(mixture) == 4
  counts = np.zeros(3)
  for i in range(400):
    sample = mixture.draw(i % 4, np.random.default_rng(i), 0)
    root = round(sample["image"][..., 2].mean() / 80)
    counts[root] += 1
    assert sample["cut_out"] == (root > 0)
    # The background is the picture of this index, so an epoch has each once.
    assert sample["background"][..., 2].mean() == pytest.approx(i % 4, abs=2)
    if not root:
      np.testing.assert_array_equal(sample["image"], sample["background"])
  np.testing.assert_allclose(counts / 400, shares, atol=0.07)


def test_several_sources_are_equally_frequent(roots):
  source = instances.Several(roots)
  assert len(source) == 8
  counts = np.zeros(3)
  for i in range(300):
    sample = source.draw(0, np.random.default_rng(i), 0)
    counts[round(sample["image"][..., 2].mean() / 80)] += 1
    again = source.draw(0, np.random.default_rng(i), 9)
    np.testing.assert_array_equal(sample["image"], again["image"])
  np.testing.assert_allclose(counts / 300, 1 / 3, atol=0.08)


def test_mixture_resumes_exactly(roots):
  make = lambda: pipeline.train_batches(
    instances.Mixture(roots[0], roots[1:]), global_batch=3, seed=0,
    process_index=0, process_count=1, num_threads=1, prefetch=1,
  )  # fmt: skip
  batches = make()
  before = [next(batches) for _ in range(3)]
  state, expected = batches.get_state(), next(batches)
  assert expected["cut_out"].shape == (3,)
  assert len({b["cut_out"].tobytes() for b in before}) > 1
  again = make()
  again.set_state(state)
  resumed = next(again)
  for name, values in expected.items():
    np.testing.assert_array_equal(resumed[name], values)


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
