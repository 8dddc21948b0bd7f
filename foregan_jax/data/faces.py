"""Whole faces with their parts and emotions, and sources of training samples.

A face is resized to a square. One that is not square is padded to a square with
its border pixels first, never stretched.
"""

import concurrent.futures
import os
import pathlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import face_filter, face_folders, face_labels
from foregan_jax.media import images

EMOTIONS = face_labels.EMOTIONS
PARTS = face_labels.PARTS

_THREADS = 8
_COVERED = 127  # more coverage than this is part of a piece
# At most this many pixels of 256 x 256 are no piece of the mouth of their own.
# Source: fer_preprocess_seg_sep.py of MarcisTU/thesis_work.
_SMALL_PIECE = 100


@runtime_checkable
class FaceSet(Protocol):
  """Faces in one size: `Faces` or `fake.FakeFaces`.

  Attributes:
    names: names of the faces.
    labels: indices in `EMOTIONS`; -1 is unknown.
    has_parts: whether each face has masks of its parts.
  """

  names: tuple[str, ...]
  labels: tuple[int, ...]
  has_parts: bool

  def __len__(self) -> int:
    """Return the number of faces."""

  def face(self, index: int) -> dict:
    """Read a face, see `Faces.face`."""

  def image(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
    """Read the picture of a face only."""

  def picture(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture in its own size."""


class Faces:
  """The faces of a split, in one size.

  Attributes:
    names: names of the faces.
    labels: indices in `EMOTIONS`; -1 is unknown.
    has_parts: whether each face has masks of its parts.
  """

  def __init__(
    self,
    root: os.PathLike | str,
    *,
    split: str,
    size: int,
    emotion: str = "",
    need_parts: bool = True,
    classes: str = "",
    required: Sequence[str] = (),
  ):
    """Find the faces.

    Args:
      root: a folder for `face_folders.open_reader`.
      split: "train", "val" or the name of another list.
      size: side of the faces, pixels.
      emotion: only faces with this emotion; "": all.
      need_parts: whether each face must have masks of its parts.
      classes: of label maps, see `face_labels.read_classes`.
      required: only faces with these parts, see `face_filter`. All masks are
        read once for it.

    Raises:
      DataError: if there is no such folder, list or face, or a mask is missing
        or broken.
      ValueError: for an unknown emotion, classes or part.
    """
    root = pathlib.Path(root)
    self._reader = face_folders.open_reader(root, split, classes)
    self._size = size
    self._indices = list(range(len(self._reader.names)))
    if emotion:
      number = _number(emotion)
      self._keep([label == number for label in self._reader.labels])
    masked = [self._reader.has_parts(i) for i in self._indices]
    self.has_parts = all(masked)
    if need_parts and not self.has_parts:
      first = self._indices[masked.index(False)]
      raise images.DataError(
        self._reader.path(first), "face has no mask of its parts"
      )
    if required:
      with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        # At one size: masks of another one differ by their half-covered
        # borders, and the same faces should pass at any `size`.
        masks = lambda i: clean(
          fit_parts(self._reader.parts(i), face_filter.SIDE)
        )
        visible = lambda i: bool(
          face_filter.filter_parts(masks(i), PARTS, required)[0]
        )
        self._keep(list(pool.map(visible, self._indices)))
    if not self._indices:
      which = f" with {emotion}" if emotion else ""
      shown = f" that shows its {', '.join(required)}" if required else ""
      raise images.DataError(
        root, f"split {split!r} holds no face{which}{shown}"
      )
    self.names = tuple(self._reader.names[i] for i in self._indices)
    self.labels = tuple(self._reader.labels[i] for i in self._indices)

  def _keep(self, wanted: Sequence[bool]) -> None:
    pairs = zip(self._indices, wanted, strict=True)
    self._indices = [i for i, yes in pairs if yes]

  def __len__(self) -> int:
    """Return the number of faces."""
    return len(self._indices)

  def face(self, index: int) -> dict:
    """Read a face.

    Returns:
      `image` uint8 [size, size, 3], `parts` uint8 [size, size, 4] (coverage, in
      the order of `PARTS`; None without masks), `label` and `name`.

    Raises:
      DataError: if a file is broken, or the mask has another aspect ratio than
        its picture.
    """
    place = self._indices[index]
    picture = self._reader.image(place)
    parts = None
    if self._reader.has_parts(place):
      parts = self._parts(place, picture.shape[:2])
    return {
      "image": fit(picture, self._size),
      "parts": parts,
      "label": self.labels[index],
      "name": self.names[index],
    }

  def image(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
    """Read the picture of a face only, padded and resized to a square."""
    return fit(self.picture(index), self._size)

  def picture(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB in its own size."""
    return self._reader.image(self._indices[index])

  def _parts(self, place: int, native: tuple[int, ...]) -> np.ndarray:
    parts = self._reader.parts(place)
    if not images.same_aspect(parts.shape[:2], native):
      raise images.DataError(
        self._reader.path(place),
        f"picture of {native[1]}x{native[0]} has masks of "
        f"{parts.shape[1]}x{parts.shape[0]}, expected the same aspect ratio",
      )
    return clean(fit_parts(parts, self._size))


class FacePairs:
  """Random pairs of faces of two emotions; `source.draw` is for training.

  The pairs are not of the same person.

  Attributes:
    source: the faces of the first emotion.
    target: those of the second.
  """

  def __init__(self, source: FaceSet, target: FaceSet):
    """Pair two sets of faces that have masks."""
    self.source, self.target = source, target

  def __len__(self) -> int:
    """Return the number of faces of the larger set."""
    return max(len(self.source), len(self.target))

  def __getitem__(self, index: int) -> dict:
    """Read a pair that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(self, index: int, rng: np.random.Generator, step: int) -> dict:
    """Read a face of the source, and a random one of the target.

    Returns:
      `a` and `b`, each with `image` and `parts` of `Faces.face`.

    Raises:
      DataError: if a file is broken.
    """
    del step
    a = self.source.face(int(index) % len(self.source))
    b = self.target.face(int(rng.integers(len(self.target))))
    return {"a": _select(a), "b": _select(b)}


class FaceStreams:
  """Random faces with parts beside random faces with emotions.

  Attributes:
    faces: the faces with parts.
    labelled: the faces with emotions, or None.
    known: indices of those whose emotion is known.
  """

  def __init__(self, faces: FaceSet, labelled: FaceSet | None = None):
    """Combine two sets of faces; unknown emotions are left out in training.

    Raises:
      ValueError: if no face of `labelled` has an emotion.
    """
    self.faces, self.labelled = faces, labelled
    labels = labelled.labels if labelled else ()
    self.known = [i for i, n in enumerate(labels) if n >= 0]
    if labelled and not self.known:
      raise ValueError(
        f"no face has an emotion, expected {face_labels.TABLE} or folders "
        "named by emotion"
      )

  def __len__(self) -> int:
    """Return the number of faces of the larger set."""
    return max(len(self.faces), len(self.known))

  def __getitem__(self, index: int) -> dict:
    """Read a sample that depends on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(self, index: int, rng: np.random.Generator, step: int) -> dict:
    """Read a face with parts, and a random one with an emotion.

    Returns:
      `faces` with `image` and `parts`, and `labelled`, if there are such faces,
      with `image` and `label` (uint8 []).

    Raises:
      DataError: if a file is broken.
    """
    del step
    face = self.faces.face(int(index) % len(self.faces))
    if not self.labelled:
      return {"faces": _select(face)}
    other = self.known[int(rng.integers(len(self.known)))]
    labelled = {
      "image": self.labelled.image(other),
      "label": np.asarray(self.labelled.labels[other], np.uint8),
    }
    return {"faces": _select(face), "labelled": labelled}


def _select(face: dict) -> dict:
  return {"image": face["image"], "parts": face["parts"]}


def _number(emotion: str) -> int:
  if emotion not in EMOTIONS:
    raise ValueError(f"emotion {emotion!r} is none of {', '.join(EMOTIONS)}")
  return EMOTIONS.index(emotion)


def margins(size: tuple[int, ...]) -> tuple[int, int]:
  """Return the pixels that padding to a square adds above and on the left."""
  side = max(size[:2])
  return (side - size[0]) // 2, (side - size[1]) // 2


def fit(
  picture: UInt8[np.ndarray, "h w 3"], size: int
) -> UInt8[np.ndarray, "s s 3"]:
  """Pad a picture to a square with its border pixels, then resize it."""
  return images.resize_image(_pad(picture, cv2.BORDER_REPLICATE), (size, size))


def fit_parts(
  parts: UInt8[np.ndarray, "h w 4"], size: int
) -> UInt8[np.ndarray, "s s 4"]:
  """Pad masks to a square with 0, then resize them as coverage."""
  padded = _pad(parts, cv2.BORDER_CONSTANT)
  return images.resize_image(padded, (size, size))


def _pad(picture: np.ndarray, border: int) -> np.ndarray:
  height, width = picture.shape[:2]
  if height == width:
    return picture
  top, left = margins(picture.shape)
  side = max(height, width)
  return cv2.copyMakeBorder(
    picture, top, side - height - top, left, side - width - left, border
  )


def clean(parts: UInt8[np.ndarray, "s s 4"]) -> UInt8[np.ndarray, "s s 4"]:
  """Remove small pieces of the mouth that are separate from the rest.

  A piece is 8-connected, of lips and inner mouth together. It is small if at
  most 100 of 256 x 256 pixels are covered by more than half.
  """
  channels = [PARTS.index(name) for name in ("mouth", "lips")]
  both = parts[..., channels].max(-1)
  count, pieces = cv2.connectedComponents(
    (both > 0).astype(np.uint8), connectivity=8
  )
  smallest = face_filter.least_pixels(_SMALL_PIECE, parts.shape[:2])
  sizes = np.bincount(pieces[both > _COVERED], minlength=count)
  small = sizes <= smallest
  small[0] = False  # the background
  if not small.any():
    return parts
  cleaned = parts.copy()
  cleaned[small[pieces][..., None] & np.isin(np.arange(4), channels)] = 0
  return cleaned
