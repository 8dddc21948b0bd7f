"""A user's video, an mp4 or a folder, read frame by frame in constant memory.

A broken frame does not end the video: the reader yields an error that names
the frame, then the following frames.
"""

import functools
import hashlib
import itertools
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8

from foregan_jax.media import images, paths, video_files

Frame = UInt8[np.ndarray, "h w 3"]

# Mean difference to the first frame, of 255, below which a video does not move:
# compression changes a little from frame to frame.
LEAST_MOTION = 0.5
_DEFAULT_FPS = 24.0  # as for DAVIS; a folder stores no frame rate


class Footage:
  """The frames of a video.

  Iteration yields (index, frame). A frame is RGB uint8 [h, w, 3] of the video's
  size, or a DataError with the reason why it cannot be read.

  Attributes:
    path: the file or folder.
    names: the frames' names: a picture's stem, or `00000`, `00001`, ...
    fps: frames per second; 24 for a folder.
    size: (h, w) of the first readable frame.
  """

  def __init__(self, path: str | os.PathLike):
    """List the frames and decode the first readable one.

    Args:
      path: a video that PyAV can open, or a folder with the frames as JPEG or
        PNG pictures. Numbers in their names define the order.

    Raises:
      DataError: if the path is missing, is not a video, has fewer than two
        frames, or has no readable frame.
    """
    self.path = pathlib.Path(path)
    if not self.path.exists():
      raise images.DataError(path, "video is missing")
    if not (self.path.is_dir() or self.path.is_file()):
      raise images.DataError(path, "is neither a video file nor a folder")
    reader_class = (
      _PictureFolder if self.path.is_dir() else video_files.VideoFile
    )
    self._reader = reader_class(self.path)
    self.names = tuple(self._reader.names)
    self.fps = float(self._reader.fps)
    if len(self.names) == 1:
      raise images.DataError(
        path, "video has one frame only, expected at least two"
      )
    self.size = self._find_size()

  @property
  def num_frames(self) -> int:
    """Return the number of frames, broken ones included."""
    return len(self.names)

  @functools.cached_property
  def fingerprint(self) -> str:
    """Return a hash of the path and of the size and time of each file."""
    stats = [(p.name, p.stat()) for p in self._reader.files]
    files = [(name, s.st_size, s.st_mtime_ns) for name, s in stats]
    text = repr((str(paths.full(self.path)), files))
    return hashlib.sha256(text.encode()).hexdigest()

  def __iter__(self) -> Iterator[tuple[int, Frame | images.DataError]]:
    return self.read(range(self.num_frames))

  def read(
    self, order: range
  ) -> Iterator[tuple[int, Frame | images.DataError]]:
    """Yield (index, frame) for a range with step 1 or -1."""
    for index, frame in self._reader.read(order):
      if not isinstance(frame, images.DataError):
        try:
          name = self._reader.describe(index)
          images.check_size(name, frame.shape[:2], self.size, "other frames")
        except images.DataError as error:
          frame = error
      yield index, frame

  def frame(self, index: int) -> Frame:
    """Read one frame; for many in a row, `read` is faster.

    Raises:
      DataError: if it is broken.
    """
    frame = self._reader.frame(index)
    name = self._reader.describe(index)
    images.check_size(name, frame.shape[:2], self.size, "other frames")
    return frame

  def _find_size(self) -> tuple[int, int]:
    """Return (h, w) of the first readable frame."""
    for _, frame in self._reader.read(range(self.num_frames)):
      if not isinstance(frame, images.DataError):
        return frame.shape[:2]
    raise images.DataError(
      self.path, f"none of its {self.num_frames} frames can be read"
    )


class _PictureFolder:
  """The pictures of a folder in natural order, as a source of `Footage`.

  It has the methods and attributes of `video_files.VideoFile`.
  """

  fps = _DEFAULT_FPS

  def __init__(self, path: pathlib.Path):
    found = [
      p
      for p in path.iterdir()
      if p.suffix.lower() in images.SUFFIXES and not p.name.startswith(".")
    ]
    self.files = sorted(found, key=lambda p: natural_key(p.stem))
    self.names = [p.stem for p in self.files]
    if not found:
      raise images.DataError(
        path, f"folder has no picture ({', '.join(images.SUFFIXES)})"
      )
    for name in self.names:
      paths.check_name(name, path)
    for one, two in itertools.pairwise(self.files):
      if one.stem == two.stem:
        raise images.DataError(
          two, f"has the name of another frame, {one.name}"
        )

  def describe(self, index: int) -> pathlib.Path:
    """Return the name of a frame for messages."""
    return self.files[index]

  def read(self, order: range):
    """Yield (index, frame) for a range; a broken frame is a DataError."""
    for index in order:
      try:
        yield index, images.read_image(self.files[index])
      except images.DataError as error:
        yield index, error

  def frame(self, index: int) -> Frame:
    """Read one frame; raise a DataError if it is broken."""
    return images.read_image(self.files[index])


def natural_key(name: str) -> tuple[list[Any], str]:
  """Return a sort key that places `frame10` after `frame9`."""
  parts = re.split(r"([0-9]+)", name)
  parts[1::2] = map(int, parts[1::2])
  return parts, name  # the name fixes the order of `01` and `1`
