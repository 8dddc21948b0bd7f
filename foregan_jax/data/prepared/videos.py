"""A TFDS builder for annotated videos in the layout of DAVIS.

  python -m foregan_jax.data.prepared.videos ROOT OUT --year 2017

writes a DAVIS folder as array_record files below `OUT/videos/1.0.0`. Use that
folder like the original for `clips.Clips`, from local disk or cloud storage. A
record is one frame, so that a clip reads only its own frames. No TensorFlow is
needed.
"""

import argparse
import io
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from foregan_jax.data import folders, video_folders
from foregan_jax.data.prepared import builder as builder_lib
from foregan_jax.data.prepared import records
from foregan_jax.media import images


class Builder(builder_lib.Builder):
  """A builder of unchanged frames, video by video, with object ids."""

  name = records.VideoRecords.builder_name

  def _features(self) -> dict[str, Any]:
    return {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "labels": tfds.features.Image(shape=(None, None, 1)),
      "has_labels": np.bool_,
      "name": tfds.features.Text(),
      "frame": np.int64,
    }

  def _open(self, root: pathlib.Path, split: str) -> video_folders.Folder:
    return video_folders.Folder(root, split=split, **self._options)

  def _entries(self, folder: video_folders.Folder) -> list[dict[str, Any]]:
    # Keys are part of the format: "known" holds the annotated times.
    return [
      {
        "name": video.name,
        "frames": len(video.frames),
        "known": folder.annotated[video.name],
      }
      for video in folder.videos.values()
    ]

  def _generate_examples(
    self, folder: video_folders.Folder
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    position = itertools.count()
    for name, video in folder.videos.items():
      for t, frame in enumerate(video.frames):
        # Both branches raise for a broken file, with its name.
        labels = None
        if t in folder.annotated[name]:
          _, labels = folder.read(name, t)
        else:
          images.read_image(frame)
        example = {
          "image": io.BytesIO(frame.read_bytes()),
          "labels": builder_lib.encode_grey(labels),
          "has_labels": labels is not None,
          "name": name,
          "frame": t,
        }
        yield next(position), example


def prepare(
  root: pathlib.Path,
  out: pathlib.Path,
  *,
  year: str = "2016",
  splits: Sequence[str] = builder_lib.SPLITS,
  resolution: str = "",
) -> pathlib.Path:
  """Write splits of a folder as array_record files, unless they exist.

  Args:
    root: a DAVIS folder.
    out: root of the prepared data sets.
    year: "2016" or "2017".
    splits: names of that year's lists.
    resolution: folder below JPEGImages; "" if there is exactly one.

  Returns:
    The prepared folder.

  Raises:
    DataError: if a file is missing or broken, or `out` holds videos that were
      prepared with another root, year or resolution, or with other splits.
  """
  resolution = folders.find_resolution(root, resolution)
  builder = Builder(
    tuple(splits), data_dir=str(out), year=year, resolution=resolution
  )
  return builder_lib.prepare(builder, root)


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.videos",
    description="Prepare annotated videos as array_record files.",
  )
  parser.add_argument("--year", default="2016", help="year of the lists")
  builder_lib.add_list_options(parser)
  builder_lib.run_command(parser, prepare, arguments)


if __name__ == "__main__":
  main()
