"""The verbs of `predict` for faces, with stand-ins for the runs."""

import csv
import pathlib
import re
import types

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax import game, models, predict, runs
from foregan_jax.data import face_folders, face_labels, faces
from foregan_jax.media import images, pictures, video_files
from tests import commands, face_puppets

_SIZE = (64, 48)
# Row, column, height and width of each part of a good face.
_PLACES = {
  "eyes": (20, 8, 6, 30), "brows": (10, 8, 6, 30), "mouth": (46, 18, 4, 10),
  "lips": (42, 14, 12, 20),
}  # fmt: skip
_ORDER = ("eyes", "brows", "lips", "mouth")  # the mouth is drawn on the lips


class _Run:
  """A run that finds parts; or that edits, if it is named `edits`."""

  def __init__(self, workdir):
    edits = pathlib.Path(workdir).name == "edits"
    self.system = face_puppets.Edits() if edits else face_puppets.Parts()
    self.config = types.SimpleNamespace(system="puppets")

  def load(self, which):
    return 7, game.Nets({})


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
  monkeypatch.setattr(runs, "Run", _Run)


def _labels(**changed):
  """Return a label map; parts may have other places, or None."""
  labels = np.zeros(_SIZE, np.uint8)
  for name in _ORDER:
    place = changed.get(name, _PLACES[name])
    if place:
      y, x, h, w = place
      labels[y : y + h, x : x + w] = 1 + face_labels.PARTS.index(name)
  return labels


def _picture(labels):
  """Return a face whose red levels show its parts to the stand-in."""
  levels = np.array((0, *face_puppets.LEVELS), np.uint8)
  picture = np.random.default_rng(0).integers(0, 255, (*_SIZE, 3), np.uint8)
  picture[..., 0] = levels[labels]
  return picture


def _save(path, labels):
  pictures.save_png(path, _picture(labels))


@pytest.fixture
def world(tmp_path):
  """Write runs and two faces: `a`, and `b/c.v2` with a closed mouth."""
  for name in ("parts", "edits"):
    (tmp_path / name / "checkpoints" / "7").mkdir(parents=True)
  _save(tmp_path / "in" / "a.png", _labels())
  _save(tmp_path / "in" / "b" / "c.v2.png", _labels(mouth=None))
  return tmp_path


def _predict(world, verb, *arguments):
  return commands.run(
    predict.main, verb, *(text.format(world) for text in arguments)
  )


def _parts(world, *more):
  return _predict(
    world, "parts", "--workdir={0}/parts", "--images={0}/in", "--out={0}/out",
    *more,
  )  # fmt: skip


