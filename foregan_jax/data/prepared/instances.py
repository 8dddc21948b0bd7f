"""A TFDS builder for pictures with instance masks, such as VOC.

  python -m foregan_jax.data.prepared.instances ROOT OUT

writes a folder of one of the layouts of `instance_folders` as array_record
files below `OUT/instances/1.0.0`. Use that folder like the original, from local
disk or cloud storage. No TensorFlow is needed.
"""

import argparse
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from foregan_jax.data import instance_folders
from foregan_jax.data.prepared import builder as builder_lib
from foregan_jax.data.prepared import records


class Builder(builder_lib.Builder):
  """A builder of unchanged pictures, with object ids and names."""

  name = records.InstanceRecords.builder_name

  def _features(self) -> dict[str, Any]:
    return {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "labels": tfds.features.Image(shape=(None, None, 1)),
      "name": tfds.features.Text(),
    }

  def _open(self, root: pathlib.Path, split: str) -> instance_folders.Folder:
    return instance_folders.Folder(root, split, **self._options)

  def _generate_examples(
    self, folder: instance_folders.Folder
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, name in enumerate(folder.names):
      _, labels = folder.read(i)  # raises for a broken file, with its name
      example = {
        "image": io.BytesIO(folder.paths[i][0].read_bytes()),
        "labels": builder_lib.encode_grey(labels),
        "name": name,
      }
      yield i, example


def prepare(
  root: pathlib.Path,
  out: pathlib.Path,
  *,
  splits: Sequence[str] = builder_lib.SPLITS,
  resolution: str = "",
) -> pathlib.Path:
  """Write splits of a folder as array_record files, unless they exist.

  Args:
    root: a folder for `instance_folders.Folder`.
    out: root of the prepared data sets.
    splits: names of the lists.
    resolution: DAVIS only, folder below JPEGImages; "" if there is exactly one.

  Returns:
    The prepared folder.

  Raises:
    DataError: if a file is missing or broken, or `out` holds instances that
      were prepared with another root, other splits or another resolution.
  """
  resolution = instance_folders.find_resolution(root, resolution)
  builder = Builder(tuple(splits), data_dir=str(out), resolution=resolution)
  return builder_lib.prepare(builder, root)


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.instances",
    description="Prepare pictures with instance masks as array_record files.",
  )
  builder_lib.add_list_options(parser)
  builder_lib.run_command(parser, prepare, arguments)


if __name__ == "__main__":
  main()
