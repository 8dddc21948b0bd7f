"""Prepared once with TFDS, stills with instances are as from their folder."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import instances
from foregan_jax.data.prepared import instances as prepared_instances
from foregan_jax.media import images

NAMES = ("two", "void", "none", "one.x")  # not in alphabetical order
VALUES = ((1, 7, 255), (255,), (), (1, 255))


@pytest.fixture
def voc(tmp_path, tiny):
  """Pictures with palette masks; `void` has no object but 255."""
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


def _same(root, prepared, **arguments):
  plain, records = (
    instances.Instances(r, size=16, **arguments) for r in (root, prepared)
  )
  assert records.names == plain.names
  for i in (*range(len(plain)), -1):
    for key, value in plain[i].items():
      np.testing.assert_array_equal(records[i][key], value, strict=True)
  with pytest.raises(IndexError):
    records[len(plain)]
  return records


def test_both_routes_give_the_same_samples(voc, tmp_path):
  prepared = prepared_instances.prepare(voc, tmp_path / "tfds")
  records = _same(voc, prepared, split="train")
  assert records.names == NAMES[:3]
  assert [tuple(np.unique(x["labels"])) for x in records] == [
    (0, 1, 7, 255), (0, 255), (0,),
  ]  # fmt: skip
  assert _same(voc, prepared, split="val").names == NAMES[3:]


def test_pictures_are_stored_as_they_are_and_labels_without_palette(
  voc, tmp_path
):
  prepared = prepared_instances.prepare(voc, tmp_path / "tfds")
  records = prepared_instances.Records(prepared, "train", resolution="")
  for i, name in enumerate(NAMES[:3]):
    record = records.record(i)
    path = voc / f"JPEGImages/{name}.jpg"
    assert record["image"] == path.read_bytes()
    assert record["name"].decode() == name
    with Image.open(io.BytesIO(record["labels"])) as labels:
      assert labels.mode == "L"


def test_first_frames_of_davis(tiny_root, tmp_path):
  prepared = prepared_instances.prepare(
    tiny_root, tmp_path / "tfds", splits=("train",)
  )
  _same(tiny_root, prepared, split="train", resolution="tiny")
  with pytest.raises(images.DataError, match="resolution 'tiny', not '480p'"):
    instances.Instances(prepared, split="train", size=8, resolution="480p")


def test_both_routes_agree_on_real_stills(shared_data, tmp_path):
  voc = shared_data / "VOCdevkit"
  prepared = prepared_instances.prepare(voc, tmp_path)
  assert len(_same(voc, prepared, split="train")) > 10


def test_the_command_line_names_what_is_wrong(voc, tmp_path):
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
