"""Found masks laid over their video: a film, and an animation for browsers."""

import collections
import pathlib

import numpy as np
import rich.progress
from absl import logging

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, pictures, video_files

FILM = "overlay.mp4"
ANIMATION = "overlay.webp"
# Browsers hold a whole animation in memory.
_MAX_STILLS = 150
_MAX_WIDTH = 480


def write(
  footage: footage_lib.Footage, *, masks: pathlib.Path, out: pathlib.Path
) -> None:
  """Writes `overlay.mp4` and `overlay.webp`, unless they are there.

  The film has every frame that can be read, at its own size; it needs PyAV.
  The animation takes as long, but has at most 150 frames of it, evenly chosen,
  at most 480 pixels wide.

  Args:
    footage: the video.
    masks: folder with palette PNGs by the names of the frames; a frame without
      one is shown as it is.
    out: gets the files.
  """
  wanted = [ANIMATION] + [FILM] * video_files.can_write_mp4()
  if all((out / name).exists() for name in wanted):
    return
  stride = -(-footage.num_frames // _MAX_STILLS)
  stills = []

  def draw():
    for index, frame in rich.progress.track(
      footage, "drawing the overlay", total=footage.num_frames
    ):
      if isinstance(frame, images.DataError):
        continue
      path = masks / f"{footage.names[index]}.png"
      if path.exists():
        frame = pictures.overlay(frame, images.read_labels(path))
      # Not a multiple of the stride: that frame may be broken.
      if index >= stride * len(stills):
        stills.append(_shrink(frame))
      yield frame

  if FILM in wanted:
    video_files.write_mp4(out / FILM, draw(), footage.fps)
  else:
    logging.info("no %s: this needs PyAV, %s", FILM, video_files.INSTALL)
    collections.deque(draw(), maxlen=0)
  pictures.animate(out / ANIMATION, np.stack(stills), fps=footage.fps / stride)


def _shrink(frame: np.ndarray) -> np.ndarray:
  """Scales a frame to at most 480 pixels of width."""
  height, width = frame.shape[:2]
  scale = min(1.0, _MAX_WIDTH / width)
  size = (max(1, round(scale * height)), max(1, round(scale * width)))
  return images.resize_image(frame, size)
