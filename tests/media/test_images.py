"""Tests of decoding, resizing, and errors that contain the path."""

import os
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import images
from tests.media import bombs


def test_image_is_rgb(tmp_path):
  path = tmp_path / "red.png"
  Image.new("RGB", (4, 3), (200, 10, 0)).save(path)
  image = images.read_image(path)
  assert image.shape == (3, 4, 3)
  assert image[0, 0].tolist() == [200, 10, 0]


def test_grey_picture_becomes_rgb(tmp_path):
  path = tmp_path / "grey.jpg"
  Image.new("L", (8, 8), 77).save(path)
  assert np.all(images.read_image(path) == 77)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_truncated_picture_raises(tmp_path, suffix, share):
  path = tmp_path / f"cut.{suffix}"
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  cv2.imwrite(str(path), noise)
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * share)])
  with pytest.raises(images.DataError, match=f"cut.{suffix}.*truncated"):
    images.read_image(path)


def test_truncated_picture_with_thumbnail_raises(tmp_path):
  path = tmp_path / "thumb.jpg"
  thumbnail = tmp_path / "small.jpg"
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  Image.fromarray(noise[:8, :8]).save(thumbnail)
  # The APP1 segment of a camera contains a whole JPEG with its end marker.
  Image.fromarray(noise).save(path, exif=b"Exif\0\0" + thumbnail.read_bytes())
  images.read_image(path)
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(images.DataError, match="truncated"):
    images.read_image(path)


@pytest.mark.parametrize(
  "content, reason", [(b"", "empty"), (b"not a picture", "cannot be decoded")]
)
def test_error_of_a_broken_picture_contains_its_path(tmp_path, content, reason):
  path = tmp_path / "broken.jpg"
  path.write_bytes(content)
  with pytest.raises(images.DataError, match=f"broken.jpg: .*{reason}"):
    images.read_image(path)
  with pytest.raises(images.DataError, match="broken.jpg: mask cannot be"):
    images.read_labels(path)


def test_error_of_a_missing_file_contains_its_path(tmp_path):
  with pytest.raises(images.DataError, match="gone.jpg: file is missing"):
    images.read_image(tmp_path / "gone.jpg")
  with pytest.raises(images.DataError, match="gone.png: mask is missing"):
    images.read_labels(tmp_path / "gone.png")


def test_palette_mask_contains_ids(tmp_path):
  path = tmp_path / "mask.png"
  ids = np.array([[0, 1], [2, 255]], np.uint8)
  mask = Image.fromarray(ids)
  # All 256 colours: Pillow drops ids beyond the palette's end.
  mask.putpalette(list(range(256)) * 3)
  mask.save(path)
  assert images.read_labels(path).tolist() == ids.tolist()


@pytest.mark.parametrize(
  "values, expected",
  [([0, 255, 255], [0, 1, 1]), ([0, 3, 255], [0, 3, 255])],
)
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_mask_maps_255_to_object_1_without_other_ids(
  tmp_path, mode, values, expected
):
  path = tmp_path / "mask.png"
  Image.fromarray(np.array([values], np.uint8)).convert(mode).save(path)
  assert images.read_labels(path).tolist() == [expected]


def test_colour_mask_raises(tmp_path):
  path = tmp_path / "mask.png"
  Image.new("RGB", (4, 4), (128, 0, 0)).save(path)
  with pytest.raises(images.DataError, match="mask.png: mask has mode RGB"):
    images.read_labels(path)


def test_resized_mask_border_is_fractional():
  mask = np.zeros((4, 8), np.uint8)
  mask[:, :3] = 1
  small = images.resize_mask(mask, (2, 4))
  assert small.shape == (2, 4, 1)
  assert small[0, :, 0].tolist() == [255, 128, 0, 0]


def test_image_and_mask_resize_identically():
  mask = np.zeros((60, 100), np.uint8)
  mask[20:40, 50:80] = 1
  image = np.repeat(mask[..., None], 3, 2) * np.uint8(255)
  for size in ((24, 40), (90, 150), (30, 200)):
    resized = images.resize_image(image, size)
    assert np.array_equal(resized[..., :1], images.resize_mask(mask, size))


def test_error_can_be_pickled():
  error = pickle.loads(pickle.dumps(images.DataError("a/b.jpg", "is bad")))
  assert str(error) == "a/b.jpg: is bad"


@pytest.mark.parametrize("side", [2**16, 2**31 - 1])
@pytest.mark.parametrize(
  "read, message",
  [
    (images.read_image, "bomb.png: cannot be decoded"),
    (images.read_labels, "bomb.png: mask cannot be decoded .*exceeds limit"),
    (images.read_coverage, "bomb.png: mask cannot be decoded .*exceeds limit"),
  ],
)
def test_picture_of_a_huge_size_raises(tmp_path, read, message, side):
  path = tmp_path / "bomb.png"
  path.write_bytes(bombs.png(side, side))
  with pytest.raises(images.DataError, match=message):
    read(path)


@pytest.mark.parametrize(
  "kind, message",
  [
    ("folder", "is not a file"),
    ("pipe", "is not a file"),
    ("device", "is not a file"),
    ("loop", "cannot be read .*symbolic links"),
    ("dangling", "file is missing"),
  ],
)
def test_what_is_no_file_is_not_read(tmp_path, kind, message):
  path = tmp_path / "x.png"
  {
    "folder": path.mkdir,
    "pipe": lambda: os.mkfifo(path),
    "device": lambda: path.symlink_to("/dev/zero"),
    "loop": lambda: path.symlink_to(path),
    "dangling": lambda: path.symlink_to("nowhere"),
  }[kind]()
  with pytest.raises(images.DataError, match=f"x.png: {message}"):
    images.read_image(path)
  for read in (images.read_labels, images.read_coverage):
    with pytest.raises(images.DataError, match="x.png: mask is missing"):
      read(path)


@pytest.mark.parametrize(
  "content, message",
  [
    ("bär".encode("latin-1"), "not text in UTF-8 .byte 1 is 0xe4"),
    ("bear\n".encode("utf-16"), "not text in UTF-8 .byte 0 is 0xff"),
    (b"\x89PNG", "not text in UTF-8 .byte 0 is 0x89"),
    (b"", "file is empty"),
  ],
)
def test_text_in_another_encoding_raises(tmp_path, content, message):
  path = tmp_path / "list.txt"
  path.write_bytes(content)
  with pytest.raises(images.DataError, match=f"list.txt: .*{message}"):
    images.read_text(path)


def test_odd_names_are_escaped_in_errors():
  error = images.DataError("a\nb/\udcff/\u2028é \u202f.png", "is odd")
  assert str(error) == "a\\nb/\\udcff/\\u2028é \u202f.png: is odd"


def test_mark_of_some_editors_is_removed(tmp_path):
  path = tmp_path / "list.txt"
  path.write_text("bär\n", encoding="utf-8-sig")
  assert images.read_text(path) == "bär\n"
