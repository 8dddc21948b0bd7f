"""Tests of videos in folders of pictures; `test_video_files` has the rest."""

import os
import shutil

import cv2
import numpy as np
import pytest

from foregan_jax.media import footage, images
from tests.media import bombs

SIZE = (6, 8)


def _write(path, value, size=SIZE):
  cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
  """Write frames 8 to 11 whose grey values are 0 to 3."""
  for value, name in enumerate(("f8", "f9", "f10", "f11")):
    _write(tmp_path / f"{name}.png", value)
  return tmp_path


def _grey_values(frames):
  """Return each frame's grey value, or each error's message."""
  return [
    str(x) if isinstance(x, images.DataError) else int(x[0, 0, 0])
    for _, x in frames
  ]


def test_numbers_in_names_define_the_order(folder):
  (folder / "notes.txt").write_text("no frame")
  _write(folder / "._f9.png", 99)  # macOS writes such files to foreign disks
  video = footage.Footage(folder)
  assert video.names == ("f8", "f9", "f10", "f11")
  assert (video.num_frames, video.size, video.fps) == (4, SIZE, 24.0)
  assert [index for index, _ in video] == [0, 1, 2, 3]
  assert _grey_values(video) == [0, 1, 2, 3]
  assert _grey_values(video.read(range(2, -1, -1))) == [2, 1, 0]
  assert _grey_values(video.read(range(1, 3))) == [1, 2]


def test_names_have_a_natural_order(tmp_path):
  for value, name in enumerate(("01", "1", "a", "b1x2", "b1x10")):
    _write(tmp_path / f"{name}.png", value)
  assert _grey_values(footage.Footage(tmp_path)) == [0, 1, 2, 3, 4]


def test_broken_frames_are_errors_between_valid_frames(folder):
  (folder / "f9.png").write_bytes(b"\x89PNG broken")
  _write(folder / "f10.png", 2, size=(8, 6))
  values = _grey_values(footage.Footage(folder))
  assert values[0] == 0 and values[3:] == [3]
  assert values[1].startswith(f"{folder}/f9.png: picture is truncated")
  assert values[2] == (
    f"{folder}/f10.png: size is 6x8, expected 8x6 as other frames"
  )


def test_first_frame_may_be_broken(folder):
  (folder / "f8.png").write_bytes(b"")
  video = footage.Footage(folder)
  assert video.size == SIZE
  assert _grey_values(video)[1:] == [1, 2, 3]


def test_unreadable_videos_raise(folder, tmp_path_factory):
  empty = tmp_path_factory.mktemp("empty")
  with pytest.raises(images.DataError, match="gone: video is missing"):
    footage.Footage(empty / "gone")
  with pytest.raises(images.DataError, match="folder has no picture"):
    footage.Footage(empty)
  _write(empty / "0.png", 0)
  with pytest.raises(
    images.DataError, match="one frame only, expected at least two"
  ):
    footage.Footage(empty)
  for path in folder.iterdir():
    path.write_bytes(b"")
  with pytest.raises(images.DataError, match="none of its 4 frames"):
    footage.Footage(folder)


def test_duplicate_frame_names_raise(folder):
  _write(folder / "f9.jpg", 1)
  with pytest.raises(images.DataError, match="name of another frame, f9"):
    footage.Footage(folder)


def test_fingerprint_depends_on_the_files(folder):
  before = footage.Footage(folder).fingerprint
  assert footage.Footage(folder).fingerprint == before
  os.utime(folder / "f9.png", (1, 1))
  touched = footage.Footage(folder).fingerprint
  assert touched != before
  _write(folder / "f12.png", 4)
  assert footage.Footage(folder).fingerprint not in (before, touched)


def test_frame_of_a_huge_size_is_one_broken_frame(folder):
  (folder / "f9.png").write_bytes(bombs.png(2**16, 2**16))
  found = _grey_values(footage.Footage(folder))
  assert found[0] == 0 and found[2:] == [2, 3]
  assert "f9.png: cannot be decoded: it has more pixels" in found[1]


@pytest.mark.parametrize("name", [b"\xff.png", b"f\n.png"])
def test_odd_names_of_frames_raise(folder, name):
  shutil.copy(folder / "f8.png", os.path.join(os.fsencode(folder), name))
  with pytest.raises(images.DataError, match="is not the name of a file"):
    footage.Footage(folder)


def test_spaces_of_other_languages_are_allowed(folder):
  shutil.copy(folder / "f8.png", folder / "9.41\u202fAM.png")
  assert "9.41\u202fAM" in footage.Footage(folder).names


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: os.symlink(p, p)])
def test_pipe_and_link_to_itself_are_no_video(tmp_path, make):
  make(tmp_path / "x.mp4")
  with pytest.raises(images.DataError, match="x.mp4: (is neither|video is mi)"):
    footage.Footage(tmp_path / "x.mp4")
