"""Animation of a picture by a video, as files.

    frames/<frame>.png       the animated source: an RGB PNG, as large as the
                             images of the training
    masks/<frame>.png        the soft mask of the object: a grey PNG
    swapped/<frame>.png      the object in front of the new background; only
                             with one
    animation.mp4            the result as a video (needs PyAV)
    animation.webp           the same for browsers: at most 150 frames
    sheet.png                some frames: source, driving frame, mask, result
    animate.npz              the progress of an interrupted call, and the names
                             that earlier calls wrote

`<frame>` is the name of a driving frame; see `results`. A frame that cannot be
read has no pictures.
"""

import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import rich.progress
from absl import logging

from foregan_jax.media import (
  animations,
  images,
  pictures,
  selection,
  video_files,
)
from foregan_jax.media import footage as footage_lib
from foregan_jax.predictors import animator as animator_lib
from foregan_jax.predictors import output_folder, resume

SNAPSHOT_NAME = "animate.npz"
FRAMES, MASKS, SWAPPED = "frames", "masks", "swapped"
SHEET = "sheet.png"
_STEM = "animation"
_FORMAT = 1  # of the results; after a change, old results are replaced
_SAVE_EVERY = 8  # batches
_NUM_ROWS = 6  # of the sheet


@dataclasses.dataclass(frozen=True)
class Given:
  """A picture from the user.

  Attributes:
    path: its file, or the video that begins with it.
    image: uint8 RGB [h, w, 3].
    fingerprint: of the content.
  """

  path: pathlib.Path
  image: np.ndarray
  fingerprint: str


def read_picture(path: pathlib.Path) -> Given:
  """Read a picture.

  Raises:
    DataError: if it is broken, or has transparent pixels.
  """
  image = images.read_opaque_image(path)
  digest = hashlib.sha256(images.read_bytes(path)).hexdigest()
  return Given(path, image, digest)


def read_source(path: pathlib.Path) -> Given:
  """Read a picture, or the first frame of a video.

  Raises:
    DataError: as `read_picture`, or if the video or its first frame is broken.
  """
  if path.is_dir() or path.suffix.lower() in video_files.SUFFIXES:
    video = footage_lib.Footage(path)
    return Given(path, video.frame(0), video.fingerprint)
  return read_picture(path)


def write(
  animator: animator_lib.Animator,
  *,
  source: Given,
  footage: footage_lib.Footage,
  background: Given | None,
  hole: str,
  out: pathlib.Path,
  description: str,
) -> list[str]:
  """Write the animation of a picture by a video.

  Of pictures that are not square, only the central square is used; a warning
  names them. A video that does not move gets a warning, too.

  An interrupted call continues when it is repeated, with the same results. A
  call with other inputs replaces the results of earlier calls.

  Args:
    animator: the networks.
    source: whose object is animated.
    footage: the driving video.
    background: the new background; None: keep that of the source.
    hole: what is cut out of the new background, one of `tasks.HOLES`.
    out: the output folder; see above.
    description: of the animator. It is a part of the inputs.

  Returns:
    One sentence per frame that could not be read.

  Raises:
    ValueError: if a picture does not fit, or as `propagate.write` for `out`.
  """
  given = [source, *([background] if background else [])]
  scene = animator.scene(
    source.image,
    background.image if background else None,
    hole,
    names=(str(source.path), str(background.path if background else "")),
  )
  for path, size in [(g.path, g.image.shape[:2]) for g in given] + [
    (footage.path, footage.size)
  ]:
    _warn_of_crop(path, size)
  inputs = (
    _FORMAT, footage.fingerprint, [g.fingerprint for g in given],
    hole if background else "", description,
  )  # fmt: skip
  digest = hashlib.sha256(repr(inputs).encode()).hexdigest()
  file = resume.SnapshotFile(out / SNAPSHOT_NAME, digest)
  results = Results(
    out,
    names=footage.names,
    swapped=background is not None,
    earlier=file.read_written(unlisted=()),
  )
  results.check_places([footage.path, *(g.path for g in given)])
  snapshot = file.load()
  if not (snapshot and results.are_complete(snapshot)):
    results.check_free()
    snapshot = resume.Snapshot(
      leaves=[np.zeros((), np.float32)], written=results.replaced
    )
    # Before any result, because it marks the results as those of this program.
    file.save(snapshot)
    results.clear()
  snapshot.written = results.written
  results.remove_unfinished()
  if snapshot.done < footage.num_frames:
    _animate(animator, scene, footage, results, file, snapshot)
  if snapshot.leaves[0] < footage_lib.LEAST_MOTION:
    logging.warning(
      "%s does not move, so the animation does not move either",
      images.show_name(footage.path),
    )
  results.write_videos(footage.fps)
  results.write_sheet(scene, footage, animator)
  return [snapshot.unreadable[i] for i in sorted(snapshot.unreadable)]


