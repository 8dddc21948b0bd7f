"""Reading and writing of video files by PyAV (the extra `mp4`)."""

import contextlib
import fractions
import importlib.util
import itertools
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from foregan_jax import storage
from foregan_jax.media import images

Frame = UInt8[np.ndarray, "h w 3"]

# Not all that PyAV can open: what a folder or an argument calls a video.
SUFFIXES = (".mp4", ".mov", ".gif", ".avi", ".mkv", ".webm")
_DEFAULT_FPS = 24.0  # for files that store no frame rate
INSTALL_COMMAND = "pip install 'foregan_jax[mp4]'"
# Memory for reading backwards: codecs decode forwards only.
_WINDOW_BYTES = 2**28
_QUALITY = {"crf": "20"}  # of x264: 18 looks lossless, 23 is its default
_MAX_RATE = 2**16  # limit of mp4 for the numerator and denominator


class VideoFile:
  """A file that PyAV can open, as a source of `footage.Footage`.

  Decoders drop broken frames without an error. So the index of a frame is the
  rank of its time stamp among those of all packets, and an index that no
  decoded frame has is a broken frame.

  Attributes:
    files: list of the one file.
    names: names of the frames: `00000`, `00001`, ...
    fps: average number of frames per second.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._av = _import_pyav(path)
    self.files = [path]
    try:
      times, reliable = self._scan()
    except self._av.error.FFmpegError as error:
      raise images.DataError(
        path, f"cannot be read as a video ({error.strerror})"
      ) from error
    if not times:
      raise images.DataError(path, "contains no video frames")
    self._times = sorted(times) if reliable else []
    self._index = {t: i for i, t in enumerate(self._times)}
    self.names = [f"{i:05d}" for i in range(len(times))]

  def _scan(self) -> tuple[list[int | None], bool]:
    """Read the packets of the whole file without decoding them.

    Returns:
      the time stamps of the frames, and True if these are reliable. If they
      are not, the order of decoding defines the index.

    Raises:
      DataError: if the file is cut off.
    """
    with self._open() as container:
      stream = _video_stream(container)
      if stream is None:
        return [], False
      self.fps = stream.average_rate or _DEFAULT_FPS
      self._frame_bytes = 3 * stream.width * stream.height
      # Tuples, because packets would keep the file in memory.
      packets = [
        (p.pts, p.is_discard, p.is_corrupt)
        for p in container.demux(stream)
        if p.size
      ]
      if packets and packets[-1][2] and len(packets) < stream.frames:
        raise images.DataError(
          self._path,
          f"is cut off: it has {len(packets)} of {stream.frames} frames",
        )
      times = [pts for pts, discard, _ in packets if not discard]
      reliable = None not in times and len(set(times)) == len(times)
      # AVI stamps packets in decoding order, although frames are reordered.
      if reliable and stream.codec_context.has_b_frames:
        reliable = times != sorted(times)
      return times, reliable

  def describe(self, index: int) -> str:
    """Return the name of a frame for messages."""
    return f"{self._path}, frame {index}"

  def read(self, order: range):
    """Yield (index, frame) for a range with step 1 or -1.

    A broken frame is a DataError.
    """
    if order.step > 0:
      yield from self._decode(order.start, order.stop)
      return
    count = max(1, _WINDOW_BYTES // self._frame_bytes)
    for i in range(0, len(order), count):
      window = order[i : i + count]
      frames = list(self._decode(window[-1], window[0] + 1))
      yield from reversed(frames)

  def frame(self, index: int) -> Frame:
    """Read one frame; seek to the last key frame before it if possible.

    Not every container seeks exactly. So a frame that is not found after
    seeking is searched from the beginning.

    Raises:
      DataError: if the frame is broken.
    """
    if self._index:
      with contextlib.suppress(self._av.error.FFmpegError):
        for found, frame in self._decodable_frames(index):
          if found == index:
            return _to_upright_rgb(frame)
          if found > index:
            break
    _, frame = next(self._decode(index, index + 1))
    if isinstance(frame, images.DataError):
      raise frame
    return frame

  def _decode(self, start: int, stop: int):
    """Yield (index, frame) for start to stop - 1.

    A broken frame is a DataError.
    """
    for index, frame in itertools.chain(
      self._decodable_frames(), [(stop, None)]
    ):
      for lost in range(start, min(index, stop)):
        yield lost, images.DataError(self.describe(lost), "cannot be decoded")
      if index >= stop:
        return
      if index >= start:
        yield index, _to_upright_rgb(frame)
      start = max(start, index + 1)

  def _decodable_frames(self, sought: int = 0):
    """Yield (index, frame) of each decodable frame, from the beginning.

    Args:
      sought: begin at a key frame before this index; only with reliable time
        stamps. To read a whole video no one seeks: decoding costs little
        compared with propagation.
    """
    index = -1
    with self._open() as container:
      stream = _video_stream(container)
      if sought:
        container.seek(self._times[sought], stream=stream)
      for packet in container.demux(stream):
        try:
          frames = packet.decode()
        except self._av.error.FFmpegError:
          index += 1  # used only if the time stamps are not reliable
          continue
        for frame in frames:
          index = self._index.get(frame.pts, index + 1)
          yield index, frame

  def _open(self):
    # Absolute, because FFmpeg reads `name:` in a relative path as a protocol.
    return self._av.open(str(self._path.absolute()))


def _video_stream(container):
  """Return the main video stream, not the cover picture of a song."""
  return container.streams.best("video")


def _to_upright_rgb(frame) -> Frame:
  """Convert a frame to RGB and apply its rotation: phones record sideways."""
  turns = round(frame.rotation / 90) % 4
  return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def can_write_mp4() -> bool:
  """Return True if PyAV is installed."""
  return importlib.util.find_spec("av") is not None


def write_mp4(
  path: pathlib.Path, frames: Iterable[Frame], fps: float | int
) -> None:
  """Write frames as H.264, one at a time.

  Args:
    path: ends in .mp4; replaced after the last frame.
    frames: frames of one size. Video players need even sides, so an odd side
      is padded with its edge.
    fps: frames per second, above 0.

  Raises:
    DataError: if PyAV is not installed, or the sizes of the frames differ.
    ValueError: for a wrong ending, no frames, or fps not above 0.
  """
  if path.suffix.lower() != ".mp4":
    raise ValueError(f"{path}: the name must end in .mp4")
  if not fps > 0:
    raise ValueError(f"{path}: fps must be above 0, got {fps}")
  av = _import_pyav(path)
  rate = fractions.Fraction(fps).limit_denominator(_MAX_RATE)

  def save(file):
    with av.open(file, "w", format="mp4") as container:
      stream = None
      for frame in frames:
        height, width = frame.shape[:2]
        padding = ((0, height % 2), (0, width % 2), (0, 0))
        frame = np.pad(frame, padding, "edge")
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

  storage.write(path, save)


def _import_pyav(path: pathlib.Path):
  """Return the module `av`; raise a DataError if it is not installed."""
  try:
    import av
  except ImportError as error:
    raise images.DataError(
      path,
      f"video files need PyAV, folders of pictures do not: {INSTALL_COMMAND}",
    ) from error
  return av
