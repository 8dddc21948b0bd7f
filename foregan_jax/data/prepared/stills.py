"""A TFDS builder for folders of pictures: prepared once, read anywhere.

  python -m foregan_jax.data.prepared.stills ROOT OUT

turns any folder that `still_folders` knows into array_record files below
`OUT/stills/1.0.0`; that folder is then used like the original (`:data=...`),
from local disk or cloud storage. No TensorFlow is needed.
"""

import argparse
import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from foregan_jax.data import still_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images

_SPLITS = (*records.SPLITS, "new")


class Builder(records.Builder):
  """Pictures as they are, with coverage, class and name."""

  name = "stills"

  def _features(self) -> dict[str, Any]:
    return {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "mask": tfds.features.Image(shape=(None, None, 1)),
      "has_mask": np.bool_,
      "label": tfds.features.Text(),
      "name": tfds.features.Text(),
    }

  def _open(self, root: pathlib.Path, split: str) -> still_folders.Folder:
    return still_folders.Folder(root, split)

  def _generate_examples(
    self, folder: still_folders.Folder
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, name in enumerate(folder.names):
      picture = folder.image(i)  # a broken one stops here, with its name
      coverage = folder.coverage(i)
      if coverage is not None:
        images.check_size(
          folder.where(i), coverage.shape, picture.shape[:2], "its picture"
        )
      example = {
        "image": io.BytesIO(folder.paths[i].read_bytes()),
        "mask": records.encode_grey(coverage),
        "has_mask": coverage is not None,
        "label": folder.label(i) or "",
        "name": name,
      }
      yield i, example


class Records(records.Records):
  """The pictures of one split, prepared; see `stills.Pictures`."""

  def __init__(self, root: os.PathLike | str, split: str):
    """Opens the files.

    Raises:
      DataError: if the folder is damaged or there is no such split.
    """
    super().__init__(root, split, Builder.name)
    self.names = tuple(self.index)

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture."""
    return images.decode_image(self.record(index)["image"], self.where(index))

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read how much of each pixel the object covers, 0..255, if known."""
    record = self.record(index)
    if not record["has_mask"]:
      return None
    return records.decode_grey(record["mask"])

  def label(self, index: int) -> str | None:
    """Read what the picture shows, if known."""
    return self.record(index)["label"].decode() or None

  def where(self, index: int) -> pathlib.Path:
    """Return a name for error messages."""
    return self.root / self.names[index]


def prepare(root: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
  """Write the splits of a folder as array_record files, if not there yet.

  Args:
    root: a folder for `still_folders.Folder`.
    out: where TFDS keeps its data sets.

  Returns:
    The folder to give to `:data=`.

  Raises:
    DataError: if the folder holds nothing, or a picture is broken.
  """
  splits = tuple(s for s in _SPLITS if _has(root, s))
  if not splits:
    still_folders.Folder(root, "train")  # says what is missing
  return records.prepare(Builder(splits, data_dir=str(out)), root)


def _has(root: pathlib.Path, split: str) -> bool:
  try:
    return bool(still_folders.Folder(root, split).names)
  except images.DataError:
    return False


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.stills",
    description="Prepare a folder of pictures as array_record files.",
  )
  records.run(parser, prepare, arguments)


if __name__ == "__main__":
  main()