class Results(output_folder.OutputFolder):
  """The pictures of an animation, and what is made of them.

  Attributes:
    shown: folder of the pictures that the videos show.
  """

  def __init__(
    self,
    out: pathlib.Path,
    *,
    names: Sequence[str],
    swapped: bool,
    earlier: Sequence[str],
  ):
    """Set the paths; write nothing yet.

    Args:
      out: the output folder.
      names: of the frames.
      swapped: whether the background is swapped.
      earlier: names of files and folders that an earlier call wrote to `out`.
    """
    files = (*animations.names(_STEM), SHEET)
    super().__init__(
      out,
      folders=(FRAMES, MASKS, SWAPPED),
      files=files,
      written=(FRAMES, MASKS, *([SWAPPED] if swapped else []), *files),
      earlier=earlier,
    )
    self.shown = out / (SWAPPED if swapped else FRAMES)
    self._names = names

  def are_complete(self, snapshot: resume.Snapshot) -> bool:
    """Return whether frames are done and all of their pictures still exist."""
    readable = set(range(snapshot.done)) - set(snapshot.unreadable)
    return snapshot.done > 0 and all(
      pictures.is_whole_png(self._path(folder, index))
      for index in readable
      for folder in self.folders
    )

  def write(self, indices: Sequence[int], made: animator_lib.Frames) -> None:
    """Write the pictures of some frames."""
    for i, index in enumerate(indices):
      pictures.save_png(self._path(self.out / FRAMES, index), made.images[i])
      pictures.save_grey(self._path(self.out / MASKS, index), made.masks[i])
      if made.swapped is not None:
        path = self._path(self.out / SWAPPED, index)
        pictures.save_png(path, made.swapped[i])

  def write_videos(self, fps: float) -> None:
    """Write the mp4 and the animation, unless both exist."""
    if animations.exist(self.out, _STEM):
      return
    frames = (
      (index, images.read_image(path)) for index, path in self._written()
    )
    animations.write(
      self.out, _STEM, frames, num_frames=len(self._names), fps=fps
    )

  def write_sheet(self, scene, footage, animator) -> None:
    """Write the sheet, unless it exists."""
    if (self.out / SHEET).exists():
      return
    written = [index for index, _ in self._written()]
    rows = []
    for place in selection.evenly_spaced(len(written), _NUM_ROWS):
      index = written[place]
      name = f"{self._names[index]}.png"
      driving = animator.square(footage.frame(index), name)
      row = [scene.source, driving]
      row += [images.read_image(folder / name) for folder in self._shown()]
      if scene.background is not None:
        row.insert(4, scene.background)
      rows.append([pictures.enlarge(picture) for picture in row])
    columns = ["source", "driving", "mask", "animated"]
    if scene.background is not None:
      columns += ["background", "swapped"]
    sheet = pictures.contact_sheet(rows, columns=columns)
    pictures.save_png(self.out / SHEET, sheet)

  def _shown(self) -> list[pathlib.Path]:
    """Return the folders of the sheet, in its order."""
    folders = [self.out / MASKS, self.out / FRAMES]
    return folders + [self.shown] * (SWAPPED in self.written)

  def _written(self) -> Iterator[tuple[int, pathlib.Path]]:
    """Yield the index and the picture of every frame that has one."""
    for index in range(len(self._names)):
      path = self._path(self.shown, index)
      if path.exists():
        yield index, path

  def _path(self, folder: pathlib.Path, index: int) -> pathlib.Path:
    # Not with_suffix, because names may contain dots.
    return folder / f"{self._names[index]}.png"


def _animate(
  animator, scene, footage, results, file, snapshot: resume.Snapshot
) -> None:
  """Animate from a snapshot to the end; write pictures and snapshots."""
  reference = next(
    animator.square(frame, "frame")
    for _, frame in footage
    if not isinstance(frame, images.DataError)
  ).astype(np.float32)
  rest = footage.read(range(snapshot.done, footage.num_frames))
  with rich.progress.Progress() as bar:
    task = bar.add_task(
      "animating", total=footage.num_frames, completed=snapshot.done
    )
    for number in itertools.count(1):
      # `done` is a multiple of a batch, so a continued call has the same ones.
      batch = list(itertools.islice(rest, animator_lib.BATCH))
      if not batch:
        break
      driving = {}
      for index, frame in batch:
        if isinstance(frame, images.DataError):
          snapshot.unreadable[index] = str(frame)
        else:
          driving[index] = animator.square(frame, "frame")
      if driving:
        stack = np.stack(list(driving.values()))
        results.write(list(driving), animator.run(scene, stack))
        motion = np.abs(stack - reference).mean((1, 2, 3)).max()
        snapshot.leaves = [np.maximum(snapshot.leaves[0], motion)]
      snapshot.done += len(batch)
      if number % _SAVE_EVERY == 0:
        file.save(snapshot)
      bar.advance(task, len(batch))
  file.save(snapshot)


def _warn_of_crop(path: pathlib.Path, size: tuple[int, int]) -> None:
  height, width = size
  if height != width:
    side = min(size)
    logging.warning(
      "%s has %dx%d pixels, but the model makes squares: only the central "
      "%dx%d pixels are used",
      images.show_name(path), width, height, side, side,
    )  # fmt: skip
