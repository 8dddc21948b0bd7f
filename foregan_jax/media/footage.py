"""A user's own video, frame by frame in constant memory: an mp4 or a folder.

A frame that is broken does not end the video: it is yielded as the error that
names it, and the rest goes on.
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

from foregan_jax.media import images, video_files

Frame = UInt8[np.ndarray, "h w 3"]

_FPS = 24.0  # of DAVIS; a folder does not say


class Footage:
  """The frames of a video.

  Iteration yields (index, frame): RGB uint8 [h, w, 3] of the video's size, or
  the DataError that says why this frame is missing.

  Attributes:
    path: the file or folder.
    names: of the frames: a picture's stem, or `00000`, `00001`, ...
    fps: frames per second; 24 for a folder.
    size: (h, w) of the first frame that can be read.
  """

  def __init__(self, path: str | os.PathLike):
    """Lists the frames and decodes the first.

    Args:
      path: any video that PyAV opens, or a folder with the frames as JPEG or
        PNG pictures, in order of the numbers in their names.

    Raises:
      DataError: if that is missing or no video of two frames at least.
    """
    self.path = pathlib.Path(path)
    if not self.path.exists():
      raise images.DataError(path, "video is missing")
    make = _Folder if self.path.is_dir() else video_files.Film
    self._source = make(self.path)
    self.names = tuple(self._source.names)
    self.fps = float(self._source.fps)
    if len(self.names) == 1:
      raise images.DataError(
        path, "video has one frame only, there is nothing to propagate"
      )
    self.size = self._find_size()

  @property
  def num_frames(self) -> int:
    """How many frames there are, broken ones included."""
    return len(self.names)

  @functools.cached_property
  def fingerprint(self) -> str:
    """Changes with the path, and with size or time of any file."""
    stats = [(p.name, p.stat()) for p in self._source.files]
    files = [(name, s.st_size, s.st_mtime_ns) for name, s in stats]
    text = repr((str(self.path.resolve()), files))
    return hashlib.sha256(text.encode()).hexdigest()

  def __iter__(self) -> Iterator[tuple[int, Frame | images.DataError]]:
    return self.read(range(self.num_frames))

  def read(
    self, order: range
  ) -> Iterator[tuple[int, Frame | images.DataError]]:
    """Yields the frames of a range, whose step is 1 or -1."""
    for index, frame in self._source.read(order):
      if not isinstance(frame, images.DataError):
        try:
          where = self._source.where(index)
          images.check_size(where, frame.shape[:2], self.size, "other frames")
        except images.DataError as error:
          frame = error
      yield index, frame

  def _find_size(self) -> tuple[int, int]:
    for _, frame in self._source.read(range(self.num_frames)):
      if not isinstance(frame, images.DataError):
        return frame.shape[:2]
    raise images.DataError(
      self.path, f"none of its {self.num_frames} frames can be read"
    )


class _Folder:
  """Pictures of a folder, in natural order; read like `video_files.Film`."""

  fps = _FPS

  def __init__(self, path: pathlib.Path):
    found = [
      p
      for p in path.iterdir()
      if p.suffix.lower() in images.SUFFIXES and not p.name.startswith(".")
    ]
    self.files = sorted(found, key=lambda p: _natural(p.stem))
    self.names = [p.stem for p in self.files]
    if not found:
      raise images.DataError(
        path, f"no picture ({', '.join(images.SUFFIXES)}) here"
      )
    for one, two in itertools.pairwise(self.files):
      if one.stem == two.stem:
        raise images.DataError(two, f"another frame is called {one.name}")

  def where(self, index: int) -> pathlib.Path:
    return self.files[index]

  def read(self, order: range):
    for index in order:
      try:
        yield index, images.read_image(self.files[index])
      except images.DataError as error:
        yield index, error


def _natural(name: str) -> tuple[list[Any], str]:
  """Sorts `frame10` behind `frame9`."""
  parts = re.split(r"([0-9]+)", name)
  parts[1::2] = map(int, parts[1::2])
  return parts, name  # `1` and `01` are told apart too
