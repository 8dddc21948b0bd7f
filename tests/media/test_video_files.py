"""Tests of video files: round trips, order of frames, and damage."""

import os
import sys

import numpy as np
import pytest

from foregan_jax.media import footage, images, video_files

NUM_FRAMES = 20
SIZE = (48, 64)
_STEP = 3  # growth of the bar per frame, in pixels
_IDENTITY = b"\0\1\0\0" + bytes(12) + b"\0\1\0\0"
_QUARTER_CLOCKWISE = bytes(4) + b"\0\1\0\0" + bytes(4) + b"\xff\xff\0\0"


@pytest.fixture(scope="module")
def av():
  return pytest.importorskip("av")


def _frames():
  """Yield frames with a bar whose length encodes the index."""
  for i in range(NUM_FRAMES):
    frame = np.full((*SIZE, 3), (10, 60, 20), np.uint8)
    frame[:24, : _STEP * i] = (200, 180, 40)
    yield frame


def _read_indices(frames):
  """Return each frame's index from its bar, or each error's message."""
  return [
    str(x)
    if isinstance(x, images.DataError)
    else round((x[4, :, 0] > 100).sum() / _STEP)
    for _, x in frames
  ]


@pytest.fixture
def video_path(av, tmp_path):
  path = tmp_path / "clip.mp4"
  video_files.write_mp4(path, _frames(), fps=23.976)
  return path


def _encode(av, path, container_format, **options):
  with av.open(path, "w", format=container_format) as container:
    stream = container.add_stream("h264", rate=24, options=options)
    stream.height, stream.width = SIZE
    for frame in _frames():
      picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
      container.mux(stream.encode(picture))
    container.mux(stream.encode())


def test_round_trip(video_path):
  video = footage.Footage(video_path)
  assert (video.num_frames, video.size) == (NUM_FRAMES, SIZE)
  assert video.fps == pytest.approx(23.976)
  assert video.names[:2] == ("00000", "00001")
  for (index, frame), expected in zip(video, _frames(), strict=True):
    error = np.abs(frame.astype(int) - expected)
    assert error.mean() < 4, index
  assert os.listdir(video_path.parent) == [video_path.name]


def test_odd_sides_are_padded(av, tmp_path):
  path = tmp_path / "odd.mp4"
  video_files.write_mp4(path, (x[:47, :63] for x in _frames()), fps=24)
  video = footage.Footage(path)
  assert video.size == SIZE
  for _, frame in video:
    for padded, edge in ((frame[47], frame[46]), (frame[:, 63], frame[:, 62])):
      assert np.abs(padded.astype(int) - edge).mean() < 9


def test_ranges_forward_and_backward(video_path, monkeypatch):
  video = footage.Footage(video_path)
  indices = list(range(NUM_FRAMES))
  assert _read_indices(video.read(range(7, 12))) == indices[7:12]
  # Windows of seven frames; the last one is shorter.
  monkeypatch.setattr(video_files, "_WINDOW_BYTES", 7 * 48 * 64 * 3 + 1)
  for start in (NUM_FRAMES - 1, 13, 0):
    backward = range(start, -1, -1)
    assert [i for i, _ in video.read(backward)] == list(backward)
    assert _read_indices(video.read(backward)) == list(backward)
  assert _read_indices(video.read(range(0))) == []


def _packets(av, path):
  """Return (position, size, pts) of each packet in order of decoding."""
  with av.open(path) as container:
    return [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]


# AVI has wrong time stamps: only the order of decoding is reliable.
@pytest.mark.parametrize("container_format", ["mp4", "avi"])
def test_damaged_frame_is_an_error_and_others_keep_their_index(
  av, tmp_path, container_format
):
  path = tmp_path / f"damaged.{container_format}"
  # A key frame every 5 frames, so that damage does not spread far.
  _encode(av, path, container_format, g="5", sc_threshold="0")
  packets = _packets(av, path)
  position, size, pts = packets[11]
  content = bytearray(path.read_bytes())
  content[position : position + size] = b"\xaa" * size
  path.write_bytes(content)
  frames = list(footage.Footage(path))
  assert [index for index, _ in frames] == list(range(NUM_FRAMES))
  indices = _read_indices(frames)
  (lost,) = (i for i, x in enumerate(indices) if isinstance(x, str))
  assert indices[lost] == f"{path}, frame {lost}: cannot be decoded"
  # Frames from the next key frame on are undamaged.
  assert indices[:5] == list(range(5)) and indices[-5:] == list(range(15, 20))
  if container_format == "mp4":
    assert lost == sorted(p[2] for p in packets).index(pts)
  backward = list(footage.Footage(path).read(range(NUM_FRAMES - 1, -1, -1)))
  assert _read_indices(backward) == indices[::-1]


@pytest.mark.parametrize(
  "container_format", ["h264", "avi", "matroska", "mpegts"]
)
def test_order_is_correct_without_reliable_time_stamps(
  av, tmp_path, container_format
):
  # Raw H.264 has no time stamps, AVI has wrong ones.
  path = tmp_path / f"clip.{container_format}"
  _encode(av, path, container_format)
  assert _read_indices(footage.Footage(path)) == list(range(NUM_FRAMES))


