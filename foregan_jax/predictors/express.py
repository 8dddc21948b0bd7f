"""Faces of pictures or a video with another expression, as files.

    edited/NAME.png     the edited picture, in its own size
    compared/NAME.png   the original on the left, the edited one on the right
    edited.mp4          of a video: the edited frames (needs PyAV)
    edited.webp         the same for browsers: at most 150 frames
    sheet.png           some originals and edited pictures

A comment in the PNG files of each edited face marks them as edited.
"""

import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import rich.progress

from foregan_jax.data import face_folders
from foregan_jax.media import (
  animations,
  footage,
  images,
  paths,
  pictures,
  selection,
)
from foregan_jax.predictors import (
  face_editor,
  face_pictures,
  output_folder,
)

_EDITED, _COMPARED = "edited", "compared"
_NUM_SHOWN = 8
_SHOWN_SIDE = 192

_Item = tuple[str, np.ndarray | images.DataError]


def of_folder(reader: face_folders.Reader) -> Iterator[_Item]:
  """Yield the name of each picture, and the picture or why it is broken."""
  for i, name in enumerate(reader.names):
    try:
      yield name, reader.image(i)
    except images.DataError as error:
      yield name, error


def of_video(video: footage.Footage) -> Iterator[_Item]:
  """Yield the name of each frame, and the frame or why it is broken."""
  for i, frame in video:
    yield video.names[i], frame


def write(
  editor: face_editor.FaceEditor,
  items: Iterable[_Item],
  *,
  find_parts: face_pictures.FindParts,
  expression: str,
  out: pathlib.Path,
  count: int,
  fps: float = 0.0,
) -> list[str]:
  """Write edited pictures; results of an earlier call are replaced.

  Args:
    editor: the networks.
    items: of `of_folder` or `of_video`.
    find_parts: returns the parts of a picture.
    expression: what the faces shall show.
    out: the output folder; see above.
    count: number of items.
    fps: frames per second of a video; 0: pictures. A frame of a video whose
      face cannot be edited stays as it is.

  Returns:
    One sentence per picture that could not be edited.

  Raises:
    ValueError: if the run does not make the expression, or `out` has files of
      another program.
  """
  editor.direction(expression)
  output_folder.claim(out)
  text = {"Comment": f"edited by foregan_jax: expression {expression}"}
  problems, rows = [], []
  done: list[tuple[int, pathlib.Path]] = []
  shown = selection.evenly_spaced(count, _NUM_SHOWN)
  for i, (name, picture) in rich.progress.track(
    enumerate(items), "editing", total=count
  ):
    if isinstance(picture, images.DataError):
      problems.append(str(picture))
      continue
    try:
      edited = editor.edit(picture, find_parts(name, picture), expression)
    except images.DataError as error:
      problems.append(str(error))
      edited = None
    except ValueError as error:
      problems.append(f"{images.show_name(name)}: {error}")
      edited = None
    if edited is None and not fps:
      continue
    after = picture if edited is None else edited
    path = paths.below(out / _EDITED, f"{name}.png")
    compared = paths.below(out / _COMPARED, f"{name}.png")
    for place in (path, compared):
      paths.refuse_link(out, place)
    mark = None if edited is None else text
    pictures.save_png(path, after, mark)
    pictures.save_png(compared, np.hstack([picture, after]), mark)
    done.append((i, path))
    if i in shown:
      pair = (picture, after)
      rows.append([pictures.fit_square(x, _SHOWN_SIDE) for x in pair])
  if rows:
    sheet = pictures.contact_sheet(rows, columns=("original", expression))
    pictures.save_png(out / "sheet.png", sheet, text)
  if fps and done:
    frames = ((i, images.read_image(path)) for i, path in done)
    animations.write(out, _EDITED, frames, num_frames=count, fps=fps)
  return problems
