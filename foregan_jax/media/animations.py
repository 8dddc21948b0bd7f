"""A video as an mp4 for players, and as an animation for browsers."""

import collections
import pathlib
from collections.abc import Iterable

import numpy as np
from absl import logging

from foregan_jax.media import images, pictures, video_files

# Browsers keep a whole animation in memory.
_MAX_FRAMES = 150
_MAX_WIDTH = 480


def names(stem: str) -> tuple[str, str]:
  """Return the names of the mp4 and of the animation."""
  return f"{stem}.mp4", f"{stem}.webp"


def exist(out: pathlib.Path, stem: str) -> bool:
  """Return whether all files that `write` can write exist."""
  video, animation = names(stem)
  wanted = [animation] + [video] * video_files.can_write_mp4()
  return all((out / name).exists() for name in wanted)


def write(
  out: pathlib.Path,
  stem: str,
  frames: Iterable[tuple[int, video_files.Frame]],
  *,
  num_frames: int,
  fps: float | int,
) -> None:
  """Write `STEM.mp4` and `STEM.webp`.

  The mp4 contains every frame at full size; it needs PyAV. The animation has
  the same duration, but at most 150 evenly spaced frames of at most 480 pixels
  width.

  Args:
    out: folder for the files.
    stem: of their names.
    frames: index and frame, uint8 RGB [h, w, 3] of one size, in order; some
      may be missing.
    num_frames: of the video, with the missing ones.
    fps: frames per second.
  """
  stride = -(-num_frames // _MAX_FRAMES)
  chosen: list[np.ndarray] = []

  def keep_some():
    for index, frame in frames:
      # Not `index % stride == 0`, because that frame may be missing.
      if index >= stride * len(chosen):
        chosen.append(_shrink(frame))
      yield frame

  video, animation = names(stem)
  if video_files.can_write_mp4():
    video_files.write_mp4(out / video, keep_some(), fps)
  else:
    logging.info(
      "skipping %s, which needs PyAV: %s", video, video_files.INSTALL_COMMAND
    )
    collections.deque(keep_some(), maxlen=0)
  pictures.animate(out / animation, np.stack(chosen), fps=fps / stride)


def _shrink(frame: np.ndarray) -> np.ndarray:
  """Scale a frame to at most `_MAX_WIDTH` pixels of width."""
  height, width = frame.shape[:2]
  scale = min(1.0, _MAX_WIDTH / width)
  size = (max(1, round(scale * height)), max(1, round(scale * width)))
  return images.resize_image(frame, size)
