"""What our TFDS data sets share: array_record files, and no TensorFlow.

A prepared folder keeps the order of the folder it was made from, and its
metadata list what each split holds: a record is read only when it is wanted.
"""

import abc
import argparse
import io
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from jaxtyping import UInt8
from PIL import Image
from tensorflow_datasets.core import shuffle

from foregan_jax.media import images

_INFO = "dataset_info.json"  # what TFDS leaves in a prepared folder
SPLITS = ("train", "val")


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Writes splits of the folder that `manual_dir` names."""

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "manual_dir is the folder to prepare."

  def __init__(self, splits: tuple[str, ...], *, data_dir: str, **options: str):
    """Remembers what to read.

    Args:
      splits: names of the folder's lists.
      data_dir: where TFDS keeps its data sets.
      **options: what else decides on the content; see `Records`.
    """
    self._splits, self._options = splits, options
    # TFDS's default format needs TensorFlow.
    super().__init__(file_format="array_record", data_dir=data_dir)

  @abc.abstractmethod
  def _features(self) -> dict[str, Any]:
    """Returns the features of a record; pictures stay encoded."""

  @abc.abstractmethod
  def _open(self, root: pathlib.Path, split: str) -> Any:
    """Opens a split of the folder, or raises DataError."""

  def _index(self, folder: Any) -> list:
    """Returns what `Records.index` shall be, as plain JSON."""
    return list(folder.names)

  @abc.abstractmethod
  def _generate_examples(self, folder: Any) -> Iterator[tuple[int, dict]]:
    """Yields the records of an opened split, with their place."""

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(self._features()),
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(),
    )

  def _split_generators(self, dl_manager):
    root = pathlib.Path(dl_manager.manual_dir)
    folders = {split: self._open(root, split) for split in self._splits}
    self.info.metadata["recipe"] = self.recipe(root)
    self.info.metadata["index"] = {
      s: self._index(f) for s, f in folders.items()
    }
    return {s: self._generate_examples(f) for s, f in folders.items()}

  def recipe(self, root: pathlib.Path) -> dict[str, Any]:
    """Returns all that decides on what is written, as plain JSON."""
    made_from = {"root": str(root.resolve()), "splits": list(self._splits)}
    return made_from | self._options


class Records:
  """The records of one split, prepared.

  Attributes:
    root: the prepared folder.
    index: of the split; see `Builder`.
  """

  def __init__(
    self, root: os.PathLike | str, split: str, kind: str, **options: str
  ):
    """Opens the files; no record is read yet.

    Args:
      root: the prepared folder, perhaps in the cloud.
      split: one of its splits.
      kind: the name of the builder that must have written it.
      **options: what the builder's must have been; "" fits all.

    Raises:
      DataError: if the folder is damaged, or it was prepared otherwise.
    """
    self.root = pathlib.Path(root)
    try:
      # Not `self.root`: pathlib knows no gs://.
      builder = tfds.builder_from_directory(os.fspath(root))
      recipe = builder.info.metadata["recipe"]
      index = builder.info.metadata["index"]
    except Exception as error:  # TFDS's, JSON's, protobuf's, the cloud's
      raise self._damaged(error) from error
    if builder.name != kind:
      raise images.DataError(root, f"holds {builder.name}, expected {kind}")
    if split not in index:
      known = ", ".join(index)
      raise images.DataError(root, f"has no split {split!r}, only {known}")
    for option, value in options.items():
      if value and recipe[option] not in ("", value):
        raise images.DataError(
          root, f"was prepared with {option} {recipe[option]!r}, not {value!r}"
        )
    for path in builder.info.splits[split].filepaths:
      if not path.exists():
        raise images.DataError(path, "file is missing, prepare it again")
    as_stored = {
      name: tfds.decode.SkipDecoding()
      for name, feature in builder.info.features.items()
      if isinstance(feature, tfds.features.Image)
    }
    self.index = index[split]
    self._source = builder.as_data_source(split, decoders=as_stored)

  def record(self, index: int) -> dict[str, Any]:
    """Reads a record; its pictures are still encoded.

    Raises:
      DataError: if the file is damaged.
      IndexError: if there is no such record.
    """
    index = range(len(self._source))[index]  # array_record counts from 0 only
    try:
      record = self._source[index]
    except Exception as error:  # array_record raises many kinds
      raise self._damaged(error) from error
    if record["name"] is None:
      # What array_record makes of a file that is cut at a block's end.
      raise self._damaged(f"record {index} is empty")
    return record

  def _damaged(self, error: Exception | str) -> images.DataError:
    return images.DataError(self.root, f"damaged, prepare it again ({error})")


def is_prepared(root: os.PathLike | str) -> bool:
  """Says whether a folder holds what `prepare` wrote."""
  return (epath.Path(root) / _INFO).is_file()


def prepare(builder: Builder, root: pathlib.Path) -> pathlib.Path:
  """Writes the splits of a folder as array_record files, if not there yet.

  Args:
    builder: knows what to write, and where.
    root: the folder.

  Returns:
    The folder to use instead.

  Raises:
    DataError: if something is missing or broken, or something else has been
      prepared at the same place.
  """
  if not any(root.glob("*")):
    raise images.DataError(root, "folder is missing or empty")
  out = pathlib.Path(builder.data_dir)
  if is_prepared(out):
    info = tfds.builder_from_directory(str(out)).info
    recipe = builder.recipe(root)
    if info.metadata["recipe"] != recipe:
      raise images.DataError(
        out,
        f"was prepared with {info.metadata['recipe']}, expected {recipe}; "
        "delete it or prepare elsewhere",
      )
    return out
  # A split beyond 1 GB goes by way of files, for which TFDS needs TensorFlow.
  # We keep it in memory instead.
  shuffle.MAX_MEM_BUFFER_SIZE = sys.maxsize
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=root)
  )
  return out


def encode_grey(values: UInt8[np.ndarray, "h w"] | None) -> io.BytesIO:
  """Encodes ids or coverage as PNG; one pixel where nothing is known.

  There is no palette, which TFDS and OpenCV would take for colours.
  """
  if values is None:
    values = np.zeros((1, 1), np.uint8)
  content = io.BytesIO()
  Image.fromarray(values).save(content, format="PNG")
  content.seek(0)
  return content


def decode_grey(content: bytes) -> UInt8[np.ndarray, "h w"]:
  """Decodes what `encode_grey` made."""
  # Not `read_labels`, which takes grey masks of 0 and 255 for object 1.
  return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)


def add_choices(parser: argparse.ArgumentParser) -> None:
  """Adds the options that stills with instances and videos share."""
  parser.add_argument(
    "--splits", nargs="+", default=SPLITS, help="names of the lists"
  )
  parser.add_argument(
    "--resolution", default="", help="DAVIS: folder below JPEGImages"
  )


def run(
  parser: argparse.ArgumentParser,
  prepare: Callable[..., pathlib.Path],
  arguments: list[str] | None,
) -> None:
  """Runs a command line, whose options are named as `prepare`'s arguments."""
  parser.add_argument("root", type=pathlib.Path, help="folder to prepare")
  parser.add_argument("out", type=pathlib.Path, help="where TFDS keeps data")
  try:
    print(f"prepared: {prepare(**vars(parser.parse_args(arguments)))}")
  except images.DataError as error:
    sys.exit(str(error))
