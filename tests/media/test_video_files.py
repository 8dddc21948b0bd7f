"""Videos in one file: what is written is read, and damage is named."""

import os
import sys

import numpy as np
import pytest

from foregan_jax.media import footage, images, video_files

NUM_FRAMES = 20
SIZE = (48, 64)
_STEP = 3  # pixels by which the bar grows from frame to frame
_IDENTITY = b"\0\1\0\0" + bytes(12) + b"\0\1\0\0"
_QUARTER_CLOCKWISE = bytes(4) + b"\0\1\0\0" + bytes(4) + b"\xff\xff\0\0"


@pytest.fixture(scope="module")
def av():
  return pytest.importorskip("av")


def _frames():
  """Frames on which one can read the index: a bar as long as it."""
  for i in range(NUM_FRAMES):
    frame = np.full((*SIZE, 3), (10, 60, 20), np.uint8)
    frame[:24, : _STEP * i] = (200, 180, 40)
    yield frame


def _indices(frames):
  """Reads the indices off the frames; an error stays its sentence."""
  return [
    str(x)
    if isinstance(x, images.DataError)
    else round((x[4, :, 0] > 100).sum() / _STEP)
    for _, x in frames
  ]


@pytest.fixture
def film(av, tmp_path):
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


def test_round_trip(film):
  video = footage.Footage(film)
  assert (video.num_frames, video.size) == (NUM_FRAMES, SIZE)
  assert video.fps == pytest.approx(23.976)
  assert video.names[:2] == ("00000", "00001")
  for (index, found), wanted in zip(video, _frames(), strict=True):
    error = np.abs(found.astype(int) - wanted)
    assert error.mean() < 4, index
  assert os.listdir(film.parent) == [film.name]


def test_odd_sides_are_padded(av, tmp_path):
  path = tmp_path / "odd.mp4"
  video_files.write_mp4(path, (x[:47, :63] for x in _frames()), fps=24)
  video = footage.Footage(path)
  assert video.size == SIZE
  for _, frame in video:
    for edge, beside in ((frame[47], frame[46]), (frame[:, 63], frame[:, 62])):
      assert np.abs(edge.astype(int) - beside).mean() < 9


def test_any_range_either_way(film, monkeypatch):
  video = footage.Footage(film)
  every = list(range(NUM_FRAMES))
  assert _indices(video.read(range(7, 12))) == every[7:12]
  # Windows of seven frames, the last one shorter.
  monkeypatch.setattr(video_files, "_WINDOW_BYTES", 7 * 48 * 64 * 3 + 1)
  for start in (NUM_FRAMES - 1, 13, 0):
    backward = range(start, -1, -1)
    assert [i for i, _ in video.read(backward)] == list(backward)
    assert _indices(video.read(backward)) == list(backward)
  assert _indices(video.read(range(0))) == []


def _packets(av, path):
  """Returns place and size of the packets in a file, in order of decoding."""
  with av.open(path) as container:
    return [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]


# AVI has wrong time stamps: there only the order tells.
@pytest.mark.parametrize("form", ["mp4", "avi"])
def test_damaged_frame_is_named_and_the_rest_keeps_its_index(
  av, tmp_path, form
):
  path = tmp_path / f"damaged.{form}"
  # A key frame every five, so that damage does not spread far.
  _encode(av, path, form, g="5", sc_threshold="0")
  packets = _packets(av, path)
  position, size, pts = packets[11]
  content = bytearray(path.read_bytes())
  content[position : position + size] = b"\xaa" * size
  path.write_bytes(content)
  found = list(footage.Footage(path))
  assert [index for index, _ in found] == list(range(NUM_FRAMES))
  read = _indices(found)
  (lost,) = (i for i, x in enumerate(read) if isinstance(x, str))
  assert read[lost] == f"{path}, frame {lost}: cannot be decoded"
  # Behind the next key frame all is well.
  assert read[:5] == list(range(5)) and read[-5:] == list(range(15, 20))
  if form == "mp4":
    assert lost == sorted(p[2] for p in packets).index(pts)
  backward = list(footage.Footage(path).read(range(NUM_FRAMES - 1, -1, -1)))
  assert _indices(backward) == read[::-1]


