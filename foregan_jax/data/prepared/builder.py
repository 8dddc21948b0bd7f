"""The base class of the TFDS builders, and their command lines.

Builders write array_record files, for which TFDS needs no TensorFlow.
"""

import abc
import argparse
import io
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image
from tensorflow_datasets.core import shuffle

from foregan_jax.data.prepared import records
from foregan_jax.media import images, paths

SPLITS = ("train", "val")


class _Info(tfds.core.DatasetInfo):
  """A description that is not looked up in the bucket of TFDS."""

  def initialize_from_bucket(self) -> None:
    """Do nothing; TFDS would leave a folder in the system's folder `tmp`."""


class Builder(
  tfds.core.GeneratorBasedBuilder,
  skip_registration=True,  # type: ignore[call-arg]
):
  """A TFDS builder that reads the folder `manual_dir`.

  The class attribute `name` becomes the first folder below `data_dir`. It must
  not change: readers compare it with the metadata of existing folders.
  """

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "manual_dir is the folder to prepare."

  def __init__(self, splits: tuple[str, ...], *, data_dir: str, **options: str):
    """Set the splits and options.

    Args:
      splits: names of the folder's lists.
      data_dir: root of the prepared data sets.
      **options: other settings that determine the content; see `Records`.
    """
    self._splits, self._options = splits, options
    # TFDS's default format needs TensorFlow.
    super().__init__(file_format="array_record", data_dir=data_dir)

  @abc.abstractmethod
  def _features(self) -> dict[str, Any]:
    """Return the features of a record; pictures stay encoded."""

  @abc.abstractmethod
  def _open(self, root: pathlib.Path, split: str) -> Any:
    """Open a split of the folder, or raise DataError."""

  def _entries(self, folder: Any) -> list:
    """Return `Records.entries` of an opened split, as plain JSON."""
    return list(folder.names)

  @abc.abstractmethod
  def _generate_examples(self, folder: Any) -> Iterator[tuple[int, dict]]:
    """Yield the records of an opened split, with their positions."""

  def _info(self) -> tfds.core.DatasetInfo:
    return _Info(
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
      s: self._entries(f) for s, f in folders.items()
    }
    return {s: self._generate_examples(f) for s, f in folders.items()}

  def recipe(self, root: pathlib.Path) -> dict[str, Any]:
    """Return all settings that determine the content, as plain JSON."""
    source = {"root": str(paths.full(root)), "splits": list(self._splits)}
    return source | self._options


def prepare(builder: Builder, root: pathlib.Path) -> pathlib.Path:
  """Write the splits of a folder as array_record files, unless they exist.

  Args:
    builder: writes the files; its `data_dir` is the place.
    root: the original folder.

  Returns:
    The prepared folder.

  Raises:
    DataError: if a file is missing or broken, or the place holds files that
      were prepared with another root, other splits or other options.
  """
  if not any(root.glob("*")):
    raise images.DataError(root, "folder is missing or empty")
  out = pathlib.Path(builder.data_dir)
  if records.is_prepared(out):
    info = tfds.builder_from_directory(str(out)).info
    recipe = builder.recipe(root)
    if info.metadata["recipe"] != recipe:
      raise images.DataError(
        out,
        f"was prepared with {info.metadata['recipe']}, expected {recipe}; "
        "delete it or prepare elsewhere",
      )
    return out
  # TFDS buffers a split beyond 1 GB in files, for which it needs TensorFlow.
  # Keep it in memory instead.
  shuffle.MAX_MEM_BUFFER_SIZE = sys.maxsize
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=root)
  )
  return out


def encode_grey(values: UInt8[np.ndarray, "h w"] | None) -> io.BytesIO:
  """Encode ids or coverage as a grey PNG; None becomes one pixel of 0.

  The PNG has no palette: TFDS and OpenCV would decode it to colours.
  """
  if values is None:
    values = np.zeros((1, 1), np.uint8)
  content = io.BytesIO()
  Image.fromarray(values).save(content, format="PNG")
  content.seek(0)
  return content


def add_list_options(parser: argparse.ArgumentParser) -> None:
  """Add the options that the builders of instances and videos share."""
  parser.add_argument(
    "--splits", nargs="+", default=SPLITS, help="names of the lists"
  )
  parser.add_argument(
    "--resolution", default="", help="DAVIS: folder below JPEGImages"
  )


def run_command(
  parser: argparse.ArgumentParser,
  prepare_folder: Callable[..., pathlib.Path],
  arguments: list[str] | None,
) -> None:
  """Parse a command line and prepare a folder.

  Args:
    parser: its options have the names of `prepare_folder`'s arguments.
    prepare_folder: prepares `root` below `out` and returns the new folder.
    arguments: the command line; None: that of the process.
  """
  parser.add_argument("root", type=pathlib.Path, help="folder to prepare")
  parser.add_argument(
    "out", type=pathlib.Path, help="root of the prepared data sets"
  )
  paths.print_any_name()
  try:
    print(f"prepared: {prepare_folder(**vars(parser.parse_args(arguments)))}")
  except (images.DataError, OSError) as error:
    sys.exit(str(error))
