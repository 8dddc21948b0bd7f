"""Overlays of masks on their video: an mp4, and an animation for browsers."""

import pathlib

import rich.progress

from foregan_jax.media import animations, images, pictures
from foregan_jax.media import footage as footage_lib

_STEM = "overlay"
VIDEO_NAME, ANIMATION_NAME = animations.names(_STEM)


def write(
  footage: footage_lib.Footage, *, masks: pathlib.Path, out: pathlib.Path
) -> None:
  """Write `overlay.mp4` and `overlay.webp` unless both exist.

  See `animations.write`.

  Args:
    footage: the video.
    masks: folder with palette PNGs that have the names of the frames. A frame
      without a mask is copied unchanged.
    out: folder for the files.
  """
  if animations.exist(out, _STEM):
    return

  def draw_frames():
    for index, frame in rich.progress.track(
      footage, "drawing the overlay", total=footage.num_frames
    ):
      if isinstance(frame, images.DataError):
        continue
      path = masks / f"{footage.names[index]}.png"
      if path.exists():
        frame = pictures.overlay(frame, images.read_labels(path))
      yield index, frame

  animations.write(
    out, _STEM, draw_frames(), num_frames=footage.num_frames, fps=footage.fps
  )
