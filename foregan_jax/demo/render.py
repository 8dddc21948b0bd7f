"""Rendering of the pieces of the demo data: videos, stills, singles and faces.

A single is a square crop around one creature. Each piece has its own seed, so
the bytes do not depend on the worker that renders it. A piece appears under its
final name as the last step, when it is complete.
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

from foregan_jax.demo import (
  actors,
  creatures,
  face_canvas,
  face_looks,
  face_shapes,
  faces,
  scenery,
  species,
  world,
)
from foregan_jax.media import pictures

RESOLUTION = "128p"
OBJECT_ID = 1
VOID = 255
STILLS = pathlib.Path("VOCdevkit", "DEMO")
SINGLES = pathlib.Path("VOCdevkit", "SINGLE")
FACES = pathlib.Path("FACES")
SCRATCH = ".demo.tmp"
# Singles of `val` are other creatures with the kinds and places of `train`.
# Singles of `new` have the kinds, coats and places of the videos of `val`.
SPLITS = ("train", "val")
SINGLE_SPLITS = {"train": "train", "val": "train", "new": "val"}
_QUALITY = 90  # of the JPEG files
_DEFLATE = 1  # of the masks: they are small and flat at any level
# The last item of a piece's seed.
_VIDEO, _STILL, _SINGLE, _FACE = range(4)
_SOURCES = (
  actors, creatures, face_canvas, face_looks, face_shapes, faces, scenery,
  species, world,
)  # fmt: skip

_SINGLE_SIZE = 64  # side of a single, in pixels
_CROP_SCALE = (1.15, 1.7)  # side of the crop / longer side of the creature
_MAX_SHIFT = 0.1  # of the crop off the creature, as a share of its side
_MIN_COVERAGE = 0.06  # of the creature, as a share of the crop
_MAX_TRIES = 20


@dataclasses.dataclass(frozen=True)
class Recipe:
  """The number of pieces to render, and the seed."""

  train_videos: int = 96
  train_frames: int = 10
  val_videos: int = 12
  val_frames: int = 24
  train_stills: int = 80
  val_stills: int = 20
  train_singles: int = 0
  val_singles: int = 0
  new_singles: int = 0
  train_faces: int = 0
  val_faces: int = 0
  seed: int = 2016
  # Videos are squares around a slow creature, with a camera that does not move.
  calm: bool = False

  def to_json(self) -> str:
    """Return the recipe as JSON."""
    return json.dumps(dataclasses.asdict(self))

  def version(self) -> str:
    """Return a hash of the recipe and of the source files of the renderer."""
    digest = hashlib.sha256(self.to_json().encode())
    for module in _SOURCES:
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
  recipe: Recipe, split: str, index: int, piece: int
) -> np.random.Generator:
  """Return the random generator of one video, still or single."""
  spawn_key = (list(SINGLE_SPLITS).index(split), index, piece)
  sequence = np.random.SeedSequence(recipe.seed, spawn_key=spawn_key)
  return np.random.default_rng(sequence)


def count_singles(recipe: Recipe) -> dict[str, int]:
  """Return the number of singles of each split."""
  return {
    "train": recipe.train_singles,
    "val": recipe.val_singles,
    "new": recipe.new_singles,
  }


def count_pieces(recipe: Recipe, split: str) -> tuple[int, int, int]:
  """Return a split's numbers of videos, frames per video, and stills."""
  if split == "train":
    return recipe.train_videos, recipe.train_frames, recipe.train_stills
  return recipe.val_videos, recipe.val_frames, recipe.val_stills


def count_faces(recipe: Recipe) -> dict[str, int]:
  """Return the number of faces of each split."""
  return {"train": recipe.train_faces, "val": recipe.val_faces}


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


def face_name(split: str, index: int) -> str:
  """Return the name of a face's files."""
  return f"{split}_{index:06d}"


def render_video(
  root: pathlib.Path, recipe: Recipe, split: str, index: int
) -> None:
  """Render one video unless it exists.

  Its folder of frames appears last.
  """
  name = video_name(split, index)
  if (root / "JPEGImages" / RESOLUTION / name).is_dir():
    return
  _, num_frames, _ = count_pieces(recipe, split)
  plates = split == "val"
  rng = _rng(recipe, split, index, _VIDEO)
  views = world.render(
    rng, split, num_frames, [index], plates=plates, bare=recipe.calm,
    calm=recipe.calm,
  )  # fmt: skip
  if recipe.calm:
    views = _crop_views(rng, list(views))
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
      shutil.rmtree(final, ignore_errors=True)  # incomplete, of a killed run
      folder.rename(final)


