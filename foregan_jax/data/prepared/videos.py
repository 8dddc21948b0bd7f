"""A TFDS builder for annotated videos in the layout of DAVIS.

  python -m foregan_jax.data.prepared.videos ROOT OUT --year 2017

turns a DAVIS folder into array_record files below `OUT/videos/1.0.0`; that
folder is then used like the original by `clips.Clips`, from local disk or
cloud storage. A record is one frame, so that a clip reads nothing but its own
frames. No TensorFlow is needed.
"""

import argparse
import io
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from foregan_jax.data import folders, video_folders
from foregan_jax.data.prepared import records
from foregan_jax.media import images


class Builder(records.Builder):
  """Frames as they are, video by video, with the ids of their objects."""

  name = "videos"

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

  def _index(self, folder: video_folders.Folder) -> list[dict[str, Any]]:
    return [
      {"name": v.name, "frames": len(v.frames), "known": folder.known[v.name]}
      for v in folder.videos.values()
    ]

  def _generate_examples(
    self, folder: video_folders.Folder
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    place = itertools.count()
    for name, video in folder.videos.items():
      for t, frame in enumerate(video.frames):
        labels = None
        if t in folder.known[name]:
          _, labels = folder.read(name, t)  # a broken one stops here
        else:
          images.read_image(frame)
        example = {
          "image": io.BytesIO(frame.read_bytes()),
          "labels": records.encode_grey(labels),
          "has_labels": labels is not None,
          "name": name,
          "frame": t,
        }
        yield next(place), example


class Records(records.Records):
  """The videos of one split, prepared; see `clips.Videos`."""

  def __init__(
    self, root: os.PathLike | str, *, year: str, split: str, resolution: str
  ):
    """Opens the files.

    Args:
      root: what `prepare` returned.
      year: which it must have been prepared with.
      split: one of its splits.
      resolution: which it must have been prepared with, if not "".

    Raises:
      DataError: if the folder is damaged or was prepared otherwise.
    """
    super().__init__(
      root, split, Builder.name, year=year, resolution=resolution
    )
    self.path = self.root
    self.known = {video["name"]: video["known"] for video in self.index}
    lengths = [video["frames"] for video in self.index]
    starts = itertools.accumulate(lengths, initial=0)
    self._starts = dict(zip(self.known, starts, strict=False))

  def read(
    self, name: str, time: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read an annotated frame and its labels."""
    record = self.record(self._starts[name] + time)
    where = self.root / name / f"{time:05d}"
    labels = records.decode_grey(record["labels"])
    return images.decode_image(record["image"], where), labels


def prepare(
  root: pathlib.Path,
  out: pathlib.Path,
  *,
  year: str = "2016",
  splits: Sequence[str] = records.SPLITS,
  resolution: str = "",
) -> pathlib.Path:
  """Write splits of a folder as array_record files, if not there yet.

  Args:
    root: a folder for `clips.Clips`.
    out: where TFDS keeps its data sets.
    year: "2016" or "2017".
    splits: names of that year's lists.
    resolution: folder below JPEGImages; "" if there is exactly one.

  Returns:
    The folder to use instead.

  Raises:
    DataError: if something is missing or broken, or something else has been
      prepared at the same place.
  """
  resolution = folders.find_resolution(root, resolution)
  builder = Builder(
    tuple(splits), data_dir=str(out), year=year, resolution=resolution
  )
  return records.prepare(builder, root)


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.prepared.videos",
    description="Prepare annotated videos as array_record files.",
  )
  parser.add_argument("--year", default="2016", help="of the lists")
  records.add_choices(parser)
  records.run(parser, prepare, arguments)


if __name__ == "__main__":
  main()
