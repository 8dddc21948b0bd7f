"""Paths of the files of a DAVIS data set: lists, frames, masks, flows.

This module opens no picture. The loader and the checker share it, so that both
agree on which files are missing.
"""

import dataclasses
import functools
import os
import pathlib
import zlib

from foregan_jax.media import images, paths

FRAMES = "JPEGImages"
MASKS = "Annotations"
LISTS = "ImageSets"
BACKGROUNDS = "Background"
YEARS = ("2017", "2016")  # only 2017 separates the objects
_FLOWS = "OpticalFlow*"


@dataclasses.dataclass(frozen=True)
class Video:
  """The files of one sequence.

  Attributes:
    name: the folder's name.
    frames: paths of the pictures in order of time.
    masks: the path of each frame's mask, None without one.
  """

  name: str
  frames: tuple[pathlib.Path, ...]
  masks: tuple[pathlib.Path | None, ...]

  @functools.cached_property
  def key(self) -> str:
    """Return the name plus a checksum of file names and sizes, for caches."""
    parts = [f"{path.name}:{path.stat().st_size}" for path in self.frames]
    return f"{self.name}-{zlib.crc32(';'.join(parts).encode()):08x}"


def find_resolution(root: pathlib.Path, resolution: str) -> str:
  """Return `resolution`, or the only folder of JPEGImages if it is "".

  Raises:
    DataError: if there is no such folder, or the choice is ambiguous.
  """
  folder = root / FRAMES
  if not folder.is_dir():
    raise images.DataError(
      root,
      f"no folder {FRAMES} here, expected a DAVIS data set with "
      f"{FRAMES}, {MASKS} and {LISTS}" + _suggestion(root),
    )
  found = sorted(_folders(folder))
  if resolution:
    if resolution not in found:
      raise images.DataError(
        folder, f"no resolution {resolution!r} here, only {found}"
      )
    return resolution
  if len(found) != 1:
    raise images.DataError(
      folder, f"set the resolution, there are {len(found)}: {found}"
    )
  return found[0]


def _suggestion(root: pathlib.Path) -> str:
  """Return a hint if the data set lies one folder below."""
  if not root.is_dir():
    return " (the folder does not exist)"
  for name in sorted(_folders(root)):
    if (root / name / FRAMES).is_dir():
      return f" (did you mean {root / name}?)"
  return ""


def _folders(path: pathlib.Path) -> list[str]:
  # Not `DirEntry.is_dir`, which raises an error for a link to itself.
  return [
    name
    for name in os.listdir(path)
    if not name.startswith(".") and (path / name).is_dir()
  ]


def find_list(
  root: pathlib.Path, year: str, split: str, resolution: str
) -> pathlib.Path:
  """Find the list of a split, in one of the two places of the releases.

  Raises:
    DataError: if there is no such list.
  """
  for name in (year, split):
    paths.check_name(name, root / LISTS)
  places = _list_places(root, year, split, resolution)
  for place in places:
    if place.is_file():
      return place
  present = sorted(
    str(path.relative_to(root)) for path in (root / LISTS).glob("*/*.txt")
  )
  hint = "".join(
    f"; set year={other} to use its list"
    for other in YEARS
    if any(p.is_file() for p in _list_places(root, other, split, resolution))
  )
  raise images.DataError(
    places[0],
    f"list of split {split!r} is missing, there are only {present}{hint}",
  )


def _list_places(
  root: pathlib.Path, year: str, split: str, resolution: str
) -> list[pathlib.Path]:
  """Return the paths at which the releases have the list."""
  places = [root / LISTS / year / f"{split}.txt"]
  if year == "2016":  # The 2016 release names the folder by resolution.
    places.append(root / LISTS / resolution / f"{split}.txt")
  return places


def read_list(path: pathlib.Path) -> list[str]:
  """Read the sequence names of a list in order, without duplicates.

  A line is a name, or as in 2016 `/JPEGImages/480p/bear/00000.jpg ...`.

  Raises:
    DataError: if the list is missing, empty or not UTF-8, or has a name that
      leaves the folder of the sequences.
  """
  names = {}
  for line in images.read_text(path).splitlines():
    fields = line.split()
    if not fields:
      continue
    parts = [part for part in fields[0].split("/") if part]
    name, *_ = parts[-2:] or [""]  # the folder of the file, or the name alone
    names[paths.check_name(name, path)] = None
  if not names:
    raise images.DataError(path, "list is empty, expected sequence names")
  return list(names)


