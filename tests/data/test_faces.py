"""Faces: layouts, masks, emotions, the filter, pairs, and checks."""

import json
import pathlib

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import (
  check,
  face_filter,
  face_folders,
  face_labels,
  faces,
  fake,
  sources,
)
from foregan_jax.media import images
from foregan_jax.runtime import base_config

_EYES, _BROWS, _MOUTH, _LIPS = (slice(i, i + 1) for i in range(4))
# Columns of a quarter of a face of 40 x 40 pixels, by part.
_CLASSES = {"l_eye": 4, "r_brow": 7, "mouth": 10, "u_lip": 11}


def _labels(numbers=(4, 7, 10, 11), size=(40, 40)):
  """Return a label map whose four quarters of columns have these numbers."""
  return np.repeat(np.repeat(np.uint8([numbers]), size[1] // 4, 1), size[0], 0)


def _write_picture(path, size=(40, 40), level=128):
  path.parent.mkdir(parents=True, exist_ok=True)
  picture = np.full((*size, 3), level, np.uint8)
  picture[:, : size[1] // 2] //= 2
  assert cv2.imwrite(str(path), picture)


def _write_labels(path, labels):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(labels)
  image.putpalette(list(range(256)) * 3)
  image.save(path)


def _write_list(root, split, names):
  path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("\n".join(names))


def _write_faces(root, emotions, split="train"):
  """Write label maps with CelebAMask-HQ's classes; names are a, b, ..."""
  names = [chr(ord("a") + i) for i in range(len(emotions))]
  for i, name in enumerate(names):
    _write_picture(root / "JPEGImages" / f"{name}.png", level=10 + 2 * i)
    _write_labels(root / "SegmentationClass" / f"{name}.png", _labels())
  rows = [f"{n}.png,{e}" for n, e in zip(names, emotions, strict=True)]
  (root / "labels.csv").write_text("\n".join(["file,emotion", *rows]))
  _write_list(root, split, names)


def _shares(parts):
  """Return the covered share of the columns of each part, in quarters."""
  return (parts == 255).all(0).reshape(4, -1, 4).all(1).T.astype(int)


def test_label_maps_have_the_classes_of_celebamask(tmp_path):
  _write_faces(tmp_path, ["neutral", "happy", "", "Contempt"])
  source = faces.Faces(tmp_path, split="train", size=40)
  assert source.names == ("a", "b", "c", "d") and source.has_parts
  assert source.labels == (6, 3, -1, -1)
  face = source.face(1)
  np.testing.assert_array_equal(_shares(face["parts"]), np.eye(4))
  assert (face["label"], face["name"]) == (3, "b")
  np.testing.assert_array_equal(face["image"], source.picture(1))
  happy = faces.Faces(tmp_path, split="train", size=20, emotion="happiness")
  assert happy.names == ("b",) and happy.face(0)["image"].shape == (20, 20, 3)


def test_classes_may_be_named_in_a_file_or_by_a_set(tmp_path):
  _write_faces(tmp_path, [""])
  path = tmp_path / "SegmentationClass" / "a.png"
  _write_labels(path, _labels((4, 5, 3, 0)))  # FASSEG: eyes, mouth, nose
  source = faces.Faces(tmp_path, split="train", size=40, classes="fasseg")
  want = np.zeros((4, 4))
  want[0, 0] = want[3, 1] = 1  # its mouth counts as lips; there are no brows
  np.testing.assert_array_equal(_shares(source.face(0)["parts"]), want)
  numbers = {"eyebrows": 4, "mouth": 5, "lips": 3, "eyes": 9}
  (tmp_path / "classes.json").write_text(json.dumps(numbers))
  source = faces.Faces(tmp_path, split="train", size=40)
  want = np.zeros((4, 4))
  want[1, 0] = want[2, 1] = want[3, 2] = 1
  np.testing.assert_array_equal(_shares(source.face(0)["parts"]), want)
  with pytest.raises(ValueError, match="'voc', but must be one of celebamask"):
    faces.Faces(tmp_path, split="train", size=40, classes="voc")


def test_celebamask_hq_has_one_file_per_class(tmp_path):
  for number in range(3):
    _write_picture(tmp_path / "CelebA-HQ-img" / f"{number}.jpg", (80, 80))
  folder = tmp_path / "CelebAMask-HQ-mask-anno" / "0"
  folder.mkdir(parents=True)
  for name, number in {**_CLASSES, "hair": 13, "l_lip": 7}.items():
    mask = (_labels() == number).astype(np.uint8) * 255
    cv2.imwrite(str(folder / f"00002_{name}.png"), mask)
  _write_list(tmp_path, "train", ["2"])
  source = faces.Faces(tmp_path, split="train", size=40)
  want = np.eye(4)
  want[3, 1] = 1  # the lower lip
  np.testing.assert_array_equal(_shares(source.face(0)["parts"]), want)
  _write_list(tmp_path, "train", ["2", "0"])
  with pytest.raises(images.DataError, match="0.jpg: face has no mask"):
    faces.Faces(tmp_path, split="train", size=40)
  some = faces.Faces(tmp_path, split="train", size=40, need_parts=False)
  assert not some.has_parts and some.face(1)["parts"] is None
  assert some.face(0)["parts"] is not None


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_archives_have_soft_masks_by_name(kind, tmp_path):
  _write_picture(tmp_path / "JPEGImages" / "x" / "a.jpg")
  (tmp_path / "Parts" / "x").mkdir(parents=True)
  parts = np.zeros((40, 40, 2), kind)
  parts[..., 0] = 204 if kind == np.uint8 else 0.8
  path = tmp_path / "Parts" / "x" / "a.npz"
  np.savez(path, parts=parts, names=["lips", "eyes"])
  _write_list(tmp_path, "val", ["x/a"])
  face = faces.Faces(tmp_path, split="val", size=20).face(0)
  np.testing.assert_array_equal(face["parts"][..., _LIPS], 204)
  assert not face["parts"][..., : _LIPS.start].any()
  np.savez(path, parts=parts, names=["lips"])
  with pytest.raises(images.DataError, match=r"a.npz: .*\(40, 40, 2\)"):
    faces.Faces(tmp_path, split="val", size=20).face(0)
  path.write_bytes(b"PK")
  with pytest.raises(images.DataError, match="a.npz: expected an archive"):
    faces.Faces(tmp_path, split="val", size=20).face(0)


def _write_fer(root, lines):
  header = "emotion,pixels,Usage"
  (root / "fer2013.csv").write_text("\n".join([header, *lines, ""]))


def test_fer2013_is_a_table(tmp_path):
  ramp = " ".join(str(i % 256) for i in range(48 * 48))
  flat = " ".join(["7"] * 48 * 48)
  _write_fer(
    tmp_path,
    [f"3,{flat},Training", f"6,{ramp},PublicTest", f"0,{ramp},Training"],
  )
  train = faces.Faces(tmp_path, split="train", size=48, need_parts=False)
  assert train.labels == (3, 0) and train.names == ("000002", "000004")
  want = np.arange(48 * 48).reshape(48, 48) % 256
  np.testing.assert_array_equal(train.picture(1)[..., 2], want)
  assert train.face(0)["parts"] is None and (train.picture(0) == 7).all()
  assert faces.Faces(
    tmp_path, split="val", size=48, need_parts=False
  ).labels == (6,)
  with pytest.raises(images.DataError, match="has no mask"):
    faces.Faces(tmp_path, split="train", size=48)
  assert not check.check(tmp_path)
  _write_fer(tmp_path, [f"3,{flat[2:]},Training", f"9,{flat},Training"])
  with pytest.raises(images.DataError, match="line 3 begins with b'9,7"):
    faces.Faces(tmp_path, split="train", size=48, need_parts=False)
  _write_fer(tmp_path, [f"3,{flat[2:]},Training"])
  problems = check.check(tmp_path)
  assert any("line 2 has not 2304" in p.reason for p in problems)


def test_folders_may_be_emotions(tmp_path):
  for split in ("train", "val"):
    for name in ("happy/x", "Angry/x", "other/y"):
      _write_picture(tmp_path / split / f"{name}.jpg")
  source = faces.Faces(tmp_path, split="val", size=16, need_parts=False)
  found = dict(zip(source.names, source.labels, strict=True))
  assert found == {"happy/x": 3, "Angry/x": 0, "other/y": -1}


def test_faces_without_lists_are_split_by_name(tmp_path):
  for i in range(60):
    _write_picture(tmp_path / "JPEGImages" / f"{i:03d}.png", (8, 8))
  read = lambda split: faces.Faces(
    tmp_path, split=split, size=8, need_parts=False
  )
  train, val = set(read("train").names), set(read("val").names)
  assert len(train | val) == 60 and not train & val
  assert 1 <= len(val) <= 15


def test_a_face_is_padded_and_never_stretched(tmp_path):
  _write_picture(tmp_path / "JPEGImages" / "a.png", (40, 20), level=200)
  # The masks have half of the picture's size.
  labels = np.zeros((20, 10), np.uint8)
  labels[5:15, 5:] = 4
  _write_labels(tmp_path / "SegmentationClass" / "a.png", labels)
  _write_list(tmp_path, "train", ["a"])
  face = faces.Faces(tmp_path, split="train", size=20).face(0)
  row = face["image"][0, :, 0]
  assert (row[:10] == 100).all() and (row[10:] == 200).all()  # its border
  want = np.zeros((20, 20))
  want[5:15, 10:15] = 255
  np.testing.assert_array_equal(face["parts"][..., 0], want)
  assert faces.margins((40, 20)) == (0, 10)
  _write_picture(tmp_path / "JPEGImages" / "a.png", (40, 30))
  with pytest.raises(images.DataError, match="30x40 has masks of 10x20"):
    faces.Faces(tmp_path, split="train", size=20).face(0)


def test_small_pieces_of_the_mouth_are_removed():
  parts = np.zeros((128, 128, 4), np.uint8)
  parts[60:70, 20:90, _LIPS] = 255
  parts[70:75, 30:80, _MOUTH] = 255
  parts[75, 80, _LIPS] = 255  # touches the mouth at a corner
  parts[10:15, 10:15, _LIPS] = 255  # 25 pixels: 100 at 256 x 256
  parts[100:102, 10:23, _MOUTH] = 255  # 26 pixels
  parts[20:22, 100:102, _EYES] = 255
  want = parts.copy()
  want[10:15, 10:15] = 0
  np.testing.assert_array_equal(faces.clean(parts), want)


@pytest.fixture
def pair_root(tmp_path):
  """Three neutral and four happy faces; a happy one has no eyes."""
  _write_faces(tmp_path, 3 * ["neutral"] + 4 * ["happiness"] + ["anger"])
  path = tmp_path / "SegmentationClass" / "e.png"
  _write_labels(path, _labels((0, 7, 10, 11)))
  return tmp_path


def _config(root, samples):
  config = base_config.base()
  base_config.add_faces(config)
  config.data.samples, config.data.root = samples, str(root)
  config.data.face_size = 40
  return config


def test_pairs_are_of_two_emotions_and_not_aligned(pair_root):
  source = sources.training(_config(pair_root, "face_pairs"), pair_root, {})
  assert source.source.names == ("a", "b", "c")
  assert source.target.names == ("d", "f", "g")  # e is filtered out
  assert len(source) == 3
  level = lambda sample, side: int(sample[side]["image"].max()) // 2 - 5
  seen = set()
  for index in range(3):
    for seed in range(12):
      sample = source.draw(index, np.random.default_rng(seed), 0)
      assert level(sample, "a") == index
      seen.add((index, level(sample, "b")))
      np.testing.assert_array_equal(_shares(sample["b"]["parts"]), np.eye(4))
  assert seen == {(a, b) for a in range(3) for b in (3, 5, 6)}
  np.testing.assert_array_equal(
    source[1]["b"]["image"], source[1]["b"]["image"]
  )


@pytest.mark.parametrize("size", [20, 64, 256])
def test_the_same_faces_pass_at_any_size(size, tmp_path):
  _write_faces(tmp_path, ["neutral", "neutral"])
  for name, shape in (("a", (3, 3)), ("b", (4, 1))):
    labels = _labels((0, 7, 10, 11))
    labels[: shape[0], : shape[1]] = 4  # b: at most 4 * 41 pixels at 256 x 256
    _write_labels(tmp_path / "SegmentationClass" / f"{name}.png", labels)
  required = ("eyes", "lips")
  source = faces.Faces(tmp_path, split="train", size=size, required=required)
  assert source.names == ("a",)


def test_pairs_name_the_emotion_that_is_missing(pair_root):
  config = _config(pair_root, "face_pairs")
  config.data.target = "fear"
  with pytest.raises(images.DataError, match="holds no face with fear"):
    sources.training(config, pair_root, {})
  config.data.target = "joy"
  with pytest.raises(ValueError, match="'joy' is none of anger"):
    sources.training(config, pair_root, {})


def test_streams_join_parts_and_emotions(pair_root, tmp_path_factory):
  labelled = tmp_path_factory.mktemp("labelled")
  for name in ("happy/x", "other/y"):
    _write_picture(labelled / "train" / f"{name}.jpg")
  config = _config(pair_root, "faces")
  config.data.labelled_root = str(labelled)
  source = sources.training(config, pair_root, {})
  assert len(source) == 8
  sample = source.draw(9, np.random.default_rng(0), 0)
  assert sample["faces"]["parts"].shape == (40, 40, 4)
  assert sample["faces"]["image"].max() == 12
  assert sample["labelled"]["label"] == 3  # unknown emotions are left out
  assert sample["labelled"]["label"].dtype == np.uint8
  assert "parts" not in sample["labelled"]


def test_fake_faces_pass_the_filter_and_differ_by_emotion():
  config = _config("", "face_pairs")
  config.data.kind, config.data.face_size = "fake", 64
  pairs = sources.evaluation(config, pathlib.Path())
  required = ("eyes", "brows", "lips")
  for domain in (pairs.source, pairs.target):
    assert isinstance(domain, fake.FakeFaces)
    face = domain.face(2)
    assert face_filter.filter_parts(face["parts"], faces.PARTS, required)[0]
    np.testing.assert_array_equal(face["image"], domain.face(2)["image"])
  a, b = (d.image(0).astype(int) for d in (pairs.source, pairs.target))
  assert np.abs(a - b).mean() > 1


@pytest.mark.parametrize(
  "content, message",
  [
    ("file,mood\na.png,neutral", "columns file and emotion"),
    ("file,emotion\na.png,calm", "line 2 has file 'a.png' and emotion 'calm'"),
    ("file,emotion\na.png,sad\na.png,sad", "line 3 has file 'a.png'"),
    ("file,emotion\na.png,calm\r", "line 2 has file 'a.png'"),
    ("file,emotion\r" + 150_000 * "a" + ",sad", "cannot be read as CSV"),
  ],
)
def test_broken_tables_are_named(content, message, tmp_path):
  _write_faces(tmp_path, ["neutral"])
  (tmp_path / "labels.csv").write_text(content)
  with pytest.raises(images.DataError, match=f"labels.csv: .*{message}"):
    faces.Faces(tmp_path, split="train", size=8)


def test_table_of_emotions_may_have_any_line_ends(tmp_path):
  path = tmp_path / "labels.csv"
  for end in ("\n", "\r\n", "\r"):
    path.write_bytes(f"file,emotion{end}a.png,sad{end}b.png,{end}".encode())
    assert list(face_labels.read_table(path)) == ["a.png", "b.png"]


@pytest.mark.parametrize(
  "content, message",
  [
    ("{", "is not JSON"),
    ('{"eyes": "4"}', "names and numbers"),
    ('{"nose": 2}', "names no part"),
  ],
)
def test_broken_classes_are_named(content, message, tmp_path):
  _write_faces(tmp_path, ["neutral"])
  (tmp_path / "classes.json").write_text(content)
  with pytest.raises(images.DataError, match=f"classes.json: .*{message}"):
    faces.Faces(tmp_path, split="train", size=8)


def test_missing_faces_are_named(tmp_path):
  with pytest.raises(images.DataError, match="holds no faces, expected"):
    face_folders.open_reader(tmp_path, "train")
  _write_faces(tmp_path, ["neutral"])
  _write_list(tmp_path, "train", ["a", "z"])
  with pytest.raises(images.DataError, match="train.txt: lists z"):
    face_folders.open_reader(tmp_path, "train")
  with pytest.raises(images.DataError, match="val.txt: file is missing"):
    face_folders.open_reader(tmp_path, "val")


def test_check_lists_every_problem(tmp_path):
  _write_faces(tmp_path, ["neutral", "anger", "", "", ""])
  assert not check.check(tmp_path)
  masks, pictures = tmp_path / "SegmentationClass", tmp_path / "JPEGImages"
  (masks / "a.png").unlink()
  _write_labels(masks / "b.png", _labels(size=(40, 20)))
  _write_labels(masks / "c.png", _labels((1, 2, 3, 0)))
  (pictures / "d.png").write_bytes(b"no picture")
  (masks / "z.png").write_bytes((masks / "e.png").read_bytes())
  with open(tmp_path / "labels.csv", "a") as file:
    file.write("\ny.png,anger")
  _write_list(tmp_path, "val", ["x"])
  found = {p.path.name: p.reason for p in check.check(tmp_path)}
  expected = {
    "a.png": "face has no mask",
    "b.png": "another aspect ratio",
    "c.png": "shows no eyes",
    "d.png": "cannot be decoded",
    "z.png": "mask has no picture",
    "labels.csv": "emotion of y.png",
    "val.txt": "lists x",
  }
  assert found.keys() == expected.keys()
  for name, reason in expected.items():
    assert reason in found[name]
