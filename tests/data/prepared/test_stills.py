"""Prepared once with TFDS, pictures are the same as from their folder."""

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


def test_both_routes_give_the_same_samples(folder, tmp_path):
  prepared = prepared_stills.prepare(folder, tmp_path / "tfds")
  for split, count in (("train", 2), ("val", 1)):
    plain, records = (
      stills.Stills(root, split=split, size=16, slack=2)
      for root in (folder, prepared)
    )
    assert len(plain) == len(records) == count
    for i, name in enumerate(plain.names):
      j = records.names.index(name)
      np.testing.assert_array_equal(plain[i]["image"], records[j]["image"])
      np.testing.assert_array_equal(plain.picture(i), records.picture(j))
      np.testing.assert_array_equal(plain.mask(i), records.mask(j))
      assert plain.label(i) == records.label(j) == name.split("/")[0]
  assert records.mask(0).any() and not records.mask(0).all()
  with pytest.raises(
    images.DataError, match="no split 'test', only train, val"
  ):
    stills.Stills(prepared, split="test", size=16)


def test_broken_picture_is_named(folder, tmp_path):
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
