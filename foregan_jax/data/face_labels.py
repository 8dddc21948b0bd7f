"""Names of emotions and face parts, and the label sets of face data sets.

The parts are `eyes`, `brows`, `mouth` (the inner mouth) and `lips`. They are
always addressed by name, because data sets number them differently.
"""

import csv
import io
import json
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.media import images

PARTS = ("eyes", "brows", "mouth", "lips")
# In the order of FER2013's numbers.
EMOTIONS = (
  "anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral",
)  # fmt: skip
UNKNOWN = -1  # the label of a face without an emotion of `EMOTIONS`

TABLE = "labels.csv"
CLASSES = "classes.json"

# Other spellings, as in the folders of FER2013 and of other data sets.
_SPELLINGS = {
  "angry": "anger", "disgusted": "disgust", "fearful": "fear",
  "happy": "happiness", "sad": "sadness", "surprised": "surprise",
}  # fmt: skip
# Emotions that some data sets have and `EMOTIONS` has not.
_IGNORED = ("contempt",)
# The number of each class is its place. The first is g_mask.py's order of
# CelebAMask-HQ, the second that of FASSEG, which has no brows.
_LABEL_SETS = {
  "celebamask": (
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow",
    "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair", "hat",
    "ear_r", "neck_l", "neck", "cloth",
  ),
  "fasseg": ("background", "skin", "hair", "nose", "eyes", "mouth"),
}  # fmt: skip
_PART_OF = {
  "l_eye": "eyes", "r_eye": "eyes", "eye": "eyes", "eyes": "eyes",
  "l_brow": "brows", "r_brow": "brows", "brow": "brows", "brows": "brows",
  "eyebrow": "brows", "eyebrows": "brows",
  "mouth": "mouth",
  "u_lip": "lips", "l_lip": "lips", "lip": "lips", "lips": "lips",
}  # fmt: skip


def celebamask_class(name: str) -> int:
  """Return the number of a class of CelebAMask-HQ."""
  return _LABEL_SETS["celebamask"].index(name)


def part_of(classes: Iterable[str]) -> dict[str, str]:
  """Map the names of classes to the names of parts; leave out other classes.

  A data set with a mouth and without lips does not separate them. Its mouth
  counts as lips.
  """
  found = {name: _PART_OF[name] for name in classes if name in _PART_OF}
  if "lips" not in found.values():
    found = {n: "lips" if p == "mouth" else p for n, p in found.items()}
  return found


def read_classes(root: pathlib.Path, label_set: str) -> dict[str, list[int]]:
  """Return the numbers of the classes that belong to each part.

  Args:
    root: a folder that may have a file `classes.json`: {"name": number}.
    label_set: "celebamask", "fasseg", or "": the file, or without one
      CelebAMask-HQ's classes.

  Raises:
    ValueError: if there is no such label set.
    DataError: if the file is malformed or has no part of a face.
  """
  path = root / CLASSES
  if label_set:
    if label_set not in _LABEL_SETS:
      raise ValueError(
        f"data.classes is {label_set!r}, but must be one of "
        f"{', '.join(_LABEL_SETS)}, or empty"
      )
    numbers = _numbered(label_set)
  elif path.is_file():
    numbers = _read_numbers(path)
  else:
    numbers = _numbered("celebamask")
  parts: dict[str, list[int]] = {}
  for name, part in part_of(numbers).items():
    parts.setdefault(part, []).append(numbers[name])
  if not parts:
    raise images.DataError(
      path, f"names no part of a face, expected some of {', '.join(_PART_OF)}"
    )
  return parts


def _numbered(label_set: str) -> dict[str, int]:
  return {name: i for i, name in enumerate(_LABEL_SETS[label_set])}


def _read_numbers(path: pathlib.Path) -> dict[str, int]:
  try:
    numbers = json.loads(images.read_text(path))
  except (ValueError, RecursionError) as error:
    if isinstance(error, images.DataError):
      raise
    raise images.DataError(path, f"is not JSON ({error})") from error
  whole = lambda n: type(n) is int and 0 <= n < images.VOID
  if not (isinstance(numbers, dict) and all(map(whole, numbers.values()))):
    raise images.DataError(
      path, 'expected names and numbers of classes, such as {"eyes": 4}'
    )
  return numbers


def split_labels(
  labels: UInt8[np.ndarray, "h w"], classes: Mapping[str, list[int]]
) -> UInt8[np.ndarray, "h w 4"]:
  """Convert a label map to coverage, 0 or 255, of each part of `PARTS`.

  Args:
    labels: numbers of classes.
    classes: of `read_classes`.
  """
  table = np.zeros((np.iinfo(np.uint8).max + 1, len(PARTS)), np.uint8)
  for name, numbers in classes.items():
    table[numbers, PARTS.index(name)] = np.iinfo(np.uint8).max
  return table[labels]


def join_labels(
  soft: Float[np.ndarray, "h w 4"], threshold: float = 0.5
) -> UInt8[np.ndarray, "h w"]:
  """Convert soft masks of the parts to a label map.

  Args:
    soft: in [0, 1], in the order of `PARTS`.
    threshold: a pixel whose masks are all at or below it is background.

  Returns:
    0 for background, and the place in `PARTS` + 1 of the largest mask.
  """
  labels = soft.argmax(-1).astype(np.uint8) + np.uint8(1)
  return np.where(soft.max(-1) > threshold, labels, np.uint8(0))


def emotion_number(name: str) -> int | None:
  """Return the place of an emotion in `EMOTIONS`; None for another word.

  Contempt, which `EMOTIONS` lacks, is `UNKNOWN`.
  """
  name = name.strip().lower()
  name = _SPELLINGS.get(name, name)
  if name in _IGNORED:
    return UNKNOWN
  return EMOTIONS.index(name) if name in EMOTIONS else None


def read_table(path: pathlib.Path) -> dict[str, int]:
  """Read a table of emotions: the label of each file, by its name.

  Args:
    path: a CSV file with at least the columns `file` and `emotion`. An empty
      emotion is unknown.

  Raises:
    DataError: naming the line that is malformed.
  """
  # newline=None: all kinds of line ends.
  table = csv.DictReader(io.StringIO(images.read_text(path), newline=None))
  try:
    lines = [(table.line_num, row) for row in table]
  except csv.Error as error:  # a field is too long
    raise images.DataError(
      path, f"line {table.line_num} cannot be read as CSV: {error}"
    ) from error
  if not {"file", "emotion"} <= set(table.fieldnames or ()):
    raise images.DataError(
      path, "expected a first line with the columns file and emotion"
    )
  labels = {}
  for line, row in lines:
    name, emotion = row["file"], row["emotion"] or ""
    number = emotion_number(emotion) if emotion.strip() else UNKNOWN
    if not name or number is None or name in labels:
      raise images.DataError(
        path,
        f"line {line} has file {name!r} and emotion {emotion!r}, "
        f"expected a new file and one of {', '.join(EMOTIONS)}",
      )
    labels[name] = number
  return labels
