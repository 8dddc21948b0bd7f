"""The videos of a folder, without masks: found, opened and read by frame.

Layouts: a DAVIS folder (`JPEGImages`, `ImageSets`); or videos directly in
ROOT/train and ROOT/val (or ROOT/test); or videos directly in ROOT, of which a
fifth is for evaluation. A video is a folder with its frames as pictures, a file
that PyAV can open, or a picture with square frames side by side. Its identity
is its name up to the first `#`.
"""

import functools
import pathlib
import random
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import folders
from foregan_jax.media import footage, images, paths, video_files

_MARK = "#"  # ends the identity in a name
_TRAIN = "train"
_OTHER_NAMES = {"val": "test"}  # of a split's folder
_HELD_OUT = 0.2  # of the identities, if there are no folders of splits
_MAX_OPEN = 256  # videos whose list of frames is kept

Frame = UInt8[np.ndarray, "h w 3"]


class Strip:
  """A picture with square frames side by side.

  Attributes:
    path: the picture.
    num_frames: its width over its height.
  """

  def __init__(self, path: pathlib.Path):
    """Read the size of the picture.

    Raises:
      DataError: if it is broken, or has no two square frames.
    """
    self.path = path
    height, width = images.read_image(path).shape[:2]
    self.num_frames, rest = divmod(width, height)
    if rest or self.num_frames < 2:
      raise images.DataError(
        path,
        f"size is {width}x{height}, expected two or more square frames side "
        "by side",
      )

  def frame(self, index: int) -> Frame:
    """Read one frame."""
    # Many strips are open, so their pictures are not kept.
    return self.frames()[index]

  def frames(self) -> list[Frame]:
    """Read all frames."""
    picture = images.read_image(self.path)
    return np.split(picture, self.num_frames, axis=1)


Video = footage.Footage | Strip


class Videos:
  """The videos of one split.

  Attributes:
    paths: of the videos.
    names: of the videos, without endings.
    identities: the numbers of the videos of each identity.
  """

  def __init__(
    self, root: pathlib.Path, *, split: str, year: str, resolution: str
  ):
    """Find the videos; none is opened yet.

    Args:
      root: a folder, see above.
      split: `train`, `val` or another folder or list.
      year: of the lists of a DAVIS folder.
      resolution: of a DAVIS folder; "": the only one.

    Raises:
      DataError: if there is no such folder, list or video.
    """
    if not root.is_dir():
      raise images.DataError(root, "folder does not exist")
    if (root / folders.FRAMES).is_dir():
      self.paths = _listed(root, split, year, resolution)
    else:
      self.paths = _found(root, split)
    self.names = tuple(map(_name, self.paths))
    number = {path: i for i, path in enumerate(self.paths)}
    self.identities = tuple(
      tuple(number[path] for path in group)
      for group in _by_identity(self.paths).values()
    )
    self._open = functools.lru_cache(_MAX_OPEN)(open_video)

  def num_frames(self, index: int) -> int:
    """Return the number of frames of a video.

    Raises:
      DataError: if the video cannot be opened.
    """
    return self._open(self.paths[index]).num_frames

  def frame_names(self, index: int) -> tuple[str, ...]:
    """Return the names of the frames of a video; none for a strip.

    Raises:
      DataError: if the video cannot be opened.
    """
    video = self._open(self.paths[index])
    return () if isinstance(video, Strip) else video.names

  def frame(self, index: int, time: int) -> Frame:
    """Read one frame.

    Raises:
      DataError: if it is broken, or has another size than other frames.
    """
    return self._open(self.paths[index]).frame(time)

  def frames(self, index: int) -> Iterator[Frame]:
    """Read all frames of a video in order.

    Raises:
      DataError: as `frame`.
    """
    video = self._open(self.paths[index])
    if isinstance(video, Strip):
      yield from video.frames()
      return
    for _, frame in video:
      if isinstance(frame, images.DataError):
        raise frame
      yield frame


def _name(path: pathlib.Path) -> str:
  """Return the name without the ending; names of folders may have one too."""
  known = path.suffix.lower() in (*video_files.SUFFIXES, *images.SUFFIXES)
  return path.stem if known else path.name


def open_video(path: pathlib.Path) -> Video:
  """Open a video.

  Raises:
    DataError: if it is broken, or has less than two frames.
  """
  if path.is_file() and path.suffix.lower() in images.SUFFIXES:
    return Strip(path)
  return footage.Footage(path)


def _listed(
  root: pathlib.Path, split: str, year: str, resolution: str
) -> tuple[pathlib.Path, ...]:
  """Return the folders of the videos in a list of a DAVIS folder."""
  resolution = folders.find_resolution(root, resolution)
  path = folders.find_list(root, year, split, resolution)
  place = root / folders.FRAMES / resolution
  return tuple(place / name for name in folders.read_list(path))


def _found(root: pathlib.Path, split: str) -> tuple[pathlib.Path, ...]:
  """Return the videos of a split's folder, or a share of those in `root`."""
  paths.check_name(split, root)
  for name in (split, _OTHER_NAMES.get(split, split)):
    if (root / name).is_dir():
      return list_videos(root / name)
  if (root / _TRAIN).is_dir() or split not in (_TRAIN, *_OTHER_NAMES):
    raise images.DataError(root / split, "there is no folder of this split")
  groups = _by_identity(list_videos(root))
  names = sorted(groups)
  random.Random(0).shuffle(names)
  held_out = max(1, round(_HELD_OUT * len(names)))
  if held_out == len(names):
    raise images.DataError(
      root,
      "has one video only, expected several: some for training and some for "
      f"evaluation; or folders {_TRAIN} and val",
    )
  chosen = names[held_out:] if split == _TRAIN else names[:held_out]
  return tuple(path for name in sorted(chosen) for path in groups[name])


def places(root: pathlib.Path) -> list[pathlib.Path]:
  """Return the folders with the videos of `root`: of its splits, or itself."""
  names = (_TRAIN, *_OTHER_NAMES, *_OTHER_NAMES.values())
  splits = [root / name for name in names if (root / name).is_dir()]
  return splits or [root]


def list_videos(folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
  """Return the paths of the videos in a folder.

  Raises:
    DataError: if there is none.
  """
  suffixes = (*video_files.SUFFIXES, *images.SUFFIXES)
  found = [
    path
    for path in folder.iterdir()
    if not path.name.startswith(".")
    and (path.is_dir() or path.suffix.lower() in suffixes)
  ]
  if not found:
    raise images.DataError(
      folder,
      "has no videos: expected folders of frames, video files "
      f"({', '.join(video_files.SUFFIXES)}), or strips of frames",
    )
  return tuple(sorted(found))


def _by_identity(
  paths: tuple[pathlib.Path, ...],
) -> dict[str, list[pathlib.Path]]:
  """Group videos by the name up to the mark."""
  groups: dict[str, list[pathlib.Path]] = {}
  for path in paths:
    groups.setdefault(_name(path).split(_MARK)[0], []).append(path)
  return groups
