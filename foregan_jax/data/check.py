"""Find all problems of a data set at once, before a run stops at the first.

  python -m foregan_jax.data.check ROOT

ROOT is a DAVIS data set, a VOCdevkit, or holds both; or it is a folder of faces
(`face_folders`), or holds one; or a folder of pictures and masks
(`instance_folders`: salience); or of videos without masks
(`unlabelled_videos`). The command prints one line per problem, `file: reason`,
and exits with status 1 if there is any.
"""

import argparse
import collections
import concurrent.futures
import functools
import itertools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import rich.console
from rich import progress as rich_progress

from foregan_jax.data import (
  check_faces,
  check_videos,
  folders,
  instance_folders,
)
from foregan_jax.data import check_files as files
from foregan_jax.data import flow as flow_lib
from foregan_jax.media import images, paths

Problem = files.Problem
# A unit of work for the thread pool: one sequence, or a group of pictures.
Task = Callable[[], Iterator[Problem]]

# Threads often wait for the disk, so use more threads than cores.
_MIN_THREADS = 8
# FlowNet2 crops 854x480 to 832x448 (VOS-ForeGAN sec. 2.4): 4 % off.
_ASPECT_TOLERANCE = 0.05
_PICTURES_PER_TASK = 32
_VOC_MASKS = ("SegmentationObject", "SegmentationClass")


def check(
  root: str | os.PathLike, *, show_progress: bool = False
) -> list[Problem]:
  """Return all problems of the data sets under `root`, sorted by file."""
  root = pathlib.Path(root)
  if not root.is_dir():
    return [Problem(root, "folder does not exist")]
  tasks: list[Task] = []
  faces = check_faces.places(root)
  if root not in faces and _is_davis(root):
    tasks += _davis_tasks(root)
  for place in faces:
    tasks += check_faces.tasks(place)
  for devkit in _voc_folders(root):
    if devkit not in faces:
      tasks += _voc_tasks(devkit)
  if not tasks and check_videos.has_videos(root):
    tasks += check_videos.tasks(root)
  if not tasks and instance_folders.is_salient(root):
    tasks += _salient_tasks(root)
  if not tasks:
    return [
      Problem(
        root,
        "holds neither a DAVIS data set (JPEGImages/<resolution>/<video>) nor "
        "a VOCdevkit (<year>/SegmentationObject) nor faces nor pictures (.jpg) "
        "with masks (.png) nor videos",
      )
    ]
  run = lambda task: list(task())
  threads = max(_MIN_THREADS, os.cpu_count() or 1)
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    found = rich_progress.track(
      pool.map(run, tasks),
      "checking",
      total=len(tasks),
      disable=not show_progress,
      console=rich.console.Console(stderr=True),
      transient=True,
    )
    problems = [problem for group in found for problem in group]
  return sorted(set(problems))


def _is_davis(root: pathlib.Path) -> bool:
  frames = root / folders.FRAMES
  if _is_voc(root):
    return False  # A year folder of VOC has JPEGImages too, with files.
  return frames.is_dir() or (root / folders.MASKS).is_dir()


def _davis_tasks(root: pathlib.Path) -> Iterator[Task]:
  """Yield the checks of the lists, then of each sequence."""
  frames, masks = root / folders.FRAMES, root / folders.MASKS
  resolutions = files.subfolders(frames) | files.subfolders(masks)
  if not resolutions:
    yield lambda: iter([Problem(frames, "holds no resolution folder")])
  yield functools.partial(_check_lists, root)
  for resolution in sorted(resolutions):
    names = files.subfolders(frames / resolution)
    for name in sorted(names):
      yield functools.partial(_check_sequence, root, resolution, name)
    for name in sorted(files.subfolders(masks / resolution) - names):
      yield functools.partial(_orphan, masks / resolution / name)
    for folder in sorted(root.glob(f"OpticalFlow*/{resolution}/*")):
      if folder.name not in names:
        yield functools.partial(_orphan, folder)


def _orphan(folder: pathlib.Path) -> Iterator[Problem]:
  yield Problem(folder, f"sequence {folder.name} has no frames in JPEGImages")


def _check_lists(root: pathlib.Path) -> Iterator[Problem]:
  """Check that every listed sequence has frames."""
  lists = sorted((root / folders.LISTS).glob("*/*.txt"))
  lists = [path for path in lists if path.parent.name != "Segmentation"]
  if not lists:
    yield Problem(root / folders.LISTS, "no list of sequences (<year>/*.txt)")
  known = set()
  for resolution in files.subfolders(root / folders.FRAMES):
    known |= files.subfolders(root / folders.FRAMES / resolution)
  for path in lists:
    try:
      names = folders.read_list(path)
    except images.DataError as error:
      yield Problem(error.path, error.reason)
      continue
    for name in names:
      if name not in known:
        yield Problem(path, f"names sequence {name}, which has no frames")


