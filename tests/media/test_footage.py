"""A user's own video as a folder of pictures; files are in test_films."""

import os

import cv2
import numpy as np
import pytest

from foregan_jax.media import footage, images

SIZE = (6, 8)


def _write(path, value, size=SIZE):
  cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
  """Frames whose grey is their index: 8, 9, 10, 11 by name."""
  for value, name in enumerate(("f8", "f9", "f10", "f11")):
    _write(tmp_path / f"{name}.png", value)
  return tmp_path


def _greys(frames):
  """Reduces every frame to its grey and every error to its sentence."""
  return [
    str(x) if isinstance(x, images.DataError) else int(x[0, 0, 0])
    for _, x in frames
  ]


def test_frames_come_in_order_of_their_numbers(folder):
  (folder / "notes.txt").write_text("no frame")
  _write(folder / "._f9.png", 99)  # what a Mac leaves on foreign disks
  video = footage.Footage(folder)
  assert video.names == ("f8", "f9", "f10", "f11")
  assert (video.num_frames, video.size, video.fps) == (4, SIZE, 24.0)
  assert [index for index, _ in video] == [0, 1, 2, 3]
  assert _greys(video) == [0, 1, 2, 3]
  assert _greys(video.read(range(2, -1, -1))) == [2, 1, 0]
  assert _greys(video.read(range(1, 3))) == [1, 2]


def test_names_without_numbers_are_sorted_too(tmp_path):
  for value, name in enumerate(("01", "1", "a", "b1x2", "b1x10")):
    _write(tmp_path / f"{name}.png", value)
  assert _greys(footage.Footage(tmp_path)) == [0, 1, 2, 3, 4]


def test_broken_frames_are_named_and_the_rest_goes_on(folder):
  (folder / "f9.png").write_bytes(b"\x89PNG broken")
  _write(folder / "f10.png", 2, size=(8, 6))
  *_, last = found = _greys(footage.Footage(folder))
  assert found[0] == 0 and last == 3
  assert found[1].startswith(f"{folder}/f9.png: picture is truncated")
  assert found[2] == (
    f"{folder}/f10.png: size is 6x8, expected 8x6 as other frames"
  )


def test_the_first_frame_may_be_broken(folder):
  (folder / "f8.png").write_bytes(b"")
  video = footage.Footage(folder)
  assert video.size == SIZE
  assert _greys(video)[1:] == [1, 2, 3]


def test_nothing_to_read_is_one_sentence(folder, tmp_path_factory):
  empty = tmp_path_factory.mktemp("empty")
  with pytest.raises(images.DataError, match="gone: video is missing"):
    footage.Footage(empty / "gone")
  with pytest.raises(images.DataError, match="no picture .* here"):
    footage.Footage(empty)
  _write(empty / "0.png", 0)
  with pytest.raises(images.DataError, match="one frame only.*propagate"):
    footage.Footage(empty)
  for path in folder.iterdir():
    path.write_bytes(b"")
  with pytest.raises(images.DataError, match="none of its 4 frames"):
    footage.Footage(folder)


def test_two_frames_of_one_name_are_an_error(folder):
  _write(folder / "f9.jpg", 1)
  with pytest.raises(images.DataError, match="another frame is called f9"):
    footage.Footage(folder)


def test_fingerprint_changes_with_the_files(folder):
  before = footage.Footage(folder).fingerprint
  assert footage.Footage(folder).fingerprint == before
  os.utime(folder / "f9.png", (1, 1))
  touched = footage.Footage(folder).fingerprint
  assert touched != before
  _write(folder / "f12.png", 4)
  assert footage.Footage(folder).fingerprint not in (before, touched)
