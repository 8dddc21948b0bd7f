"""Masks of the parts of a folder of faces, as a data set.

    JPEGImages/NAME.png          the picture, without loss
    SegmentationClass/NAME.png   a label map: 0 background, 1 eyes, 2 brows,
                                 3 inner mouth, 4 lips; or
    Parts/NAME.npz               soft masks: `parts` uint8 [h, w, 4], `names`
    classes.json                 the numbers of the label maps
    labels.csv                   the emotions, if the folder has some
    sheet.png                    some pictures with their parts

`data.face_folders` reads it back.
"""

import csv
import io
import json
import pathlib

import numpy as np
import rich.progress

from foregan_jax import storage
from foregan_jax.data import face_folders, face_labels
from foregan_jax.media import images, paths, pictures, selection
from foregan_jax.predictors import (
  face_pictures,
  output_folder,
  part_finder,
)

LABEL_MAPS, SOFT = "labels", "npz"
FORMATS = (LABEL_MAPS, SOFT)
_FOLDERS = {
  LABEL_MAPS: face_folders.LABEL_MAPS,
  SOFT: face_folders.PART_FILES,
}
_NUM_SHOWN = 12
_SHOWN_SIDE = 160


def write(
  finder: part_finder.PartFinder,
  reader: face_folders.Reader,
  *,
  out: pathlib.Path,
  kind: str = LABEL_MAPS,
) -> list[str]:
  """Write the masks of all faces; results of an earlier call are replaced.

  Args:
    finder: the networks.
    reader: the faces; masks that they have are ignored.
    out: the output folder; see above.
    kind: of the masks, one of `FORMATS`.

  Returns:
    One sentence per picture that could not be read.

  Raises:
    ValueError: if `out` has files of another program, or masks of another kind.
  """
  output_folder.claim(out)
  (other,) = (_FOLDERS[name] for name in FORMATS if name != kind)
  if (out / other).exists():
    raise ValueError(
      f"{out / other} has masks of another --format; give another --out"
    )
  problems, rows = [], []
  written: list[tuple[str, int]] = []
  count = len(reader.names)
  shown = selection.evenly_spaced(count, _NUM_SHOWN)
  for i in rich.progress.track(range(count), "finding parts"):
    name = reader.names[i]
    try:
      picture = reader.image(i)
    except images.DataError as error:
      problems.append(str(error))
      continue
    soft = finder.find(picture)
    _write_masks(out, name, soft, kind)
    path = paths.below(out / face_folders.PICTURES, f"{name}.png")
    paths.refuse_link(out, path)
    pictures.save_png(path, picture)
    written.append((path.name, reader.labels[i]))
    if i in shown:
      pair = picture, pictures.overlay(picture, face_labels.join_labels(soft))
      rows.append([pictures.fit_square(x, _SHOWN_SIDE) for x in pair])
  numbers = {name: i for i, name in enumerate(face_labels.PARTS, 1)}
  (out / face_labels.CLASSES).write_text(json.dumps(numbers))
  _write_emotions(out, written)
  if rows:
    sheet = pictures.contact_sheet(rows, columns=("picture", "parts"))
    pictures.save_png(out / "sheet.png", sheet)
  return problems


def _write_masks(out: pathlib.Path, name: str, soft, kind: str) -> None:
  suffix = "npz" if kind == SOFT else "png"
  path = paths.below(out / _FOLDERS[kind], f"{name}.{suffix}")
  paths.refuse_link(out, path)
  if kind == LABEL_MAPS:
    pictures.save_labels(path, face_labels.join_labels(soft))
    return
  arrays = {
    "parts": face_pictures.to_coverage(soft),
    "names": np.array(face_labels.PARTS),
  }
  storage.write(path, lambda file: np.savez_compressed(file, **arrays))


def _write_emotions(out: pathlib.Path, written: list[tuple[str, int]]) -> None:
  """Write the known emotions; the table needs different names of files."""
  known = [(file, n) for file, n in written if n != face_labels.UNKNOWN]
  path = out / face_labels.TABLE
  path.unlink(missing_ok=True)
  if not known or len({file for file, _ in known}) < len(known):
    return
  text = io.StringIO()
  rows = csv.writer(text, lineterminator="\n")
  rows.writerow(("file", "emotion"))
  rows.writerows((file, face_labels.EMOTIONS[n]) for file, n in known)
  path.write_text(text.getvalue())