def _check_sequence(
  root: pathlib.Path, resolution: str, name: str
) -> Iterator[Problem]:
  folder = root / folders.FRAMES / resolution / name
  frames = {}
  for path in files.list_files(folder):
    if path.suffix.lower() not in images.SUFFIXES:
      continue
    if not path.stem.isdecimal():
      yield Problem(path, "frame's name is not a number")
    elif path.stem in frames:
      yield Problem(path, f"{frames[path.stem].name} is the same frame")
    else:
      frames[path.stem] = path
  if not frames:
    yield Problem(folder, "sequence holds no frames (.jpg or .png)")
    return
  yield from files.missing_numbers(
    list(frames.values()), "frame", step=1, last=max(map(int, frames))
  )
  sizes = {}
  for stem, path in frames.items():
    sizes[stem], problems = files.try_image(path)
    yield from problems
  usual = _most_common(sizes.values())
  for stem, size in sizes.items():
    if size and usual:
      yield from files.compare_sizes(
        frames[stem], size, usual, "most frames of the sequence"
      )
  masks = root / folders.MASKS / resolution / name
  yield from _check_masks(masks, frames, usual)
  # The loader accepts other folders too, such as OpticalFlows/training.
  others = files.subfolders(root / folders.FRAMES) - {resolution}
  for flow in sorted(root.glob(f"OpticalFlow*/*/{name}")):
    if flow.parent.name not in others:
      yield from _check_flows(flow, frames, usual)


def _most_common(sizes) -> tuple[int, int] | None:
  counts = collections.Counter(size for size in sizes if size)
  return counts.most_common(1)[0][0] if counts else None


def _check_masks(
  folder: pathlib.Path,
  frames: dict[str, pathlib.Path],
  frame_size: tuple[int, int] | None,
) -> Iterator[Problem]:
  """Check that masks match their frames and the first one has an object."""
  first = min(frames, key=int)
  masks = {}
  for path in files.list_files(folder):
    if path.suffix.lower() == ".png":
      masks[path.stem] = path
    elif path.suffix.lower() in images.SUFFIXES:
      yield Problem(path, "mask is a JPEG, which corrupts ids; expected a PNG")
  if first not in masks:
    yield Problem(folder / f"{first}.png", "mask of the first frame is missing")
  numbers = sorted(int(stem) for stem in masks if stem in frames)
  if len(numbers) > 1:
    # Masks may exist for every fifth frame only: use their smallest spacing.
    yield from files.missing_numbers(
      [path for stem, path in masks.items() if stem.isdecimal()],
      "mask",
      step=min(b - a for a, b in itertools.pairwise(numbers)),
      last=max(map(int, frames)),
    )
  for stem, path in masks.items():
    if stem not in frames:
      yield Problem(path, "mask has no frame of the same name")
    yield from files.check_mask(path, frame_size, needs_object=stem == first)


def _check_flows(
  folder: pathlib.Path,
  frames: dict[str, pathlib.Path],
  frame_size: tuple[int, int] | None,
) -> Iterator[Problem]:
  """Check .flo files: one per transition, equal sizes, finite values."""
  flows = {int(p.stem): p for p in folder.glob("*.flo") if p.stem.isdecimal()}
  if not flows:
    return
  numbers = sorted(map(int, frames))
  digits = len(next(iter(flows.values())).stem)
  # A file for the last frame is allowed: FlowNet2 scripts often write one.
  for number in set(numbers[:-1]) - set(flows):
    yield Problem(folder / f"{number:0{digits}d}.flo", "flow is missing")
  for number in set(flows) - set(numbers):
    yield Problem(flows[number], "flow has no frame of the same number")
  sizes = {}
  for number, path in flows.items():
    try:
      sizes[number] = flow_lib.read_flo(path).shape[:2]
    except images.DataError as error:
      yield Problem(error.path, error.reason)
  usual = _most_common(sizes.values())
  for number, size in sizes.items():
    problems = list(
      files.compare_sizes(
        flows[number], size, usual, "most flows of the sequence"
      )
    )
    yield from problems
    if not problems and frame_size and not _same_aspect(size, frame_size):
      yield Problem(
        flows[number],
        f"flow of {size[1]}x{size[0]} has another aspect ratio than its frames "
        f"of {frame_size[1]}x{frame_size[0]}",
      )


