"""Prepared pictures with instance masks equal those of the original folder."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import instances
from foregan_jax.data.prepared import instances as prepared_instances
from foregan_jax.data.prepared import records
from foregan_jax.media import images

NAMES = ("two", "void", "none", "one.x")  # not in alphabetical order
VALUES = ((1, 7, 255), (255,), (), (1, 255))


@pytest.fixture
def voc(tmp_path, tiny):
  """A VOC folder with palette masks; picture `void` has void pixels only."""
  rng = np.random.default_rng(0)
  root = tmp_path / "VOC"
  (root / "JPEGImages").mkdir(parents=True)
  for name, values in zip(NAMES, VALUES, strict=True):
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    picture.save(root / f"JPEGImages/{name}.jpg")
    labels = np.zeros((20, 30), np.uint8)
    for i, value in enumerate(values):
      labels[2 + 5 * i : 6 + 5 * i, 3 + 8 * i : 9 + 8 * i] = value
    tiny.write_mask(root / f"SegmentationObject/{name}.png", labels, "P")
  lists = root / "ImageSets/Segmentation"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text("\n".join(NAMES[:3]))
  (lists / "val.txt").write_text(NAMES[3])
  return root


def _assert_same(root, out, **arguments):
  """Compare all samples; return the prepared source."""
  original, prepared = (
    instances.Instances(r, size=16, **arguments) for r in (root, out)
  )
  assert prepared.names == original.names
  for i in (*range(len(original)), -1):
    for key, value in original[i].items():
      np.testing.assert_array_equal(prepared[i][key], value, strict=True)
  with pytest.raises(IndexError):
    prepared[len(original)]
  return prepared


def test_prepared_samples_equal_the_originals(voc, tmp_path):
  out = prepared_instances.prepare(voc, tmp_path / "tfds")
  source = _assert_same(voc, out, split="train")
  assert source.names == NAMES[:3]
  assert [tuple(np.unique(x["labels"])) for x in source] == [
    (0, 1, 7, 255), (0, 255), (0,),
  ]  # fmt: skip
  assert _assert_same(voc, out, split="val").names == NAMES[3:]


def test_stored_pictures_are_unchanged_and_labels_are_grey(voc, tmp_path):
  out = prepared_instances.prepare(voc, tmp_path / "tfds")
  reader = records.InstanceRecords(out, "train", resolution="")
  for i, name in enumerate(NAMES[:3]):
    record = reader.record(i)
    path = voc / f"JPEGImages/{name}.jpg"
    assert record["image"] == path.read_bytes()
    assert record["name"].decode() == name
    with Image.open(io.BytesIO(record["labels"])) as labels:
      assert labels.mode == "L"


def test_davis_first_frames_and_resolution(tiny_root, tmp_path):
  out = prepared_instances.prepare(
    tiny_root, tmp_path / "tfds", splits=("train",)
  )
  _assert_same(tiny_root, out, split="train", resolution="tiny")
  with pytest.raises(images.DataError, match="resolution 'tiny', not '480p'"):
    instances.Instances(out, split="train", size=8, resolution="480p")


def test_prepared_samples_equal_the_originals_on_real_data(
  shared_data, tmp_path
):
  voc = shared_data / "VOCdevkit"
  out = prepared_instances.prepare(voc, tmp_path)
  assert len(_assert_same(voc, out, split="train")) > 10


def test_command_line_error_names_the_file(voc, tmp_path):
  def run(root, *options):
    return subprocess.run(
      [
        sys.executable,
        "-m",
        prepared_instances.__name__,
        root,
        tmp_path,
        *options,
      ],
      capture_output=True,
      text=True,
      check=False,
    )

  mask = voc / "SegmentationObject/one.x.png"
  Image.fromarray(np.zeros((4, 4), np.uint8)).save(mask)
  done = run(voc)
  assert done.returncode == 1
  assert f"{mask}: size is 4x4, expected 30x20" in done.stderr
  assert not (tmp_path / "instances/1.0.0").exists()
  done = run(voc, "--splits", "train")
  assert f"prepared: {tmp_path / 'instances/1.0.0'}" in done.stdout
