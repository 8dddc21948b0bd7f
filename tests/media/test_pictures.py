"""Tests of palette PNGs, overlays, grids, contact sheets and animations."""

import concurrent.futures
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import pictures


def frame(value, h=12, w=20):
  return np.full((h, w, 3), value, np.uint8)


def labels_with(*objects, h=12, w=20):
  labels = np.zeros((h, w), np.uint8)
  for k in objects:
    labels[3:9, 4 * k : 4 * k + 4] = k
  return labels


def test_palette_has_the_colours_of_davis():
  expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
  assert [tuple(c) for c in pictures.PALETTE[:5].tolist()] == expected
  assert pictures.PALETTE[255].tolist() == [224, 224, 192]
  assert len({tuple(c) for c in pictures.PALETTE.tolist()}) == 256


def test_palette_equals_real_annotations(shared_data):
  root = shared_data / "DAVIS" / "Annotations_2017_first_frame"
  with Image.open(root / "motocross-jump" / "00000.png") as image:
    real = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
  np.testing.assert_array_equal(pictures.PALETTE[: len(real)], real)


def test_saved_labels_are_unchanged(tmp_path):
  labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
  path = tmp_path / "bear" / "00000.png"
  pictures.save_labels(path, labels)
  with Image.open(path) as image:
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), labels)
    np.testing.assert_array_equal(
      np.asarray(image.convert("RGB")), pictures.PALETTE[labels]
    )
  assert [p.name for p in path.parent.iterdir()] == ["00000.png"]


def test_non_contiguous_labels_can_be_saved(tmp_path):
  labels = labels_with(1, 2)
  pictures.save_labels(tmp_path / "a.png", labels.T)
  with Image.open(tmp_path / "a.png") as image:
    np.testing.assert_array_equal(np.asarray(image), labels.T)


def test_png_has_text_and_squares_keep_the_aspect(tmp_path):
  square = pictures.fit_square(frame(200), 40)
  assert (square[8:32] == 200).all() and (square[:8] == 128).all()
  pictures.save_png(tmp_path / "a.png", square, {"Comment": "edited"})
  with Image.open(tmp_path / "a.png") as image:
    assert image.text == {"Comment": "edited"}
    np.testing.assert_array_equal(np.asarray(image), square)


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / "a.png"
  pictures.save_png(path, frame(7))

  def fail(self, f, **_):
    f.write(b"half")
    raise OSError("disk full")

  monkeypatch.setattr(Image.Image, "save", fail)
  with pytest.raises(OSError, match="disk full"):
    pictures.save_png(path, frame(9))
  with Image.open(path) as image:
    assert np.asarray(image).max() == 7
  assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_threads_can_write_the_same_file(tmp_path):
  path = tmp_path / "a.png"
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda v: pictures.save_png(path, frame(v)), range(20)))
  with Image.open(path) as image:
    assert np.unique(np.asarray(image)).size == 1
  assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_to_uint8_and_mask_to_rgb():
  image = jnp.array([-1.5, -1, 0, 1, 2]).reshape(1, 5, 1)
  assert pictures.to_uint8(image).ravel().tolist() == [0, 0, 128, 255, 255]
  half = image.astype(jnp.bfloat16)
  np.testing.assert_array_equal(
    pictures.to_uint8(half), pictures.to_uint8(image)
  )
  mask = np.array([0, 0.2, 1], np.float32).reshape(1, 1, 3, 1)
  out = pictures.mask_to_rgb(mask)
  assert out.shape == (1, 1, 3, 3)
  assert out[0, 0].tolist() == [[0] * 3, [51] * 3, [255] * 3]


def test_overlay_changes_objects_and_contours_only():
  image, labels = frame(100, 24, 40), np.zeros((24, 40), np.uint8)
  labels[8:18, 10:24] = 1
  before = image.copy()
  out = pictures.overlay(image, labels)
  np.testing.assert_array_equal(image, before)
  np.testing.assert_array_equal(out[:7], before[:7])
  np.testing.assert_array_equal(out[:, 25:], before[:, 25:])
  assert out[12, 16].tolist() == [162, 60, 60]  # 40 % of full red
  assert out[8, 10].tolist() == [255, 0, 0]  # the contour
  assert out[7, 9].tolist() == [0, 0, 0]  # black outside the contour


def test_overlay_of_empty_and_full_labels():
  image = frame(100)
  np.testing.assert_array_equal(pictures.overlay(image, labels_with()), image)
  full = pictures.overlay(image, np.ones((12, 20), np.uint8))
  # There is no contour along the border of the frame.
  assert np.unique(full.reshape(-1, 3), axis=0).tolist() == [[162, 60, 60]]


def test_overlay_has_one_colour_per_object():
  out = pictures.overlay(frame(0, 24, 40), labels_with(1, 2, h=24, w=40))
  colours = {tuple(c) for c in out.reshape(-1, 3).tolist()}
  assert {(255, 0, 0), (0, 255, 0)} <= colours