def _same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
  ratio = size[0] * other[1] / (size[1] * other[0])
  return abs(ratio - 1) <= _ASPECT_TOLERANCE


def _voc_folders(root: pathlib.Path) -> list[pathlib.Path]:
  """Find the year folders: `root`, or those in it or in its VOCdevkit."""
  places = [root, *root.glob("*"), *root.glob("VOCdevkit/*")]
  return sorted(place for place in places if _is_voc(place))


def _is_voc(folder: pathlib.Path) -> bool:
  lists = folder / "ImageSets" / "Segmentation"
  return lists.is_dir() or (folder / "SegmentationObject").is_dir()


def _voc_tasks(root: pathlib.Path) -> Iterator[Task]:
  """Yield the checks of a VOC year folder: its lists, then its pictures."""
  pictures = {p.stem: p for p in files.list_files(root / folders.FRAMES)}
  masked = {
    p.stem for kind in _VOC_MASKS for p in files.list_files(root / kind)
  }
  listed = {}
  lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
  if not lists:
    empty = root / "ImageSets" / "Segmentation"
    yield lambda: iter([Problem(empty, "no list of pictures (*.txt)")])
  for path in lists:
    try:
      for name in images.read_text(path).split():
        listed.setdefault(name, path)
    except images.DataError as error:
      yield functools.partial(_found, error)
  names = sorted(set(pictures) | masked | set(listed))
  for start in range(0, len(names), _PICTURES_PER_TASK):
    group = names[start : start + _PICTURES_PER_TASK]
    yield functools.partial(
      _check_pictures, root, group, pictures, masked | set(listed), listed
    )


def _found(error: images.DataError) -> Iterator[Problem]:
  yield Problem(error.path, error.reason)


def _check_pictures(
  root: pathlib.Path,
  names: list[str],
  pictures: dict[str, pathlib.Path],
  needs_masks: set[str],
  listed: dict[str, pathlib.Path],
) -> Iterator[Problem]:
  """Check pictures, and the masks of those in a list or with one mask."""
  for name in names:
    size = None
    if name in pictures:
      size, problems = files.try_image(pictures[name])
      yield from problems
    else:
      origin = f" ({listed[name]} names it)" if name in listed else ""
      path = root / folders.FRAMES / f"{name}.jpg"
      yield Problem(
        path, f"picture is missing, a mask or list needs it{origin}"
      )
    if name in needs_masks:
      for kind in _VOC_MASKS:
        path = root / kind / f"{name}.png"
        yield from files.check_mask(path, size, needs_object=True)


def _salient_tasks(root: pathlib.Path) -> Iterator[Task]:
  """Yield the checks of a folder of pictures and masks."""
  try:
    pictures, masks = instance_folders.salient_files(root)
  except images.DataError as error:
    problem = Problem(error.path, error.reason)
    yield lambda: iter([problem])
    return
  names = sorted(pictures)
  for start in range(0, len(names), _PICTURES_PER_TASK):
    group = names[start : start + _PICTURES_PER_TASK]
    yield functools.partial(_check_salient, group, pictures, masks)


def _check_salient(
  names: list[str],
  pictures: dict[str, pathlib.Path],
  masks: dict[str, pathlib.Path],
) -> Iterator[Problem]:
  for name in names:
    size, problems = files.try_image(pictures[name])
    yield from problems
    if name not in masks:
      yield Problem(pictures[name], f"picture has no mask {name}.png")
      continue
    try:
      labels = instance_folders.read_salient(masks[name])
    except images.DataError as error:
      yield Problem(error.path, error.reason)
      continue
    if size is not None:
      yield from files.compare_sizes(
        masks[name], labels.shape, size, "its picture"
      )
    if not labels.any():
      yield Problem(masks[name], "mask holds no object")


def main(arguments: list[str] | None = None) -> int:
  """Run the command line and return its exit status."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.check",
    description="List every problem of a data set: DAVIS, VOC, faces, "
    "salience, or videos without masks.",
  )
  parser.add_argument("root", type=pathlib.Path, help="folder of the data set")
  root = parser.parse_args(arguments).root
  paths.print_any_name()
  problems = check(root, show_progress=sys.stderr.isatty())
  for problem in problems:
    print(f"{images.show_name(problem.path)}: {problem.reason}")
  if problems:
    print(f"{len(problems)} problems in {root}")
    return 1
  print(f"no problems in {root}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
