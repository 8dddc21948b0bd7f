"""What the demo data consists of, piece by piece: videos, stills, squares.

Every piece is drawn from a seed of its own, so the bytes do not depend on who
renders what, and appears last and complete under its final name.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import tempfile

import cv2
import numpy as np
import PIL.Image

from foregan_jax.demo import actors, creatures, scenery, species, world
from foregan_jax.media import pictures

RESOLUTION = "128p"
OBJECT_ID = 1
VOID = 255
STILLS = pathlib.Path("VOCdevkit", "DEMO")
SINGLES = pathlib.Path("VOCdevkit", "SINGLE")
SCRATCH = ".demo.tmp"
# Singles of `val` are other creatures of the kinds of `train`, in its places;
# those of `new` are of the kinds, coats and places of the videos of `val`.
SPLITS = ("train", "val")
SINGLE_SPLITS = {"train": "train", "val": "train", "new": "val"}
_QUALITY = 90  # of the JPEG files
_DEFLATE = 1  # of the masks: they are small and flat anyway

_SIDE = 64  # of a single's square
_MARGIN = (1.15, 1.7)  # of the creature's longer side
_OFF_CENTRE = 0.1  # of the square's side
_LEAST = 0.06  # of the square that the creature covers
_TRIES = 20


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How much of the world is rendered, and from which seed."""

  train_videos: int = 96
  train_frames: int = 10
  val_videos: int = 12
  val_frames: int = 24
  train_stills: int = 80
  val_stills: int = 20
  train_singles: int = 0
  val_singles: int = 0
  new_singles: int = 0
  seed: int = 2016

  def to_json(self) -> str:
    """Return the recipe as text."""
    return json.dumps(dataclasses.asdict(self))

  def version(self) -> str:
    """Return a hash that changes with the recipe or the world's code."""
    digest = hashlib.sha256(self.to_json().encode())
    for module in (actors, creatures, scenery, species, world):
      digest.update(pathlib.Path(module.__file__).read_bytes())
    digest.update(pathlib.Path(__file__).read_bytes())
    return digest.hexdigest()


def _save_labels(path: pathlib.Path, labels: np.ndarray) -> None:
  picture = PIL.Image.fromarray(labels)
  picture.putpalette(pictures.PALETTE.tobytes())
  picture.save(path, compress_level=_DEFLATE)


def _save_jpeg(path: pathlib.Path, image: np.ndarray) -> None:
  quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
  _, data = cv2.imencode(".jpg", image[..., ::-1], quality)
  path.write_bytes(data.tobytes())


def _rng(
  recipe: Recipe, split: str, index: int, what: int
) -> np.random.Generator:
  """Return the generator of one video (0), still (1) or single (2)."""
  place = (list(SINGLE_SPLITS).index(split), index, what)
  sequence = np.random.SeedSequence(recipe.seed, spawn_key=place)
  return np.random.default_rng(sequence)


def count_singles(recipe: Recipe) -> dict[str, int]:
  """Return how many singles each split has."""
  return {
    "train": recipe.train_singles,
    "val": recipe.val_singles,
    "new": recipe.new_singles,
  }


def count(recipe: Recipe, split: str) -> tuple[int, int, int]:
  """Return how many videos, frames of each, and stills a split has."""
  if split == "train":
    return recipe.train_videos, recipe.train_frames, recipe.train_stills
  return recipe.val_videos, recipe.val_frames, recipe.val_stills


def video_name(split: str, index: int) -> str:
  """Return the name of a video's folder."""
  kinds = species.KINDS[split]
  return f"{kinds[index % len(kinds)].__name__}-{index:03d}"


def still_name(split: str, index: int) -> str:
  """Return the name of a still's files."""
  return f"{split}_{index:06d}"


def single_name(split: str, index: int) -> str:
  """Return the name of a single's files."""
  return f"{split}_{index:06d}"


