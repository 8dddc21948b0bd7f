"""A TFDS builder for folders of pictures: prepared once, read anywhere.

  python -m foregan_jax.data.tfds_stills ROOT OUT

turns any folder that `still_folders` knows into array_record files below
`OUT/stills/1.0.0`; that folder is then used like the original (`:data=...`),
from local disk or cloud storage. No TensorFlow is needed.
"""

import argparse
import io
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

from foregan_jax.data import images, still_folders

_INFO = "dataset_info.json"  # what TFDS leaves in a prepared folder
_KEPT_ENCODED = ("image", "mask")


class Builder(tfds.core.GeneratorBasedBuilder):
  """Pictures as they are, with coverage, class and name."""

  VERSION = tfds.core.Version("1.0.0")
  name = "stills"

  def __init__(self, root: pathlib.Path, splits: tuple[str, ...], **kwargs):
    """Remembers what to read.

    Args:
      root: a folder for `still_folders.Folder`.
      splits: its splits.
      **kwargs: of TFDS: `data_dir`.
    """
    self._root, self._splits = root, splits
    # TFDS's default format needs TensorFlow.
    super().__init__(file_format="array_record", **kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    features = tfds.features.FeaturesDict(
      {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "mask": tfds.features.Image(shape=(None, None, 1)),
        "has_mask": np.bool_,
        "label": tfds.features.Text(),
        "name": tfds.features.Text(),
      }
    )
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager):
    del dl_manager
    return {split: self._generate_examples(split) for split in self._splits}

  def _generate_examples(
    self, split: str
  ) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = still_folders.Folder(self._root, split)
    for i, name in enumerate(folder.names):
      picture = folder.image(i)  # a broken one stops here, with its name
      coverage = folder.coverage(i)
      if coverage is not None:
        images.check_size(
          folder.where(i), coverage.shape, picture.shape[:2], "its picture"
        )
      example = {
        "image": io.BytesIO(folder.paths[i].read_bytes()),
        "mask": _png(coverage),
        "has_mask": coverage is not None,
        "label": folder.label(i) or "",
        "name": name,
      }
      yield name, example


class Records:
  """The pictures of one split, prepared; see `stills.Pictures`."""

  def __init__(self, root: pathlib.Path, split: str):
    """Opens the files.

    Raises:
      DataError: if there is no such split.
    """
    self._root = root
    builder = tfds.builder_from_directory(str(root))
    if split not in builder.info.splits:
      known = ", ".join(builder.info.splits)
      raise images.DataError(root, f"has no split {split!r}, only {known}")
    as_stored = dict.fromkeys(_KEPT_ENCODED, tfds.decode.SkipDecoding())
    self._source = builder.as_data_source(split, decoders=as_stored)
    self.names = tuple(
      self._source[i]["name"].decode() for i in range(len(self._source))
    )

  def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture."""
    content = self._source[index]["image"]
    return images.decode_image(content, self.where(index))

  def coverage(self, index: int) -> UInt8[np.ndarray, "h w"] | None:
    """Read how much of each pixel the object covers, 0..255, if known."""
    example = self._source[index]
    if not example["has_mask"]:
      return None
    return np.array(Image.open(io.BytesIO(example["mask"])))

  def label(self, index: int) -> str | None:
    """Read what the picture shows, if known."""
    return self._source[index]["label"].decode() or None

  def where(self, index: int) -> pathlib.Path:
    """Return a name for error messages."""
    return self._root / self.names[index]


def is_prepared(root: pathlib.Path) -> bool:
  """Say whether a folder holds what `prepare` wrote."""
  return (root / _INFO).is_file()


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
  splits = tuple(s for s in ("train", "val", "new") if _has(root, s))
  if not splits:
    still_folders.Folder(root, "train")  # says what is missing
  builder = Builder(root, splits, data_dir=str(out))
  builder.download_and_prepare()
  return pathlib.Path(builder.data_dir)


def _has(root: pathlib.Path, split: str) -> bool:
  try:
    return bool(still_folders.Folder(root, split).names)
  except images.DataError:
    return False


def _png(coverage: np.ndarray | None) -> io.BytesIO:
  """Encode without a palette, which TFDS would take for colours."""
  if coverage is None:
    coverage = np.zeros((1, 1), np.uint8)
  content = io.BytesIO()
  Image.fromarray(coverage).save(content, format="PNG")
  content.seek(0)
  return content


def main(arguments: list[str] | None = None) -> None:
  """Run the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.data.tfds_stills",
    description="Prepare a folder of pictures as array_record files.",
  )
  parser.add_argument("root", type=pathlib.Path, help="folder of pictures")
  parser.add_argument("out", type=pathlib.Path, help="where TFDS keeps data")
  args = parser.parse_args(arguments)
  try:
    print(f"prepared: {prepare(args.root, args.out)}")
  except images.DataError as error:
    sys.exit(str(error))


if __name__ == "__main__":
  main()
