"""FER2013: one CSV file with an emotion, a picture and a usage in each line."""

import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import face_labels
from foregan_jax.media import images

NAME = "fer2013.csv"
_HEADER = b"emotion,pixels,Usage"
_SIDE = 48
# The usages that belong to each split.
_USAGES = {
  "train": ("Training",),
  "val": ("PublicTest",),
  "test": ("PrivateTest",),
}


def find(root: pathlib.Path) -> pathlib.Path | None:
  """Return the table at or in a path; None if there is none."""
  path = root / NAME if root.is_dir() else root
  return path if path.is_file() and path.suffix.lower() == ".csv" else None


class Table:
  """The faces of one split of the table; a `face_folders.Reader`.

  There are no masks. A face's name is the number of its line.
  """

  def __init__(self, path: pathlib.Path, split: str):
    """Find the lines of a split ("": all); their pixels are not parsed yet.

    Raises:
      DataError: if the file is not such a table, a line is malformed, or there
        is no such split.
    """
    if split and split not in _USAGES:
      raise images.DataError(
        path, f"has no split {split!r}, only {', '.join(_USAGES)}"
      )
    wanted = _USAGES[split] if split else sum(_USAGES.values(), ())
    self._path = path
    self._places: list[tuple[int, int]] = []
    labels, names = [], []
    with open(path, "rb") as file:
      if file.readline().strip() != _HEADER:
        raise images.DataError(
          path, f"expected the first line {_HEADER.decode()}"
        )
      start = file.tell()
      for number, line in enumerate(file, 2):
        emotion, usage = self._ends(number, line)
        if usage in wanted:
          labels.append(emotion)
          names.append(f"{number:06d}")
          self._places.append((start, len(line)))
        start += len(line)
    if not names:
      raise images.DataError(path, f"split {split!r} holds no face")
    self.names, self.labels = tuple(names), tuple(labels)

  def _ends(self, number: int, line: bytes) -> tuple[int, str]:
    """Return the emotion and usage of a line."""
    fields = line.split(b",")
    emotion = fields[0].strip()
    known = {str(i).encode(): i for i in range(len(face_labels.EMOTIONS))}
    if len(fields) != 3 or emotion not in known:
      raise images.DataError(
        self._path,
        f"line {number} begins with {line[:20]!r}, expected an emotion from 0 "
        f"to {len(known) - 1}, pixels and usage",
      )
    return known[emotion], fields[2].strip().decode("latin-1")

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a grey picture as RGB.

    Raises:
      DataError: if a line does not have 2304 grey values.
    """
    start, length = self._places[index]
    with open(self._path, "rb") as file:  # threads must not share a position
      file.seek(start)
      values = file.read(length).split(b",")[1].split()
    try:
      grey = np.array([int(value) for value in values])
    except ValueError:
      grey = np.array([-1])
    if grey.size != _SIDE**2 or grey.min() < 0 or grey.max() > 255:
      raise images.DataError(
        self._path,
        f"line {int(self.names[index])} has not {_SIDE**2} grey values from 0 "
        "to 255",
      )
    return np.repeat(grey.astype(np.uint8).reshape(_SIDE, _SIDE, 1), 3, -1)

  def path(self, index: int) -> pathlib.Path:
    """Return the path of the table."""
    del index
    return self._path

  def has_parts(self, index: int) -> bool:
    """Return that there is no mask."""
    del index
    return False

  def parts(self, index: int) -> UInt8[np.ndarray, "h w 4"]:
    """Raise a DataError, because there is no mask."""
    raise images.DataError(
      self._path, f"face {self.names[index]} has no mask of its parts"
    )