def video(root: pathlib.Path, recipe: Recipe, split: str, index: int) -> None:
  """Render one video; its folder of frames appears last and complete."""
  name = video_name(split, index)
  if (root / "JPEGImages" / RESOLUTION / name).is_dir():
    return
  _, num_frames, _ = count(recipe, split)
  plates = split == "val"
  rng = _rng(recipe, split, index, what=0)
  views = world.render(rng, split, num_frames, [index], plates=plates)
  tops = ["Annotations", "JPEGImages"]
  if plates:
    tops.insert(0, "Background")
  with tempfile.TemporaryDirectory(dir=root / SCRATCH) as scratch:
    folders = {top: pathlib.Path(scratch, top) for top in tops}
    for folder in folders.values():
      folder.mkdir()
    for i, view in enumerate(views):
      _save_labels(
        folders["Annotations"] / f"{i:05d}.png", OBJECT_ID * view.labels
      )
      _save_jpeg(folders["JPEGImages"] / f"{i:05d}.jpg", view.frame)
      if plates:
        _save_jpeg(folders["Background"] / f"{i:05d}.jpg", view.plate)
    for top, folder in folders.items():
      final = root / top / RESOLUTION / name
      shutil.rmtree(final, ignore_errors=True)  # half of a killed run
      folder.rename(final)


def still(root: pathlib.Path, recipe: Recipe, split: str, index: int) -> None:
  """Render one still with one to three creatures; its JPEG appears last."""
  name = still_name(split, index)
  final = root / STILLS / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, what=1)
  others = rng.integers(0, len(species.KINDS[split]), rng.integers(0, 3))
  kinds = [index, *others.tolist()]
  # A path needs two frames to have a direction; the first one is kept.
  view = next(world.render(rng, split, 2, kinds, plates=False))
  classes, objects = np.zeros((2, VOID + 1), np.uint8)
  square = np.ones((3, 3), np.uint8)
  border = cv2.dilate(view.labels, square) != cv2.erode(view.labels, square)
  # Objects of which nothing but border is left get no number.
  seen = set(np.unique(view.labels[~border]).tolist()) - {0}
  num_kinds = len(species.KINDS[split])
  first = _first_class(split)
  for number, k in enumerate(sorted(seen)):
    objects[k] = number + 1
    classes[k] = first + kinds[k - 1] % num_kinds
  masks = [
    np.where(border, np.uint8(VOID), table[view.labels])
    for table in (objects, classes)
  ]
  _save_still(root, final, view.frame, *masks)


def single(root: pathlib.Path, recipe: Recipe, split: str, index: int) -> None:
  """Render a square around one creature in the open; its JPEG appears last."""
  name = single_name(split, index)
  final = root / SINGLES / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, what=2)
  kinds = SINGLE_SPLITS[split]
  for _ in range(_TRIES):
    views = world.render(rng, kinds, 2, [index], plates=False, bare=True)
    view = next(views)
    window = _square(rng, view.labels > 0)
    if window and (view.labels[window] > 0).mean() >= _LEAST:
      break
  else:
    raise RuntimeError(f"{name}: no creature in sight in {_TRIES} tries")
  resize = lambda a: cv2.resize(a, (_SIDE,) * 2, interpolation=cv2.INTER_AREA)
  covered = resize((view.labels[window] > 0).astype(np.uint8) * VOID)
  labels = (covered > VOID // 2).astype(np.uint8)
  number = _first_class(kinds) + index % len(species.KINDS[kinds])
  masks = OBJECT_ID * labels, number * labels
  _save_still(root, final, resize(view.frame[window]), *masks)


def _first_class(split: str) -> int:
  """Return the class of a split's first kind of creature."""
  return 1 + SPLITS.index(split) * len(species.KINDS["train"])


def _save_still(
  root: pathlib.Path,
  final: pathlib.Path,
  frame: np.ndarray,
  objects: np.ndarray,
  classes: np.ndarray,
) -> None:
  """Write a still's masks beside the folder of `final`, then its picture."""
  devkit = final.parent.parent
  _save_labels(devkit / "SegmentationObject" / f"{final.stem}.png", objects)
  _save_labels(devkit / "SegmentationClass" / f"{final.stem}.png", classes)
  scratch = root / SCRATCH / final.name
  _save_jpeg(scratch, frame)
  scratch.rename(final)


def _square(rng: np.random.Generator, mask: np.ndarray):
  """Return the slices of a square around an object; None without one."""
  y, x = np.nonzero(mask)
  if not len(y):
    return None
  low, high = np.array([y.min(), x.min()]), np.array([y.max(), x.max()]) + 1
  side = min((high - low).max() * rng.uniform(*_MARGIN), min(mask.shape))
  centre = (low + high) / 2 + rng.uniform(-1, 1, 2) * _OFF_CENTRE * side
  # The square stays inside the picture.
  corner = np.clip(centre - side / 2, 0, np.array(mask.shape) - side)
  side, (top, left) = int(side), corner.astype(int)
  return np.s_[top : top + side, left : left + side]
