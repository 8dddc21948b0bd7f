"""Checks of folders of videos without masks; see `unlabelled_videos`."""

import functools
import pathlib
from collections.abc import Callable, Iterator

import cv2

from foregan_jax.data import check_files as files
from foregan_jax.data import unlabelled_videos
from foregan_jax.media import footage, images, video_files

_JPEG = (".jpg", ".jpeg")


def has_videos(root: pathlib.Path) -> bool:
  """Return whether a folder has videos, and no pictures with masks.

  Folders with frames and salience data sets look alike. The latter have masks,
  which are PNGs beside JPEGs; or their pictures lie in one folder.
  """
  places = unlabelled_videos.places(root)
  entries = [path for place in places for path in _visible(place)]
  if any(path.suffix.lower() in video_files.SUFFIXES for path in entries):
    return True
  if places != [root]:
    return bool(entries)
  kinds = [path.suffix.lower() for path in entries if path.is_file()]
  if {*kinds} & {*_JPEG}:
    return False
  kinds += [
    kind
    for path in entries
    if path.is_dir()
    for kind in {p.suffix.lower() for p in path.iterdir()}
  ]
  count = sum(kind in images.SUFFIXES for kind in kinds)
  masked = ".png" in kinds and bool({*kinds} & {*_JPEG})
  return count > 1 and not masked


def tasks(root: pathlib.Path) -> Iterator[Callable[[], Iterator]]:
  """Yield a check per video."""
  for place in unlabelled_videos.places(root):
    try:
      found = unlabelled_videos.list_videos(place)
    except images.DataError as error:
      problem = files.Problem(error.path, error.reason)
      yield functools.partial(iter, [problem])
      continue
    for path in found:
      yield functools.partial(_check, path)


def _check(path: pathlib.Path) -> Iterator[files.Problem]:
  """Check that all frames can be read, have one size, and differ."""
  try:
    video = unlabelled_videos.open_video(path)
  except images.DataError as error:
    yield files.Problem(error.path, error.reason)
    return
  strip = isinstance(video, unlabelled_videos.Strip)
  frames = enumerate(video.frames()) if strip else video
  reference, motion = None, 0.0
  for _, frame in frames:
    if isinstance(frame, images.DataError):
      yield files.Problem(frame.path, frame.reason)
    elif reference is None:
      reference = frame
    else:
      motion = max(motion, float(cv2.absdiff(frame, reference).mean()))
  if motion < footage.LEAST_MOTION:
    yield files.Problem(path, "video does not move: all frames are equal")


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
  return [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
