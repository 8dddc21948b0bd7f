"""Prepared pictures of one object equal those of the original folder."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from foregan_jax.data import stills
from foregan_jax.data.prepared import stills as prepared_stills
from foregan_jax.media import images


@pytest.fixture
def folder(tmp_path):
  rng = np.random.default_rng(0)
  root = tmp_path / "folder"
  for name, ending, has_mask in (
    ("a/one", ".jpg", False),
    ("a/two.x", ".png", False),
    ("b/three", ".png", True),
  ):
    path = root / "images" / f"{name}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (20, 24, 3), np.uint8))
    if has_mask:
      path = root / "segmentations" / f"{name}.png"
      path.parent.mkdir(parents=True, exist_ok=True)
      cv2.imwrite(str(path), rng.integers(0, 255, (20, 24), np.uint8))
  return root


def test_prepared_samples_equal_the_originals(folder, tmp_path):
  out = prepared_stills.prepare(folder, tmp_path / "tfds")
  for split, count in (("train", 2), ("val", 1)):
    original, prepared = (
      stills.Stills(root, split=split, size=16, slack=2)
      for root in (folder, out)
    )
    assert len(original) == len(prepared) == count
    for i, name in enumerate(original.names):
      j = prepared.names.index(name)
      drawn, again = (
        source.draw(k, np.random.default_rng(i), 0)["image"]
        for source, k in ((original, i), (prepared, j))
      )
      np.testing.assert_array_equal(drawn, again)
      np.testing.assert_array_equal(original.picture(i), prepared.picture(j))
      np.testing.assert_array_equal(original.mask(i), prepared.mask(j))
      assert original.class_name(i) == name.split("/")[0]
      assert prepared.class_name(j) == name.split("/")[0]
  assert prepared.mask(0).any() and not prepared.mask(0).all()
  with pytest.raises(
    images.DataError, match="no split 'test', only train, val"
  ):
    stills.Stills(out, split="test", size=16)


def test_broken_picture_error_names_the_file(folder, tmp_path):
  broken = folder / "images/a/one.jpg"
  broken.write_bytes(broken.read_bytes()[:-20])
  done = subprocess.run(
    [
      sys.executable,
      "-m",
      "foregan_jax.data.prepared.stills",
      folder,
      tmp_path,
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1
  assert f"{broken}: picture is truncated" in done.stderr


def test_broken_list_is_no_missing_split(folder, tmp_path):
  (folder / "train.txt").write_text("a/one;b/three;\n")
  with pytest.raises(images.DataError, match="train.txt: lists a/one;b/three"):
    prepared_stills.prepare(folder, tmp_path / "tfds")