@pytest.mark.parametrize("kind", ["labels", "npz"])
def test_found_parts_are_a_data_set(world, kind):
  (world / "in" / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
  done = _parts(world, f"--format={kind}")
  assert done.returncode == 1
  assert f"{world}/in/broken.jpg: picture is truncated" in done.stderr
  assert (world / "out" / "sheet.png").is_file()
  reader = face_folders.open_reader(world / "out", "")
  assert reader.names == ("a", "b/c.v2")
  for i, labels in enumerate((_labels(), _labels(mouth=None))):
    np.testing.assert_array_equal(reader.image(i), _picture(labels))
    truth = np.stack([labels == k for k in (1, 2, 3, 4)], -1)
    found = reader.parts(i) > 127
    # The square of the networks is as large as the picture's longer side.
    np.testing.assert_array_equal(found, truth)
  again = _parts(world, f"--format={kind}")
  assert again.returncode == 1 and "earlier call" not in again.stderr
  other = "npz" if kind == "labels" else "labels"
  done = _parts(world, f"--format={other}")
  assert done.returncode == 2 and "masks of another --format" in done.stderr


def test_emotions_of_the_pictures_are_kept(world):
  root = world / "set"
  root.mkdir()
  (world / "in").rename(root / "JPEGImages")
  (root / "labels.csv").write_text("file,emotion\na.png,anger\n")
  done = _predict(
    world, "parts", "--workdir={0}/parts", "--images={0}/set", "--out={0}/out"
  )
  assert done.returncode == 0, done.stderr
  found = faces.Faces(world / "out", split="", size=64, emotion="anger")
  assert found.names == ("a",)


def test_results_are_no_input(world):
  """A folder of results inside of the pictures is left out."""
  for _ in range(2):
    done = _predict(
      world, "parts", "--workdir={0}/parts", "--images={0}/in",
      "--out={0}/in/out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
  reader = face_folders.open_reader(world / "in" / "out", "")
  assert reader.names == ("a", "b/c.v2")


@pytest.fixture
def planted(world):
  """Write a data set with faces that a filter must reject."""
  root = world / "set"
  masks = {
    "good": _labels(), "closed_mouth": _labels(mouth=None),
    "closed_eyes": _labels(eyes=None),
    "hidden_mouth": _labels(mouth=None, lips=None),
    # 3 x 4 of 64 x 64 pixels are 192 of 256 x 256; 13 pixels would be enough.
    "tiny_brows": _labels(brows=(10, 8, 3, 4)),
    "just_enough": _labels(brows=(10, 8, 1, 13)),
  }  # fmt: skip
  for name, labels in masks.items():
    _save(root / "JPEGImages" / f"{name}.png", labels)
    pictures.save_labels(root / "SegmentationClass" / f"{name}.png", labels)
  _save(root / "JPEGImages" / "no_mask.png", _labels())
  (root / "JPEGImages" / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
  pictures.save_labels(root / "SegmentationClass" / "broken.png", _labels())
  (root / "classes.json").write_text(
    '{"eyes": 1, "brows": 2, "mouth": 3, "lips": 4}'
  )
  return world


def _filter(world, *more):
  done = _predict(world, "filter", "--images={0}/set", "--out={0}/out", *more)
  assert done.returncode == 0, done.stderr
  kept = (world / "out" / "kept.txt").read_text().split()
  with open(world / "out" / "rejected.csv", newline="") as file:
    rejected = {row["name"]: row["reasons"] for row in csv.DictReader(file)}
  return kept, rejected


def test_masks_of_objects_do_not_disturb(planted):
  """Data sets in the layout of VOC have them beside the masks of parts."""
  path = planted / "set" / "SegmentationObject" / "good.png"
  pictures.save_labels(path, _labels())
  (planted / "set" / "classes.json").unlink()
  kept, rejected = _filter(planted)
  assert len(kept) + len(rejected) == 8
  # The numbers of the labels are CelebAMask's now.
  assert "0 pixels, expected more than 200" in rejected["good"]


def test_filter_finds_planted_faces(planted):
  kept, rejected = _filter(planted)
  assert kept == ["closed_mouth", "good", "just_enough"]
  reasons = {
    "broken": "picture is truncated", "no_mask": "no mask of its parts",
    "closed_eyes": "^eyes: 0 pixels, expected more than 200$",
    "hidden_mouth": "^lips: 0 pixels", "tiny_brows": r"^brows: 1\d\d pixels",
  }  # fmt: skip
  assert rejected.keys() == reasons.keys()
  for name, reason in reasons.items():
    assert re.search(reason, rejected[name]), rejected[name]
  for name in ("kept", "rejected"):
    assert (planted / "out" / f"{name}.png").is_file()
  kept, _ = _filter(planted, "--required=eyes", "--threshold=0")
  assert "hidden_mouth" in kept and "closed_eyes" not in kept


def test_filter_with_a_run_reads_expressions_and_finds_masks(planted):
  kept, rejected = _filter(
    planted, "--workdir={0}/parts", "--expression=happiness"
  )
  assert kept == ["good", "just_enough", "no_mask"]
  assert rejected["closed_mouth"] == "shows neutral (0.83)"
  kept, rejected = _filter(
    planted, "--workdir={0}/parts", "--expression=happiness", "--min-prob=0.9"
  )
  assert kept == [] and "happiness with 0.83" in rejected["good"]
  assert not (planted / "out" / "kept.png").exists()


def test_filtered_names_are_a_list_of_a_data_set(planted):
  _filter(planted)
  lists = planted / "set" / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  kept = planted / "out" / "kept.txt"
  (lists / "train.txt").write_text(kept.read_text())
  found = faces.Faces(
    planted / "set", split="train", size=64, required=("eyes", "lips")
  )
  assert len(found) == 3


def _express(world, *more):
  return _predict(
    world, "express", "--workdir={0}/edits", "--out={0}/edited", *more
  )


def test_edit_changes_the_mouth_only(world):
  done = _express(
    world, "--input={0}/in", "--expression=happiness",
    "--parts-workdir={0}/parts",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  for name, mouth in (("a", _PLACES["mouth"]), ("b/c.v2", None)):
    before = _picture(_labels(mouth=mouth))
    path = world / "edited" / "edited" / f"{name}.png"
    after = images.read_image(path)
    y, x, h, w = _PLACES["lips"]
    inside = np.zeros(_SIZE, bool)
    inside[y - 2 : y + h + 2, x - 2 : x + w + 2] = True
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[y + 2 : y + h - 2, x + 2 : x + w - 2] == 255).all()
    compared = images.read_image(world / "edited" / "compared" / f"{name}.png")
    np.testing.assert_array_equal(compared, np.hstack([before, after]))
    with Image.open(path) as picture:
      comment = picture.text["Comment"]
    assert comment == "edited by foregan_jax: expression happiness"
  assert (world / "edited" / "sheet.png").is_file()


@pytest.mark.parametrize("kind", ["folder", "labels", "npz"])
def test_parts_come_from_files(world, kind):
  done = _parts(world, f"--format={'npz' if kind == 'npz' else 'labels'}")
  assert done.returncode == 0, done.stderr
  given = {
    "folder": "out", "labels": "out/SegmentationClass/a.png",
    "npz": "out/Parts/a.npz",
  }[kind]  # fmt: skip
  done = _express(
    world,
    "--input={0}/in/a.png",
    "--expression=neutral",
    f"--parts={{0}}/{given}",
  )
  assert done.returncode == 0, done.stderr
  after = images.read_image(world / "edited" / "edited" / "a.png")
  assert after[48, 24].max() == 0  # in the lips' middle


def test_video_keeps_frames_that_cannot_be_edited(world):
  if not video_files.can_write_mp4():
    pytest.skip("PyAV is not installed")
  plain = np.full((*_SIZE, 3), 30, np.uint8)
  mouth = plain.copy()
  y, x, h, w = _PLACES["lips"]
  mouth[y : y + h, x : x + w] = 180
  video_files.write_mp4(world / "clip.mp4", iter([mouth, plain, mouth]), 24.0)
  done = _express(
    world, "--input={0}/clip.mp4", "--expression=happiness",
    "--parts-workdir={0}/parts",
  )  # fmt: skip
  assert done.returncode == 1
  assert "00001: the masks show no mouth and no lips" in done.stderr
  assert "1 frames could not be edited; the rest is done" in done.stderr
  edited = world / "edited" / "edited"
  middle = [
    images.read_image(edited / f"0000{i}.png")[48, 24] for i in range(3)
  ]
  assert [bool(x.min() > 250) for x in middle] == [True, False, True]
  assert (world / "edited" / "edited.webp").is_file()


_EXPRESS = ("express", "--workdir={0}/edits", "--input={0}/in", "--out={0}/x")
_PARTS = ("parts", "--workdir={0}/parts", "--images={0}/in")


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((*_EXPRESS, "--expression=anger", "--parts={0}/in"),
     "'anger', but the run makes happiness and neutral only"),
    ((*_EXPRESS, "--expression=neutral"), "one of --parts=PATH and --parts-w"),
    ((*_EXPRESS, "--expression=neutral", "--parts={0}/in/a.png"),
     "is one file, but .* has 2 pictures"),
    ((*_EXPRESS, "--expression=neutral", "--parts-workdir={0}/edits"),
     "edits expressions of faces: use `predict express`"),
    ((*_EXPRESS[:2], "--input={0}/gone.png", "--expression=neutral",
      "--parts={0}/in"), "gone.png: picture or folder is missing"),
    ((*_PARTS, "--out={0}/in"), "in has files already, and no earlier call"),
    ((*_PARTS, "--weights=x"), "give one of --workdir=RUN and --weights=FILE"),
    (("parts", "--workdir={0}/edits", "--images={0}/in"), "use `predict expr"),
    (("filter", "--images={0}/in"), "without --workdir, --out=FOLDER"),
    (("filter", "--images={0}/in", "--out={0}/x", "--required=eye"),
     "--required=eye: expected .* Did you mean 'eyes'"),
    (("filter", "--images={0}/in", "--out={0}/x", "--expression=anger"),
     "--expression=anger needs --workdir=RUN"),
  ],
)  # fmt: skip
def test_bad_input_raises_one_sentence(world, arguments, message):
  done = _predict(world, *arguments)
  assert done.returncode == 2
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
  assert re.search(message, done.stderr), done.stderr
  assert not (world / "x").exists()


def test_masks_of_another_shape_are_refused(world):
  cv2.imwrite(str(world / "wide.png"), np.zeros((20, 60), np.uint8))
  done = _express(
    world,
    "--input={0}/in/a.png",
    "--expression=neutral",
    "--parts={0}/wide.png",
  )
  assert done.returncode == 1
  assert "wide.png: masks of 60x20 are for a picture of 48x64" in done.stderr


def test_python_api_equals_the_verbs(world):
  finder, editor = models.load(world / "parts"), models.load(world / "edits")
  picture = _picture(_labels())
  soft = finder.segment(picture)
  assert soft.shape == (*_SIZE, 4) and soft.dtype == np.float32
  shown = finder.expressions(picture)
  assert max(shown["masks"], key=shown["masks"].get) == "happiness"
  assert editor.expressions == ("happiness", "neutral")
  edited = editor.edit(picture, soft, "happiness")
  assert edited.shape == picture.shape and edited[48, 24].min() == 255
  with pytest.raises(ValueError, match="show no mouth and no lips"):
    editor.edit(picture, 0 * soft, "happiness")
