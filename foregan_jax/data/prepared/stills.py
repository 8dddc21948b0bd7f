"""A TFDS builder for pictures of one object each.

  python -m foregan_jax.data.prepared.stills ROOT OUT

writes a folder of one of the layouts of `still_folders` as array_record files
below `OUT/stills/1.0.0`. Use that folder like the original (`:data=...`), from
local disk or cloud storage. No TensorFlow is needed.
"""

import argparse
import io
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from foregan_jax.data import still_folders
from foregan_jax.data.prepared import builder as builder_lib
from foregan_jax.data.prepared import records
from foregan_jax.media import images

_SPLITS = (*builder_lib.SPLITS, "new")


class Builder(builder_lib.Builder):
  """A builder of unchanged pictures, with coverage, class and name."""

  name = records.StillRecords.builder_name

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
      picture = folder.image(i)  # raises for a broken file, with its name
      coverage = folder.coverage(i)
      if coverage is not None:
        images.check_size(
          folder.mask_path(i), coverage.shape, picture.shape[:2], "its picture"
        )
      example = {
        "image": io.BytesIO(folder.paths[i].read_bytes()),
        "mask": builder_lib.encode_grey(coverage),
        "has_mask": coverage is not None,
        "label": folder.class_name(i) or "",
        "name": name,
      }
      yield i, example


def prepare(root: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
  """Write the splits of a folder as array_record files, unless they exist.

  Args:
    root: a folder for `still_folders.Folder`.
    out: root of the prepared data sets.

  Returns:
    The prepared folder, for `:data=`.

  Raises:
    DataError: if the folder has no picture, a file or list is broken, or `out`
      holds stills that were prepared from another folder.
  """
  splits = tuple(s for s in _SPLITS if _has(root, s))
  if not splits:
    still_folders.Folder(root, "train")  # raises: its error names the reason
  return builder_lib.prepare(Builder(splits, data_dir=str(out)), root)


def _has(root: pathlib.Path, split: str) -> bool:
  try:
    return bool(still_folders.Folder(root, split).names)
  except still_folders.NoSplitError:
    return False


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.stills",
    description="Prepare a folder of pictures as array_record files.",
  )
  builder_lib.run_command(parser, prepare, arguments)


if __name__ == "__main__":
  main()