def render_still(
  root: pathlib.Path, recipe: Recipe, split: str, index: int
) -> None:
  """Render one still with one to three creatures unless it exists.

  The JPEG appears last.
  """
  name = still_name(split, index)
  final = root / STILLS / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, _STILL)
  others = rng.integers(0, len(species.KINDS[split]), rng.integers(0, 3))
  kinds = [index, *others.tolist()]
  # A path needs two frames to have a direction; only the first is used.
  view = next(world.render(rng, split, 2, kinds, plates=False))
  # Tables from a label of the view to a class and to an object number.
  classes, objects = np.zeros((2, VOID + 1), np.uint8)
  kernel = np.ones((3, 3), np.uint8)
  border = cv2.dilate(view.labels, kernel) != cv2.erode(view.labels, kernel)
  # An object that consists of border only gets no number.
  visible = set(np.unique(view.labels[~border]).tolist()) - {0}
  num_kinds = len(species.KINDS[split])
  first = _first_class(split)
  for number, k in enumerate(sorted(visible)):
    objects[k] = number + 1
    classes[k] = first + kinds[k - 1] % num_kinds
  masks = [
    np.where(border, np.uint8(VOID), table[view.labels])
    for table in (objects, classes)
  ]
  _save_still(root, final, view.frame, *masks)


def render_single(
  root: pathlib.Path, recipe: Recipe, split: str, index: int
) -> None:
  """Render one single without occluders unless it exists.

  The JPEG appears last.

  Raises:
    RuntimeError: if no try shows enough of a creature.
  """
  name = single_name(split, index)
  final = root / SINGLES / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, _SINGLE)
  world_split = SINGLE_SPLITS[split]
  for _ in range(_MAX_TRIES):
    views = world.render(rng, world_split, 2, [index], plates=False, bare=True)
    view = next(views)
    window = _square_crop(rng, view.labels > 0)
    if window and (view.labels[window] > 0).mean() >= _MIN_COVERAGE:
      break
  else:
    raise RuntimeError(
      f"{name}: no try of {_MAX_TRIES} shows enough of a creature"
    )
  resize = lambda a: cv2.resize(
    a, (_SINGLE_SIZE,) * 2, interpolation=cv2.INTER_AREA
  )
  coverage = resize((view.labels[window] > 0).astype(np.uint8) * 255)
  labels = (coverage > 255 // 2).astype(np.uint8)
  number = _first_class(world_split) + index % len(species.KINDS[world_split])
  masks = OBJECT_ID * labels, number * labels
  _save_still(root, final, resize(view.frame[window]), *masks)


def _crop_views(
  rng: np.random.Generator, views: list[world.View]
) -> list[world.View]:
  """Cut views to one square around the creature's places in all of them."""
  window = _square_crop(rng, np.any([view.labels for view in views], axis=0))
  return [
    world.View(
      view.frame[window],
      None if view.plate is None else view.plate[window],
      view.labels[window],
    )
    for view in views
  ]


def render_face(
  root: pathlib.Path, recipe: Recipe, split: str, index: int
) -> None:
  """Render one face unless it exists; its emotion depends on the index.

  The JPEG appears last.
  """
  name = face_name(split, index)
  final = root / FACES / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, _FACE)
  image, classes = faces.render(rng, faces.emotion(index))
  labels = root / FACES / "SegmentationClass" / f"{name}.png"
  _save_labels(labels, classes)
  scratch = root / SCRATCH / final.name
  _save_jpeg(scratch, image)
  scratch.rename(final)


def _first_class(split: str) -> int:
  """Return the class number of the first kind of a split."""
  return 1 + SPLITS.index(split) * len(species.KINDS["train"])


def _save_still(
  root: pathlib.Path,
  final: pathlib.Path,
  frame: np.ndarray,
  objects: np.ndarray,
  classes: np.ndarray,
) -> None:
  """Write the masks of a still, then its JPEG to `final`."""
  devkit = final.parent.parent
  _save_labels(devkit / "SegmentationObject" / f"{final.stem}.png", objects)
  _save_labels(devkit / "SegmentationClass" / f"{final.stem}.png", classes)
  scratch = root / SCRATCH / final.name
  _save_jpeg(scratch, frame)
  scratch.rename(final)


def _square_crop(rng: np.random.Generator, mask: np.ndarray):
  """Sample a square crop around an object; None if the mask is empty."""
  y, x = np.nonzero(mask)
  if not len(y):
    return None
  low, high = np.array([y.min(), x.min()]), np.array([y.max(), x.max()]) + 1
  side = min((high - low).max() * rng.uniform(*_CROP_SCALE), min(mask.shape))
  centre = (low + high) / 2 + rng.uniform(-1, 1, 2) * _MAX_SHIFT * side
  # Keep the square inside the frame.
  corner = np.clip(centre - side / 2, 0, np.array(mask.shape) - side)
  side, (top, left) = int(side), corner.astype(int)
  return np.s_[top : top + side, left : left + side]