@pytest.mark.parametrize("form", ["h264", "avi", "matroska", "mpegts"])
def test_time_stamps_or_not_the_order_is_right(av, tmp_path, form):
  # Raw H.264 has no time stamps, AVI has wrong ones.
  path = tmp_path / f"clip.{form}"
  _encode(av, path, form)
  assert _indices(footage.Footage(path)) == list(range(NUM_FRAMES))


def test_turned_film_stands_upright(film):
  *_, (_, upright) = footage.Footage(film)
  content = bytearray(film.read_bytes())
  place = content.index(_IDENTITY, content.index(b"tkhd"))
  content[place : place + 20] = _QUARTER_CLOCKWISE + bytes(4)
  film.write_bytes(content)
  video = footage.Footage(film)
  assert video.size == SIZE[::-1]
  *_, (_, turned) = video
  np.testing.assert_array_equal(turned, np.rot90(upright, -1))


def test_cut_off_files_are_refused(av, film, tmp_path):
  content = film.read_bytes()
  film.write_bytes(content[: len(content) // 2])
  with pytest.raises(images.DataError, match="clip.mp4: cannot be read as a"):
    footage.Footage(film)
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
  with pytest.raises(images.DataError, match="cut off, .* of its 20 frames"):
    footage.Footage(path)


def test_other_files_are_no_video(av, tmp_path):
  path = tmp_path / "clip.mp4"
  for content in (b"", b"not a video\n" * 9):
    path.write_bytes(content)
    with pytest.raises(images.DataError, match="clip.mp4: cannot be read as"):
      footage.Footage(path)
  video_files.write_mp4(path, [np.zeros((*SIZE, 3), np.uint8)], fps=24)
  with pytest.raises(images.DataError, match="one frame only"):
    footage.Footage(path)


def test_sound_is_no_video(av, tmp_path):
  path = tmp_path / "sound.wav"
  with av.open(path, "w") as container:
    stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 800), np.int16), format="s16", layout="mono"
    )
    sound.sample_rate = 8000
    container.mux(stream.encode(sound))
    container.mux(stream.encode())
  with pytest.raises(images.DataError, match="holds no video frames"):
    footage.Footage(path)


def test_without_pyav_it_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "av", None)
  path = tmp_path / "clip.mp4"
  path.write_bytes(b"any")
  with pytest.raises(images.DataError, match=r"foregan_jax\[mp4\]"):
    footage.Footage(path)
  with pytest.raises(images.DataError, match=r"foregan_jax\[mp4\]"):
    video_files.write_mp4(path, _frames(), fps=24)
  assert path.read_bytes() == b"any"


def test_what_fails_to_be_written_leaves_the_old_file(film):
  before = film.read_bytes()

  def broken():
    yield from list(_frames())[:3]
    raise RuntimeError("power is out")

  def growing():
    yield from list(_frames())[:3]
    yield np.zeros((50, 64, 3), np.uint8)

  for frames, error, said in (
    (broken(), RuntimeError, "power is out"),
    (growing(), ValueError, "size is 64x50, expected 64x48 as the first"),
    ((), ValueError, "no frames"),
  ):
    with pytest.raises(error, match=said):
      video_files.write_mp4(film, frames, fps=24)
  with pytest.raises(ValueError, match="above 0, got 0"):
    video_files.write_mp4(film, _frames(), fps=0)
  with pytest.raises(ValueError, match="must end in .mp4"):
    video_files.write_mp4(film.with_suffix(".avi"), _frames(), fps=24)
  assert film.read_bytes() == before
  assert os.listdir(film.parent) == [film.name]
