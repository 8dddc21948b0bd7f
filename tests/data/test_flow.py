"""Flow: the file format, scaling, estimation, and the cache."""

import json
import struct

import cv2
import numpy as np
import pytest

from foregan_jax.data import flow
from foregan_jax.media import images


def _ramp(height: int, width: int) -> np.ndarray:
  y, x = np.mgrid[:height, :width].astype(np.float32)
  return np.stack([0.5 * x - y, 2 * y + 0.125], -1)


def test_flo_round_trip(tmp_path):
  path = tmp_path / "new" / "ramp.flo"
  flow.write_flo(path, _ramp(5, 7))
  assert np.array_equal(flow.read_flo(path), _ramp(5, 7))
  assert [p.name for p in path.parent.iterdir()] == ["ramp.flo"]


@pytest.mark.parametrize(
  "content, reason",
  [
    (b"", "empty"),
    (b"PIEH", "shorter than its header"),
    (struct.pack("<fii", 1.0, 2, 2) + bytes(32), "magic number"),
    (struct.pack("<fii", 202021.25, 0, 2), "not positive"),
    (struct.pack("<fii", 202021.25, 2, 2) + bytes(31), "expected 44"),
    (struct.pack("<fii2f", 202021.25, 1, 1, float("nan"), 0), "NaN"),
  ],
)
def test_broken_flo_error_names_the_file(tmp_path, content, reason):
  path = tmp_path / "bad.flo"
  path.write_bytes(content)
  with pytest.raises(images.DataError, match=f"bad.flo: .*{reason}"):
    flow.read_flo(path)


def test_golden_files(shared_data):
  folder = shared_data / "flow"
  golden = json.loads((folder / "flow_golden.json").read_text())
  chairs = golden["chairs"]
  actual = flow.read_flo(folder / chairs["file"])
  assert actual.shape == (chairs["height"], chairs["width"], 2)
  for plane, name in ((actual[..., 0], "u"), (actual[..., 1], "v")):
    mean = plane.mean(dtype=np.float64)
    np.testing.assert_allclose(mean, chairs[f"{name}_mean"], rtol=1e-6)
    assert [plane.min(), plane.max()] == chairs[f"{name}_minmax"]
  for y, x, u, v in chairs["samples_yx_uv"]:
    assert actual[y, x].tolist() == [u, v]
  ramp = flow.read_flo(folder / golden["ramp"]["file"])
  assert np.array_equal(ramp, _ramp(24, 40))


def test_resize_scales_each_axis_by_its_own_ratio():
  full = np.full((8, 20, 2), (10.0, 4.0), np.float32)
  small = flow.resize(full, (4, 5))
  assert small.shape == (4, 5, 2)
  assert np.allclose(small, (2.5, 2.0))
  assert np.allclose(flow.resize(small, (8, 20)), full)


@pytest.mark.parametrize("size", [(24, 40), (64, 112)])
def test_estimate_finds_a_shift(size):
  rng = np.random.default_rng(0)
  first = rng.integers(0, 256, (*size, 3), np.uint8)
  first = cv2.GaussianBlur(first, (0, 0), 2)
  second = np.roll(first, (1, 2), axis=(0, 1))
  found = flow.estimate(first, second)
  assert np.allclose(np.median(found, axis=(0, 1)), (2, 1), atol=0.1)


def test_png_is_exact_to_half_a_step():
  fine = _ramp(6, 9) / 3
  decoded = flow.decode_png(flow.encode_png(fine))
  assert np.abs(decoded - fine).max() <= 0.5 / 64


def test_cache_computes_once_and_replaces_damaged_files(tmp_path):
  cache = flow.FlowCache(tmp_path)
  frames = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
  calls = []

  def read_frames():
    calls.append(1)
    return frames[0], frames[1]

  get = lambda: cache.get("video-1", "fwd", 3, (16, 24), read_frames)
  first, second = get(), get()
  assert len(calls) == 1
  assert np.array_equal(first, second)
  path = cache.path("video-1", "fwd", 3, (16, 24))
  path.write_bytes(path.read_bytes()[:50])
  assert np.array_equal(get(), first)
  assert len(calls) == 2
  with pytest.raises(ValueError, match="'up' is not one of"):
    cache.path("video-1", "up", 3, (16, 24))


def test_unwritable_cache_error_names_the_folder(tmp_path):
  (tmp_path / "file").write_text("a file, no folder")
  cache = flow.FlowCache(tmp_path / "file")
  frames = np.zeros((2, 16, 24, 3), np.uint8)
  with pytest.raises(images.DataError, match="file/16x24.*cannot be cached"):
    cache.get("video-1", "fwd", 0, (16, 24), lambda: tuple(frames))