def list_frames(folder: pathlib.Path) -> list[pathlib.Path]:
  """List a sequence's pictures in order of time.

  Raises:
    DataError: if there is no picture, or the numbering has gaps.
  """
  frames = sorted(
    path
    for path in map(pathlib.Path, _files(folder))
    if path.suffix.lower() in images.SUFFIXES
  )
  if not frames:
    raise images.DataError(folder, "sequence holds no frames (.jpg or .png)")
  for path in frames:
    if not path.stem.isdecimal():
      raise images.DataError(path, "frame's name is not a number")
  numbers = [int(path.stem) for path in frames]
  for before, after, path in zip(
    numbers, numbers[1:], frames[1:], strict=False
  ):
    if after != before + 1:
      raise images.DataError(
        path, f"frame follows number {before}, expected {before + 1}"
      )
  return frames


def _files(folder: pathlib.Path) -> list[str]:
  with os.scandir(folder) as entries:
    return [e.path for e in entries if not e.name.startswith(".")]


def scan(root: pathlib.Path, resolution: str, name: str) -> Video:
  """Find the files of one sequence.

  Raises:
    DataError: if the folder, all its frames, or its first mask is missing.
  """
  folder = root / FRAMES / resolution / name
  if not folder.is_dir():
    raise images.DataError(folder, f"sequence {name} is missing")
  frames = list_frames(folder)
  masks = root / MASKS / resolution / name
  present = set(os.listdir(masks)) if masks.is_dir() else set()
  found = [
    masks / f"{frame.stem}.png" if f"{frame.stem}.png" in present else None
    for frame in frames
  ]
  if found[0] is None:
    raise images.DataError(
      masks / f"{frames[0].stem}.png",
      f"sequence {name} has no mask for its first frame",
    )
  return Video(name=name, frames=tuple(frames), masks=tuple(found))


def find_background(
  root: pathlib.Path, resolution: str, video: Video, t: int
) -> pathlib.Path | None:
  """Find the picture of the true background of frame t; None without one.

  The demo data have it in `Background/<res>/<video>`, under the frame's name.
  DAVIS has no true backgrounds.
  """
  folder = root / BACKGROUNDS / resolution / video.name
  stem = video.frames[t].stem
  places = (folder / f"{stem}{suffix}" for suffix in images.SUFFIXES)
  return next((place for place in places if place.is_file()), None)


def find_flo(
  root: pathlib.Path, resolution: str, video: Video
) -> tuple[pathlib.Path, ...] | None:
  """Find the .flo files of a sequence: file k = flow from frame k to k+1.

  They lie in `OpticalFlow*/<res>/<video>`, or in `OpticalFlow*/*/<video>`
  (VOS-ForeGAN has `OpticalFlows/training`). Names have five or six digits.

  Returns:
    One path per transition, or None if the sequence has no such folder.

  Raises:
    DataError: if the folder exists, but a file is missing.
  """
  folder = find_flow_folder(root, resolution, video.name)
  if folder is None:
    return None
  present = {
    int(path.stem): path
    for path in folder.glob("*.flo")
    if path.stem.isdecimal()
  }
  numbers = [int(path.stem) for path in video.frames[:-1]]
  for number in numbers:
    if number not in present:
      raise images.DataError(
        folder / f"{number:05d}.flo",
        f"flow of frame {number} to {number + 1} is missing",
      )
  return tuple(present[number] for number in numbers)


def find_flow_folder(
  root: pathlib.Path, resolution: str, name: str
) -> pathlib.Path | None:
  """Find the folder with the .flo files of a sequence; None without one."""
  for pattern in (f"{_FLOWS}/{resolution}/{name}", f"{_FLOWS}/*/{name}"):
    for folder in sorted(root.glob(pattern)):
      if next(folder.glob("*.flo"), None) is not None:
        return folder
  return None