def test_rotated_video_is_read_upright(video_path):
  *_, (_, upright) = footage.Footage(video_path)
  content = bytearray(video_path.read_bytes())
  position = content.index(_IDENTITY, content.index(b"tkhd"))
  content[position : position + 20] = _QUARTER_CLOCKWISE + bytes(4)
  video_path.write_bytes(content)
  video = footage.Footage(video_path)
  assert video.size == SIZE[::-1]
  *_, (_, rotated) = video
  np.testing.assert_array_equal(rotated, np.rot90(upright, -1))


def test_cut_off_files_raise(av, video_path, tmp_path):
  content = video_path.read_bytes()
  video_path.write_bytes(content[: len(content) // 2])
  with pytest.raises(images.DataError, match="clip.mp4: cannot be read as a"):
    footage.Footage(video_path)
  path = tmp_path / "streamed.mp4"
  with av.open(path, "w", options={"movflags": "faststart"}) as container:
    stream = container.add_stream("h264", rate=24)
    stream.height, stream.width = SIZE
    for frame in _frames():
      picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
      container.mux(stream.encode(picture))
    container.mux(stream.encode())
  position, size, _ = _packets(av, path)[11]
  path.write_bytes(path.read_bytes()[: position + size // 2])
  with pytest.raises(images.DataError, match="cut off: it has .* of 20 frames"):
    footage.Footage(path)


def test_files_without_two_video_frames_raise(av, tmp_path):
  path = tmp_path / "clip.mp4"
  for content in (b"", b"not a video\n" * 9):
    path.write_bytes(content)
    with pytest.raises(images.DataError, match="clip.mp4: cannot be read as"):
      footage.Footage(path)
  video_files.write_mp4(path, [np.zeros((*SIZE, 3), np.uint8)], fps=24)
  with pytest.raises(images.DataError, match="one frame only"):
    footage.Footage(path)


def test_sound_file_raises(av, tmp_path):
  path = tmp_path / "sound.wav"
  with av.open(path, "w") as container:
    stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 800), np.int16), format="s16", layout="mono"
    )
    sound.sample_rate = 8000
    container.mux(stream.encode(sound))
    container.mux(stream.encode())
  with pytest.raises(images.DataError, match="contains no video frames"):
    footage.Footage(path)


def test_error_without_pyav_contains_the_install_command(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "av", None)
  path = tmp_path / "clip.mp4"
  path.write_bytes(b"any")
  with pytest.raises(images.DataError, match=r"foregan_jax\[mp4\]"):
    footage.Footage(path)
  with pytest.raises(images.DataError, match=r"foregan_jax\[mp4\]"):
    video_files.write_mp4(path, _frames(), fps=24)
  assert path.read_bytes() == b"any"


def test_failed_write_keeps_the_old_file(video_path):
  before = video_path.read_bytes()

  def broken():
    yield from list(_frames())[:3]
    raise RuntimeError("power is out")

  def growing():
    yield from list(_frames())[:3]
    yield np.zeros((50, 64, 3), np.uint8)

  for frames, error, message in (
    (broken(), RuntimeError, "power is out"),
    (growing(), ValueError, "size is 64x50, expected 64x48 as the first"),
    ((), ValueError, "no frames"),
  ):
    with pytest.raises(error, match=message):
      video_files.write_mp4(video_path, frames, fps=24)
  with pytest.raises(ValueError, match="above 0, got 0"):
    video_files.write_mp4(video_path, _frames(), fps=0)
  with pytest.raises(ValueError, match="must end in .mp4"):
    video_files.write_mp4(video_path.with_suffix(".avi"), _frames(), fps=24)
  assert video_path.read_bytes() == before
  assert os.listdir(video_path.parent) == [video_path.name]


def test_single_frames_are_found_by_seeking(av, tmp_path, monkeypatch):
  path = tmp_path / "long.mp4"
  frames = [np.full((32, 32, 3), 5 * t, np.uint8) for t in range(48)]
  with av.open(str(path), "w") as container:
    stream = container.add_stream(
      "h264", rate=24, options={"g": "12", "bf": "0"}
    )
    stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
    for frame in frames:
      picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
      container.mux(stream.encode(picture))
    container.mux(stream.encode())
  video = footage.Footage(path)
  decoded = 0
  inner = video._reader._decodable_frames

  def count(*args):
    nonlocal decoded
    for item in inner(*args):
      decoded += 1
      yield item

  monkeypatch.setattr(video._reader, "_decodable_frames", count)
  for index in (40, 3, 25, 47):
    assert abs(int(video.frame(index).mean()) - 5 * index) <= 3
  # From the beginning they would be 119.
  assert decoded <= 4 * 13


def test_single_frames_are_found_without_reliable_seeking(
  video_path, monkeypatch
):
  video = footage.Footage(video_path)
  whole = [frame for _, frame in video]
  inner = video._reader._decodable_frames
  # As a container does that seeks behind the frame.
  monkeypatch.setattr(
    video._reader,
    "_decodable_frames",
    lambda sought=0: iter([(9, None)]) if sought else inner(),
  )
  np.testing.assert_array_equal(video.frame(2), whole[2])
