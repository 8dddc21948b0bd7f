"""Demo faces: layout, labels, and expressions that can be measured."""

import pathlib

import cv2
import numpy as np
import PIL.Image
import pytest

from foregan_jax.data import check, face_filter, face_labels, faces
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import faces as demo_faces
from foregan_jax.demo import render

RECIPE = render.Recipe(
  train_videos=0, val_videos=0, train_stills=0, val_stills=0,
  train_faces=10, val_faces=3,
)  # fmt: skip
_PEOPLE = 6


@pytest.fixture(scope="module")
def rendered_root(tmp_path_factory) -> pathlib.Path:
  root = tmp_path_factory.mktemp("demo")
  return demo_dataset.prepare(root, recipe=RECIPE, num_workers=1)


@pytest.fixture(scope="module")
def people():
  """The label maps of some people, each with every expression."""
  draw = lambda i, emotion: demo_faces.render(np.random.default_rng(i), emotion)
  return {
    emotion: [draw(i, emotion)[1] for i in range(_PEOPLE)]
    for emotion in sorted(set(demo_faces.EMOTIONS))
  }


def test_faces_have_the_layout_of_celebamask(rendered_root):
  root = rendered_root / render.FACES
  assert not check.check(rendered_root)
  for split, count in (("train", 10), ("val", 3)):
    names = (root / f"ImageSets/Segmentation/{split}.txt").read_text().split()
    assert len(names) == count
    for name in names:
      picture = cv2.imread(str(root / "JPEGImages" / f"{name}.jpg"))
      labels = PIL.Image.open(root / "SegmentationClass" / f"{name}.png")
      assert picture.shape == (128, 128, 3) and picture.std() > 20
      assert labels.mode == "P" and labels.size == (128, 128)
      assert np.asarray(labels).max() < 19
  source = faces.Faces(root, split="train", size=128)
  assert source.has_parts
  assert [faces.EMOTIONS[n] for n in source.labels] == [
    *demo_faces.EMOTIONS, demo_faces.EMOTIONS[0],
  ]  # fmt: skip


def test_people_of_val_differ_and_bytes_do_not(rendered_root, tmp_path):
  root = rendered_root / render.FACES / "JPEGImages"
  read = lambda name: (root / f"{name}.jpg").read_bytes()
  assert read("train_000000") != read("val_000000")
  again = demo_dataset.prepare(tmp_path / "two", recipe=RECIPE, num_workers=2)
  files = [p for p in rendered_root.rglob("*") if p.is_file()]
  assert len(files) > 2 * 13
  for path in files:
    other = again / path.relative_to(rendered_root)
    assert other.read_bytes() == path.read_bytes(), path


def test_faces_show_their_parts(people):
  classes = face_labels.read_classes(pathlib.Path(), "celebamask")
  required = ("eyes", "brows", "lips")
  for emotion, maps in people.items():
    parts = np.stack([face_labels.split_labels(m, classes) for m in maps])
    kept, _ = face_filter.filter_parts(parts, faces.PARTS, required)
    # A fringe may hide the brows of one.
    assert kept.sum() >= _PEOPLE - 1, emotion


def _lips(labels):
  """Return the width of the lips, and how far the corners are above."""
  names = (demo_faces.MOUTH, demo_faces.UPPER_LIP, demo_faces.LOWER_LIP)
  y, x = np.nonzero(np.isin(labels, names))
  ends = y[(x <= x.min() + 1) | (x >= x.max() - 1)]
  middle = y[np.abs(x - (x.min() + x.max()) / 2) < 2]
  return np.ptp(x), middle.mean() - ends.mean()


def _gap(labels):
  """Return the height of the lowest part of the brows above the eyes."""
  classes = face_labels.read_classes(pathlib.Path(), "celebamask")
  brows, eyes = (np.isin(labels, classes[n]) for n in ("brows", "eyes"))
  return np.nonzero(eyes)[0].mean() - np.nonzero(brows)[0].mean()


def _open(labels):
  return (labels == demo_faces.MOUTH).sum()


def test_expressions_move_the_parts(people):
  mean = lambda measure, emotion: np.mean(
    [measure(labels) for labels in people[emotion]]
  )
  width, corners = (
    {e: mean(lambda m, i=i: _lips(m)[i], e) for e in people} for i in (0, 1)
  )
  assert width["happiness"] > 1.15 * width["neutral"]
  assert width["surprise"] < 0.9 * width["neutral"]
  assert corners["happiness"] > corners["neutral"] + 3
  assert corners["sadness"] < corners["neutral"] - 3
  gap = {e: mean(_gap, e) for e in people}
  assert gap["anger"] < gap["neutral"] - 1 < gap["surprise"] - 3
  assert mean(_open, "neutral") < 10
  assert mean(_open, "surprise") > 100
  assert mean(_open, "happiness") > 60
