"""Overlays of masks on their video: an mp4, and an animation for browsers."""

import collections
import pathlib

import numpy as np
import rich.progress
from absl import logging

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, pictures, video_files

VIDEO_NAME = "overlay.mp4"
ANIMATION_NAME = "overlay.webp"
# Browsers keep a whole animation in memory.
_MAX_FRAMES = 150
_MAX_WIDTH = 480


def write(
  footage: footage_lib.Footage, *, masks: pathlib.Path, out: pathlib.Path
) -> None:
  """Write `overlay.mp4` and `overlay.webp` unless both exist.

  The mp4 contains every readable frame at full size; it needs PyAV. The
  animation has the same duration, but at most 150 evenly spaced frames of at
  most 480 pixels width.

  Args:
    footage: the video.
    masks: folder with palette PNGs that have the names of the frames. A frame
      without a mask is copied unchanged.
    out: folder for the files.
  """
  names = [ANIMATION_NAME] + [VIDEO_NAME] * video_files.can_write_mp4()
  if all((out / name).exists() for name in names):
    return
  stride = -(-footage.num_frames // _MAX_FRAMES)
  animation = []

  def draw_frames():
    for index, frame in rich.progress.track(
      footage, "drawing the overlay", total=footage.num_frames
    ):
      if isinstance(frame, images.DataError):
        continue
      path = masks / f"{footage.names[index]}.png"
      if path.exists():
        frame = pictures.overlay(frame, images.read_labels(path))
      # Not `index % stride == 0`, because that frame may be broken.
      if index >= stride * len(animation):
        animation.append(_shrink(frame))
      yield frame

  if VIDEO_NAME in names:
    video_files.write_mp4(out / VIDEO_NAME, draw_frames(), footage.fps)
  else:
    logging.info(
      "skipping %s, which needs PyAV: %s",
      VIDEO_NAME,
      video_files.INSTALL_COMMAND,
    )
    collections.deque(draw_frames(), maxlen=0)
  pictures.animate(
    out / ANIMATION_NAME, np.stack(animation), fps=footage.fps / stride
  )


def _shrink(frame: np.ndarray) -> np.ndarray:
  """Scale a frame to at most `_MAX_WIDTH` pixels of width."""
  height, width = frame.shape[:2]
  scale = min(1.0, _MAX_WIDTH / width)
  size = (max(1, round(scale * height)), max(1, round(scale * width)))
  return images.resize_image(frame, size)
