"""A TFDS builder for stills with instance masks, such as VOC's.

  python -m foregan_jax.data.prepared.instances ROOT OUT

turns any folder that `instances.Instances` knows into array_record files below
`OUT/instances/1.0.0`; that folder is then used like the original, from local
disk or cloud storage. No TensorFlow is needed.
"""

import argparse
import io
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from foregan_jax.data import instance_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images


class Builder(records.Builder):
  """Pictures as they are, with the ids of their objects, and names."""

  name = "instances"

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
      _, labels = folder.read(i)  # a broken one stops here, with its name
      example = {
        "image": io.BytesIO(folder.paths[i][0].read_bytes()),
        "labels": records.encode_grey(labels),
        "name": name,
      }
      yield i, example


class Records(records.Records):
  """The stills of one split, prepared; see `instances.Stills`."""

  def __init__(self, root: os.PathLike | str, split: str, resolution: str):
    """Opens the files.

    Args:
      root: what `prepare` returned.
      split: one of its splits.
      resolution: which it must have been prepared with, if not "".

    Raises:
      DataError: if the folder is damaged or was prepared otherwise.
    """
    super().__init__(root, split, Builder.name, resolution=resolution)
    self.names = tuple(self.index)

  def read(
    self, index: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read a picture and its labels."""
    record = self.record(index)
    where = self.root / self.names[index]
    labels = records.decode_grey(record["labels"])
    return images.decode_image(record["image"], where), labels


def prepare(
  root: pathlib.Path,
  out: pathlib.Path,
  *,
  splits: Sequence[str] = records.SPLITS,
  resolution: str = "",
) -> pathlib.Path:
  """Write splits of a folder as array_record files, if not there yet.

  Args:
    root: a folder for `instances.Instances`.
    out: where TFDS keeps its data sets.
    splits: which.
    resolution: see `instances.Instances`.

  Returns:
    The folder to use instead.

  Raises:
    DataError: if something is missing or broken, or something else has been
      prepared at the same place.
  """
  resolution = instance_folders.find_resolution(root, resolution)
  builder = Builder(tuple(splits), data_dir=str(out), resolution=resolution)
  return records.prepare(builder, root)


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.instances",
    description="Prepare stills with instance masks as array_record files.",
  )
  records.add_choices(parser)
  records.run(parser, prepare, arguments)


if __name__ == "__main__":
  main()
