"""Folders of pictures of one object each; masks, if any, only for scoring.

    ROOT/images/**/NAME.jpg          or .png
    ROOT/segmentations/**/NAME.png   the same places; optional for training
    ROOT/train.txt, val.txt          names without ending; optional

or CUB-200-2011 as it comes (`images.txt` and `train_test_split.txt` beside
both folders). Without lists, pictures with a mask are val and the others train.
"""

import pathlib

import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.data import images

_ENDINGS = (".jpg", ".jpeg", ".png")
_COVERED = 128  # a grey mask holds coverage (CUB: the annotators' votes)


class Stills:
  """An indexable source of square pictures; `source[i]` is for training.

  Attributes:
    names: of the pictures, relative to the folder, without ending.
  """

  def __init__(
    self, root: pathlib.Path, *, split: str, size: int, slack: int = 0
  ):
    """Finds the pictures of a split.

    Args:
      root: the folder.
      split: "train" or "val".
      size: side of what networks see.
      slack: how much larger training pictures come, to cut windows from.

    Raises:
      DataError: if there is no such folder, list or picture.
    """
    self._root = pathlib.Path(root)
    self._size, self._slack = size, slack
    folder = self._root / "images"
    if not folder.is_dir():
      raise images.DataError(folder, "no such folder of pictures")
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS]
    found = {str(p.relative_to(folder).with_suffix("")): p for p in paths}
    self.names = self._listed(split, found)
    if not self.names:
      raise images.DataError(self._root, f"split {split!r} holds no picture")
    self._paths = [found[name] for name in self.names]

  def _listed(self, split: str, found: dict) -> tuple[str, ...]:
    path = self._root / f"{split}.txt"
    if path.is_file():
      names = path.read_text().split()
    elif (self._root / "train_test_split.txt").is_file():
      path, names = self._root / "images.txt", self._cub(split)
    else:
      marked = lambda name: self._mask_path(name).is_file()
      names = [n for n in sorted(found) if marked(n) == (split == "val")]
    for name in names:
      if name not in found:
        raise images.DataError(path, f"lists {name}, which is not in images/")
    return tuple(names)

  def _cub(self, split: str) -> list[str]:
    table = lambda name: [
      line.split() for line in (self._root / name).read_text().splitlines()
    ]
    is_train = {i: flag == "1" for i, flag in table("train_test_split.txt")}
    return [
      str(pathlib.PurePath(name).with_suffix(""))
      for i, name in table("images.txt")
      if is_train[i] == (split == "train")
    ]

  def _mask_path(self, name: str) -> pathlib.Path:
    # Not with_suffix: names may hold dots.
    return self._root / "segmentations" / f"{name}.png"

  def __len__(self) -> int:
    """Count the pictures."""
    return len(self.names)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    """Read `image`, uint8 [size + slack, size + slack, 3]."""
    return {"image": self._square(index, self._size + self._slack)}

  def picture(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
    """Read the picture at the networks' size: its centre, no slack."""
    return self._square(index, self._size)

  def mask(self, index: int) -> Bool[np.ndarray, "s s"] | None:
    """Read the mask that goes with `picture`; None where there is none.

    Raises:
      DataError: if the mask is broken or differs in size from its picture.
    """
    path = self._mask_path(self.names[index])
    if not path.is_file():
      return None
    coverage = images.read_coverage(path)
    native = images.read_image(self._paths[index]).shape[:2]
    images.check_size(path, coverage.shape, native, "its picture")
    covered = (_centre(coverage) >= _COVERED).astype(np.uint8)
    resized = images.resize_mask(covered, (self._size, self._size))
    return resized[..., 0] >= _COVERED

  def _square(self, index: int, side: int) -> np.ndarray:
    picture = images.read_image(self._paths[index])
    return images.resize_image(_centre(picture), (side, side))


def _centre(image: np.ndarray) -> np.ndarray:
  """Cut the largest square out of the middle."""
  h, w = image.shape[:2]
  side = min(h, w)
  y, x = (h - side) // 2, (w - side) // 2
  return image[y : y + side, x : x + side]
