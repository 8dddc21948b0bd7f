"""Videos in one file, read and written by PyAV (the extra `mp4`)."""

import fractions
import importlib.util
import itertools
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from foregan_jax.media import images, pictures

Frame = UInt8[np.ndarray, "h w 3"]

_FPS = 24.0  # if a file does not say
INSTALL = "pip install 'foregan_jax[mp4]'"
# What is held to read a film backwards; codecs only go forwards.
_WINDOW_BYTES = 2**28
_QUALITY = {"crf": "20"}  # x264's scale: 18 hardly shows, 23 is its default
_MAX_RATE = 2**16  # of numerator and denominator, a limit of mp4


class Film:
  """A file that PyAV opens, as a source of `footage.Footage`.

  Decoders drop broken frames in silence, so a frame's index is found by its
  time stamp among those of all packets; which index never comes is lost.

  Attributes:
    files: the one.
    names: of the frames: `00000`, `00001`, ...
    fps: frames per second, on average.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._av = _pyav(path)
    self.files = [path]
    try:
      times, known = self._scan()
    except self._av.error.FFmpegError as error:
      raise images.DataError(
        path, f"cannot be read as a video ({error.strerror})"
      ) from error
    if not times:
      raise images.DataError(path, "holds no video frames")
    self._index = {t: i for i, t in enumerate(sorted(times))} if known else {}
    self.names = [f"{i:05d}" for i in range(len(times))]

  def _scan(self) -> tuple[list[int | None], bool]:
    """Reads the whole file undecoded.

    Returns:
      the frames' time stamps, and whether they can be relied on. Where they
      cannot, the order in which frames are decoded must do.
    """
    with self._open() as container:
      stream = _stream(container)
      if stream is None:
        return [], False
      self.fps = stream.average_rate or _FPS
      self._frame_bytes = 3 * stream.width * stream.height
      # Tuples, not packets: those would hold the file in memory.
      packets = [
        (p.pts, p.is_discard, p.is_corrupt)
        for p in container.demux(stream)
        if p.size
      ]
      if packets and packets[-1][2] and len(packets) < stream.frames:
        raise images.DataError(
          self._path,
          f"is cut off, {len(packets)} of its {stream.frames} frames are there",
        )
      times = [pts for pts, discard, _ in packets if not discard]
      known = None not in times and len(set(times)) == len(times)
      # AVI stamps packets in their own order, although frames are reordered.
      if known and stream.codec_context.has_b_frames:
        known = times != sorted(times)
      return times, known

  def where(self, index: int) -> str:
    """Names a frame in messages."""
    return f"{self._path}, frame {index}"

  def read(self, order: range):
    """Yields index and frame, or DataError, of a range with step 1 or -1."""
    if order.step > 0:
      yield from self._decode(order.start, order.stop)
      return
    count = max(1, _WINDOW_BYTES // self._frame_bytes)
    for i in range(0, len(order), count):
      window = order[i : i + count]
      frames = list(self._decode(window[-1], window[0] + 1))
      yield from reversed(frames)

  def _decode(self, start: int, stop: int):
    """Yields every index of the range in order, a frame or an error."""
    for index, frame in itertools.chain(self._frames(), [(stop, None)]):
      for lost in range(start, min(index, stop)):
        yield lost, images.DataError(self.where(lost), "cannot be decoded")
      if index >= stop:
        return
      if index >= start:
        yield index, _upright(frame)
      start = max(start, index + 1)

  def _frames(self):
    """Yields what can be decoded, from the beginning.

    There is no seeking: to decode costs little beside propagating, and not
    every container seeks exactly.
    """
    index = -1
    with self._open() as container:
      for packet in container.demux(_stream(container)):
        try:
          frames = packet.decode()
        except self._av.error.FFmpegError:
          index += 1  # matters only where time stamps do not tell
          continue
        for frame in frames:
          index = self._index.get(frame.pts, index + 1)
          yield index, frame

  def _open(self):
    # Absolute: what precedes a colon in a relative path would be a protocol.
    return self._av.open(str(self._path.absolute()))


def _stream(container):
  """Returns the main video stream; not, say, the cover picture of a song."""
  return container.streams.best("video")


def _upright(frame) -> Frame:
  """Converts to RGB as players show it: telephones film sideways."""
  turns = round(frame.rotation / 90) % 4
  return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def can_write_mp4() -> bool:
  """Says whether PyAV is installed."""
  return importlib.util.find_spec("av") is not None


def write_mp4(
  path: pathlib.Path, frames: Iterable[Frame], fps: float | int
) -> None:
  """Writes frames as H.264, one by one as they come.

  Args:
    path: ends in .mp4; replaced when the last frame is written.
    frames: of one size. Players want even sides: an odd one is padded by a
      repeated edge.
    fps: frames per second, above 0.

  Raises:
    DataError: if PyAV is not installed.
    ValueError: wrong ending, no frames, sizes that differ, or bad fps.
  """
  if path.suffix.lower() != ".mp4":
    raise ValueError(f"{path}: the name must end in .mp4")
  if not fps > 0:
    raise ValueError(f"{path}: fps must be above 0, got {fps}")
  av = _pyav(path)
  rate = fractions.Fraction(fps).limit_denominator(_MAX_RATE)

  def save(file):
    with av.open(file, "w", format="mp4") as container:
      stream = None
      for frame in frames:
        height, width = frame.shape[:2]
        odd = ((0, height % 2), (0, width % 2), (0, 0))
        frame = np.pad(frame, odd, "edge")
        if stream is None:
          stream = container.add_stream("h264", rate=rate, options=_QUALITY)
          stream.height, stream.width = frame.shape[:2]
          stream.pix_fmt = "yuv420p"
        images.check_size(
          path, frame.shape[:2], (stream.height, stream.width), "the first"
        )
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        container.mux(stream.encode(picture))
      if stream is None:
        raise ValueError(f"{path}: there are no frames to write")
      container.mux(stream.encode())

  pictures.replace(path, save)


def _pyav(path: pathlib.Path):
  try:
    import av
  except ImportError as error:
    raise images.DataError(
      path, f"videos other than folders of pictures need PyAV: {INSTALL}"
    ) from error
  return av
