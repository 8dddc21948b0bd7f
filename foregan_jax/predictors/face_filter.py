"""The filter of faces: which ones show all parts, and an expression.

    kept.txt       names of the faces to keep, a list for ImageSets
    rejected.csv   names of the others, and why
    kept.png       some of the faces to keep, with their parts
    rejected.png   some of the others

Source: MarcisTU/thesis_work. It filters faces by the number of pixels of their
parts, and by a classifier of the masks.
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterable

import numpy as np
import rich.progress
from jaxtyping import UInt8

from foregan_jax.data import face_filter, face_folders, face_labels, faces
from foregan_jax.media import images, pictures, selection
from foregan_jax.predictors import (
  face_pictures,
  output_folder,
  part_finder,
)

KEPT, REJECTED = "kept.txt", "rejected.csv"
_NUM_SHOWN = 16
_SHOWN_SIDE = 160


@dataclasses.dataclass(frozen=True)
class Rule:
  """What a face must show.

  Attributes:
    required: names of the parts that must be visible.
    threshold: number of pixels that a part must exceed, at 256 x 256 pixels.
    expression: the most probable expression of the masks; "": any.
    min_prob: least probability of that expression.
  """

  required: tuple[str, ...] = ("eyes", "brows", "lips")
  threshold: float = float(face_filter.THRESHOLD)
  expression: str = ""
  min_prob: float = 0.0


class Filter:
  """Finds the reasons to reject a face."""

  def __init__(self, rule: Rule, finder: part_finder.PartFinder | None):
    """Prepare the filter.

    Args:
      rule: what a face must show.
      finder: segments faces without masks, and classifies expressions; None:
        faces without masks are rejected.

    Raises:
      ValueError: if the rule has an expression, but there is no classifier.
    """
    if rule.expression and not (finder and finder.classifies):
      raise ValueError(
        f"--expression={rule.expression} needs --workdir=RUN of face_parts "
        "with classifiers of expressions"
      )
    self._rule, self._finder = rule, finder

  def parts(self, reader: face_folders.Reader, index: int) -> np.ndarray:
    """Return the masks of a face, uint8 [h, w, 4], from files or networks.

    Raises:
      DataError: if it has none.
    """
    if reader.has_parts(index) or self._finder is None:
      return reader.parts(index)
    soft = self._finder.find(reader.image(index))
    return face_pictures.to_coverage(soft)

  def reasons(
    self,
    picture: UInt8[np.ndarray, "h w 3"],
    parts: UInt8[np.ndarray, "h2 w2 4"],
  ) -> list[str]:
    """Return why a face is rejected; [] if it is kept."""
    rule, found = self._rule, []
    masks = faces.clean(faces.fit_parts(parts, face_filter.SIDE))
    _, counts = face_filter.filter_parts(
      masks, face_labels.PARTS, rule.required, rule.threshold
    )
    for name in rule.required:
      count = counts[face_labels.PARTS.index(name)]
      if count <= rule.threshold:
        found.append(
          f"{name}: {count} pixels, expected more than {rule.threshold:g}"
        )
    if rule.expression and not found:
      assert self._finder is not None
      shown = self._finder.expressions(picture, parts)["masks"]
      best = max(shown, key=lambda name: shown[name])
      if best != rule.expression:
        found.append(f"shows {best} ({shown[best]:.2f})")
      elif shown[best] < rule.min_prob:
        found.append(
          f"shows {best} with {shown[best]:.2f}, expected {rule.min_prob:g}"
        )
    return found


def write(
  faces_filter: Filter, reader: face_folders.Reader, *, out: pathlib.Path
) -> tuple[int, int]:
  """Filter all faces; results of an earlier call are replaced.

  Args:
    faces_filter: the filter.
    reader: the faces.
    out: the output folder; see above.

  Returns:
    The numbers of kept and of rejected faces.

  Raises:
    ValueError: if `out` has files of another program.
  """
  output_folder.claim(out)
  kept: dict[int, str] = {}  # names by index
  rejected: dict[int, list[str]] = {}  # reasons by index
  for i in rich.progress.track(range(len(reader.names)), "filtering"):
    try:
      picture = reader.image(i)
      reasons = faces_filter.reasons(picture, faces_filter.parts(reader, i))
    except images.DataError as error:
      reasons = [error.reason]
    if reasons:
      rejected[i] = reasons
    else:
      kept[i] = reader.names[i]
  (out / KEPT).write_text("".join(f"{name}\n" for name in kept.values()))
  text = io.StringIO()
  table = csv.writer(text, lineterminator="\n")
  table.writerow(("name", "reasons"))
  table.writerows(
    (reader.names[i], "; ".join(reasons)) for i, reasons in rejected.items()
  )
  (out / REJECTED).write_text(text.getvalue())
  first = {i: reasons[0] for i, reasons in rejected.items()}
  for file, texts in ((KEPT, kept), (REJECTED, first)):
    rows = [_row(faces_filter, reader, i, texts[i]) for i in _spread(texts)]
    rows = [row for row in rows if row[1] is not None]
    _write_sheet((out / file).with_suffix(".png"), rows)
  return len(kept), len(rejected)


def _spread(indices: Iterable[int]) -> list[int]:
  """Return the indices of the faces in a sheet."""
  found = list(indices)
  places = selection.evenly_spaced(len(found), _NUM_SHOWN)
  return [found[place] for place in places]


def _row(faces_filter: Filter, reader: face_folders.Reader, i: int, text: str):
  """Return text, picture and label map; None for what is broken."""
  picture = None
  try:
    picture = reader.image(i)
    parts = faces_filter.parts(reader, i)
    return text, picture, _labels(parts, picture.shape[:2])
  except images.DataError:
    return text, picture, None


def _labels(parts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Return a label map of the size of the picture."""
  full = np.iinfo(np.uint8).max
  soft = images.resize_image(parts, size).astype(np.float32) / full
  return face_labels.join_labels(soft)


def _write_sheet(path: pathlib.Path, rows: list) -> None:
  """Write faces with their parts; remove an old sheet if there is no face."""
  path.unlink(missing_ok=True)
  if not rows:
    return
  cells = []
  for _, picture, labels in rows:
    shown = None if labels is None else pictures.overlay(picture, labels)
    cells.append(
      [
        None if x is None else pictures.fit_square(x, _SHOWN_SIDE)
        for x in (picture, shown)
      ]
    )
  sheet = pictures.contact_sheet(
    cells, columns=("face", "parts"), row_names=[text for text, *_ in rows]
  )
  pictures.save_png(path, sheet)