def test_labels_to_rgb():
  out = pictures.labels_to_rgb(labels_with(1))
  assert out[4, 5].tolist() == [128, 0, 0]
  assert out.shape == (12, 20, 3)


def test_grid_places_pictures():
  out = pictures.grid([[frame(1), frame(2)], [None, frame(4)], [frame(5)]])
  assert out.shape == (12 * 3 + 4, 20 * 2 + 2, 3)
  assert out.dtype == np.uint8
  assert (out[:12, :20] == 1).all() and (out[:12, 22:] == 2).all()
  assert (out[14:26, :20] == 255).all() and (out[14:26, 22:] == 4).all()
  assert (out[28:, :20] == 5).all() and (out[28:, 20:] == 255).all()
  assert (out[12:14] == 255).all()


def test_grid_rejects_wrong_pictures():
  with pytest.raises(ValueError, match=r"\(12, 20\), \(12, 21\)"):
    pictures.grid([[frame(1)], [frame(1, 12, 21)]])
  for empty in ([], [[]], [[None]]):
    with pytest.raises(ValueError, match="at least one picture"):
      pictures.grid(empty)


def test_contact_sheet_has_column_and_row_names():
  rows = [[frame(50, 64, 96)] * 3, [frame(60, 64, 96)] * 2]
  body = pictures.grid(rows)
  with_columns = pictures.contact_sheet(rows, columns=["truth", "warp", ""])
  assert with_columns.shape[1] == body.shape[1]
  top = with_columns.shape[0] - body.shape[0]
  np.testing.assert_array_equal(with_columns[top:], body)
  strip = lambda j: with_columns[:top, j * 98 : j * 98 + 96]
  assert strip(0).min() < 100 and strip(1).min() < 100  # dark letters
  assert strip(2).min() == 255  # an empty name has no letters
  assert (strip(0) != strip(1)).any()

  with_rows = pictures.contact_sheet(
    rows, columns=["truth", "warp", ""], row_names=["bear", "a long name"]
  )
  left = with_rows.shape[1] - with_columns.shape[1]
  np.testing.assert_array_equal(with_rows[:, left:], with_columns)
  assert with_rows[top : top + 64, :left].min() < 100
  assert with_rows[top + 66 :, :left].min() < 100
  assert with_rows[:top, :left].min() == 255


def test_long_names_stay_in_their_column():
  rows = [[frame(50, 16, 60), frame(50, 16, 60)]]
  sheet = pictures.contact_sheet(
    rows, columns=["a name far too long for this column", ""]
  )
  top = len(sheet) - 16
  assert sheet[:top, :60].min() < 100
  assert sheet[:top, 60:].min() == 255


def test_contact_sheet_of_tiny_pictures():
  sheet = pictures.contact_sheet(
    [[frame(50, 4, 6)]], columns=["x"], row_names=["name"]
  )
  assert sheet.dtype == np.uint8


def test_contact_sheet_rejects_wrong_numbers_of_names():
  rows = [[frame(1), frame(2)]]
  with pytest.raises(ValueError, match="2 columns of pictures, but 1 names"):
    pictures.contact_sheet(rows, columns=["a"])
  with pytest.raises(ValueError, match="1 rows of pictures, but 2 names"):
    pictures.contact_sheet(rows, columns=["a", "b"], row_names=["c", "d"])


def test_animation_has_frames_and_durations(tmp_path):
  frames = np.stack([frame(v, 32, 48) for v in (0, 100, 200)])
  path = tmp_path / "samples" / "bear.webp"
  pictures.animate(path, frames, fps=8)
  with Image.open(path) as image:
    assert image.n_frames == 3 and image.is_animated
    assert image.size == (48, 32)
    assert image.info["loop"] == 0
    for t, value in enumerate((0, 100, 200)):
      image.seek(t)
      shown = np.asarray(image.convert("RGB")).astype(int)
      assert abs(shown - value).max() < 8
      assert image.info["duration"] == 125


def test_animation_rejects_wrong_arguments(tmp_path):
  frames = np.zeros((2, 8, 8, 3), np.uint8)
  with pytest.raises(ValueError, match="must end in .webp"):
    pictures.animate(tmp_path / "a.gif", frames, fps=8)
  with pytest.raises(ValueError, match="fps must be above 0, got 0"):
    pictures.animate(tmp_path / "a.webp", frames, fps=0)
  with pytest.raises(ValueError, match="no frames"):
    pictures.animate(tmp_path / "a.webp", frames[:0], fps=8)


def test_saving_rejects_wrong_endings(tmp_path):
  with pytest.raises(ValueError, match="must end in .png"):
    pictures.save_labels(tmp_path / "a.jpg", labels_with(1))
  with pytest.raises(ValueError, match="must end in .png"):
    pictures.save_png(tmp_path / "a", frame(0))


def test_import_does_not_import_jax():
  code = (
    "import sys; from foregan_jax.media import pictures; "
    "sys.exit('jax' in sys.modules)"
  )
  assert subprocess.run([sys.executable, "-c", code]).returncode == 0
