"""Many videos with a mask each, divided among processes, and their summary."""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, overlays, paths, tables, video_files
from foregan_jax.predictors import results

SUMMARY = "summary.csv"
_COLUMNS = (
  "video", "frames", "objects", "confidence", "least_confidence", "least_frame"
)  # fmt: skip
_MOST_NAMED = 5  # names in an error


@dataclasses.dataclass(frozen=True)
class Job:
  """A video to segment.

  Attributes:
    name: of the video, and of its folder of results.
    video: a video file, or a folder of frames.
    mask: of one frame.
    frame: the name of this frame; "" for the first one.
  """

  name: str
  video: pathlib.Path
  mask: pathlib.Path
  frame: str = ""

  def masks(self, footage: footage_lib.Footage) -> dict[int, pathlib.Path]:
    """Return the mask by the index of its frame.

    Raises:
      DataError: if the video has no frame of the mask's name.
    """
    if not self.frame:
      return {0: self.mask}
    if self.frame not in footage.names:
      raise images.DataError(
        self.mask, f"{footage.path} has no frame named {self.frame}"
      )
    return {footage.names.index(self.frame): self.mask}


def find(videos: pathlib.Path, masks: pathlib.Path) -> list[Job]:
  """Return the videos of a folder, sorted by name, with their masks.

  Args:
    videos: a folder with video files or folders of frames. A DAVIS folder has
      it below `JPEGImages`.
    masks: a folder with a mask `NAME.png` of the first frame of each video, or
      a folder `NAME` whose first PNG is the mask of the frame of the same name,
      as below `Annotations` of DAVIS. Its other masks are not used.

  Raises:
    DataError: if a folder is missing, there is no video, two videos have the
      same name, or videos have no mask.
  """
  for folder in (videos, masks):
    if not folder.is_dir():
      raise images.DataError(folder, "folder does not exist")
  jobs: dict[str, Job] = {}
  for path in sorted(videos.iterdir()):
    if path.name.startswith("."):
      continue
    if path.is_dir():
      name = path.name
    elif path.suffix.lower() in video_files.SUFFIXES:
      name = path.stem
    else:
      continue
    paths.check_name(name, videos)
    if name in jobs:
      raise images.DataError(
        path, f"has the name of {jobs[name].video}; rename one of them"
      )
    jobs[name] = Job(name, path, *_find_mask(masks, name))
  missing = [job.name for job in jobs.values() if not job.mask.exists()]
  if not jobs:
    raise images.DataError(
      videos,
      "has no videos: expected folders of frames, or video files "
      f"({', '.join(video_files.SUFFIXES)})",
    )
  if missing:
    named = ", ".join(missing[:_MOST_NAMED])
    more = len(missing) - _MOST_NAMED
    raise images.DataError(
      masks,
      f"has no mask for {named}{f' and {more} more' if more > 0 else ''}: "
      "expected NAME.png, or a folder NAME with the mask of one frame",
    )
  return list(jobs.values())


def _find_mask(masks: pathlib.Path, name: str) -> tuple[pathlib.Path, str]:
  """Return the mask of a video, which may be missing, and its frame's name."""
  visible = (masks / name).glob("[!.]*.png")
  found = sorted(visible, key=lambda path: footage_lib.natural_key(path.stem))
  single = masks / f"{name}.png"
  if single.exists() or not found:
    return single, ""
  return found[0], found[0].stem


def write_summary(jobs: Sequence[Job], out: pathlib.Path) -> int:
  """Write a table with a row for each finished video; return their number.

  Every process writes it when it is done. Columns: name, frames with a mask,
  objects, the mean of the frames' confidences (see `results`), and the lowest
  one with its frame. A video counts as finished with the results of an earlier
  call, until it is replaced.
  """
  while True:
    rows = _rows(jobs, out)
    tables.write(out / SUMMARY, [_COLUMNS, *rows])
    # Another process may have finished a video meanwhile, and have written its
    # table before this one.
    if rows == _rows(jobs, out):
      return len(rows)


def _rows(jobs: Sequence[Job], out: pathlib.Path) -> list[list[object]]:
  """Return the rows of the finished videos."""
  rows = []
  for job in jobs:
    # The animation is written last.
    finished = (out / job.name / overlays.ANIMATION_NAME).is_file()
    if finished and (columns := _summary(out / job.name / results.TABLE)):
      rows.append([job.name, *columns])
  return rows


def _summary(table: pathlib.Path) -> tuple[object, ...]:
  """Return the columns after the name; () if another process is writing."""
  try:
    with open(table, newline="", encoding="utf-8") as file:
      rows = list(csv.DictReader(file))
  except FileNotFoundError:
    return ()
  if not rows:
    return ()
  objects = sum(name.startswith("area_") for name in rows[0])
  known = [row for row in rows if row["confidence"]]
  if not known:
    return len(rows), objects, "", "", ""
  value = lambda row: float(row["confidence"])
  mean = sum(map(value, known)) / len(known)
  least = min(known, key=value)
  return (
    len(rows), objects, f"{mean:.4f}", least["confidence"], least["name"]
  )  # fmt: skip
