"""Readers of prepared data sets: array_record files that TFDS wrote.

A prepared folder keeps the order of the original folder. Its metadata list the
entries of each split, so that a record is read only on access. No TensorFlow is
needed. The builders are in the other modules of this package; no reader imports
them.
"""

import itertools
import os
import pathlib
from typing import Any, ClassVar

import cv2
import numpy as np
from etils import epath
from jaxtyping import UInt8

from foregan_jax.media import images, paths

_INFO = "dataset_info.json"  # TFDS writes it into every prepared folder


def is_prepared(root: os.PathLike | str) -> bool:
  """Return whether `builder.prepare` wrote this folder."""
  return (epath.Path(root) / _INFO).is_file()


def decode_grey(
  content: bytes, path: os.PathLike | str
) -> UInt8[np.ndarray, "h w"]:
  """Decode the PNG of `builder.encode_grey`; `path` is for errors only.

  Raises:
    DataError: if the content is damaged.
  """
  try:
    # Not `read_labels`, which reads grey masks of 0 and 255 as object 1.
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
  except cv2.error:  # no content, or too many pixels
    grey = None
  if grey is None:
    raise images.DataError(path, "mask is damaged, prepare the data again")
  return grey


class Records:
  """The records of one split.

  Attributes:
    builder_name: name of the builder that writes these records.
    root: the prepared folder.
    entries: the split's list in the metadata; see `builder.Builder`.
  """

  builder_name: ClassVar[str]

  def __init__(self, root: os.PathLike | str, split: str, **options: str):
    """Open the files; no record is read yet.

    Args:
      root: the prepared folder, on disk or in cloud storage.
      split: one of its splits.
      **options: the expected options of the builder; "" accepts any value.

    Raises:
      DataError: if the folder is damaged, has no such split, or was prepared
        by another builder or with other options.
    """
    # Importing TFDS takes 1.1 s (0.8 s if NumPy and OpenCV are imported), and
    # only prepared folders need it.
    import tensorflow_datasets as tfds

    self.root = pathlib.Path(root)
    for path in epath.Path(root).glob("*"):
      # Reading a pipe may never end. In a cloud, `os` finds nothing.
      if os.path.exists(path) and not os.path.isfile(path):
        raise images.DataError(path, "is not a file, prepare the data again")
    try:
      # Not `self.root`: pathlib does not support gs://.
      self._open(
        tfds, tfds.builder_from_directory(os.fspath(root)), split, options
      )
    except images.DataError:
      raise
    except Exception as error:  # from TFDS, JSON, protobuf or cloud storage
      raise self._damaged(error) from error

  def _open(self, tfds, builder, split: str, options: dict[str, str]) -> None:
    """Check the metadata and open the files of a split."""
    root = self.root
    recipe = builder.info.metadata["recipe"]
    index = builder.info.metadata["index"]
    if builder.name != self.builder_name:
      raise images.DataError(
        root, f"holds {builder.name}, expected {self.builder_name}"
      )
    if split not in index:
      known = ", ".join(index)
      raise images.DataError(root, f"has no split {split!r}, only {known}")
    for option, value in options.items():
      if value and recipe[option] not in ("", value):
        raise images.DataError(
          root, f"was prepared with {option} {recipe[option]!r}, not {value!r}"
        )
    for path in builder.info.splits[split].filepaths:
      if not path.is_file():
        raise images.DataError(path, "file is missing, prepare it again")
    encoded = {
      name: tfds.decode.SkipDecoding()
      for name, feature in builder.info.features.items()
      if isinstance(feature, tfds.features.Image)
    }
    self.entries = index[split]
    for entry in self.entries:
      name = entry["name"] if isinstance(entry, dict) else entry
      paths.check_name(name, self.root)
    self._source = builder.as_data_source(split, decoders=encoded)

  def record(self, index: int) -> dict[str, Any]:
    """Read a record; its pictures are still encoded.

    Raises:
      DataError: if the file is damaged.
      IndexError: if the index is out of range.
    """
    index = range(len(self._source))[index]  # array_record: no negative index
    try:
      record = self._source[index]
    except Exception as error:  # array_record raises many kinds
      raise self._damaged(error) from error
    if record["name"] is None:
      # array_record returns this for a file that is cut at a block's end.
      raise self._damaged(f"record {index} is empty")
    return record

  def _read_pair(
    self, record: dict[str, Any], path: pathlib.Path
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Decode a picture and its labels; refuse different sizes."""
    picture = images.decode_image(record["image"], path)
    labels = decode_grey(record["labels"], path)
    images.check_size(path, labels.shape, picture.shape[:2], "its picture")
    return picture, labels

  def _damaged(self, error: Exception | str) -> images.DataError:
    return images.DataError(self.root, f"damaged, prepare it again ({error})")


class StillRecords(Records):
  """Pictures of one object each; a `data.stills.Reader`."""

  builder_name = "stills"

  def __init__(self, root: os.PathLike | str, split: str):
    """Open the files.

    Raises:
      DataError: see `Records`.
    """
    super().__init__(root, split)
    self.names = tuple(self.entries)

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB."""
    path = self.root / self.names[index]
    return images.decode_image(self.record(index)["image"], path)

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read the object's coverage of each pixel, 0..255; None without a mask."""
    record, path = self.record(index), self.mask_path(index)
    return decode_grey(record["mask"], path) if record["has_mask"] else None

  def class_name(self, index: int) -> str | None:
    """Read the class of the object; None if it is unknown."""
    return self.record(index)["label"].decode(errors="replace") or None

  def mask_path(self, index: int) -> pathlib.Path:
    """Return a path for error messages; no such file exists."""
    return self.root / self.names[index]


class InstanceRecords(Records):
  """Pictures with instance masks; a `data.instances.Reader`."""

  builder_name = "instances"

  def __init__(self, root: os.PathLike | str, split: str, resolution: str):
    """Open the files.

    Args:
      root: the prepared folder.
      split: one of its splits.
      resolution: the expected resolution; "" accepts any.

    Raises:
      DataError: see `Records`.
    """
    super().__init__(root, split, resolution=resolution)
    self.names = tuple(self.entries)

  def read(
    self, index: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read a picture as RGB, and its labels."""
    return self._read_pair(self.record(index), self.root / self.names[index])


class VideoRecords(Records):
  """Annotated videos, one record per frame; a `data.clips.Reader`."""

  builder_name = "videos"

  def __init__(
    self, root: os.PathLike | str, *, year: str, split: str, resolution: str
  ):
    """Open the files.

    Args:
      root: the prepared folder.
      year: the expected year.
      split: one of its splits.
      resolution: the expected resolution; "" accepts any.

    Raises:
      DataError: see `Records`.
    """
    super().__init__(root, split, year=year, resolution=resolution)
    self.path = self.root
    try:
      self.annotated = {v["name"]: v["known"] for v in self.entries}
      lengths = [video["frames"] for video in self.entries]
      starts = itertools.accumulate(lengths, initial=0)
      self._starts = dict(zip(self.annotated, starts, strict=False))
    except (KeyError, TypeError) as error:
      raise self._damaged(error) from error

  def read(
    self, name: str, time: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read an annotated frame as RGB, and its labels."""
    record = self.record(self._starts[name] + time)
    return self._read_pair(record, self.root / name / f"{time:05d}")
