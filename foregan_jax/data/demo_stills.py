"""Demo pictures of one object each, cut out of the demo videos.

Squares around the creature, at random places and sizes, in the layout that
`stills.Stills` reads. Training pictures have no masks: nobody may learn from
them.
"""

import fcntl
import pathlib
import shutil

import cv2
import numpy as np
import rich.progress

from foregan_jax.data import demo, images

SIDE = 64
_CUTS = {"train": 4, "val": 1}  # squares per frame
_EVERY = {"train": 1, "val": 2}  # neighbours look alike
_MARGIN = (1.15, 1.8)  # of the object's longer side
_OFF_CENTRE = 0.12  # of the square's side
_MIN_PIXELS = 60  # of a visible object
_SEED = 2022
_MARKER = "finished"


def prepare(root: pathlib.Path, videos: pathlib.Path) -> pathlib.Path:
  """Cuts the pictures unless they are there; renders the videos if need be.

  Args:
    root: where the pictures go; replaced if a run was killed here.
    videos: the demo data in DAVIS layout.

  Returns:
    root.
  """
  demo.prepare(videos)
  version = f"{demo.RECIPE.version()} {SIDE}"
  marker = root / _MARKER
  root.parent.mkdir(parents=True, exist_ok=True)
  with open(root.parent / f".{root.name}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if marker.is_file() and marker.read_text() == version:
      return root
    shutil.rmtree(root, ignore_errors=True)
    for split in _CUTS:
      names = _cut_split(root, videos, split)
      (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    marker.write_text(version)
  return root


def _cut_split(root, videos, split: str) -> list[str]:
  listed = (videos / "ImageSets" / "2016" / f"{split}.txt").read_text()
  frames = [line.split() for line in listed.splitlines() if line]
  rng = np.random.default_rng([_SEED, len(split)])
  names = []
  for frame_path, mask_path in rich.progress.track(
    frames[:: _EVERY[split]], f"demo pictures of {split}"
  ):
    frame = images.read_image(videos / frame_path.lstrip("/"))
    labels = images.read_labels(videos / mask_path.lstrip("/"))
    mask = labels == demo.OBJECT_ID
    if mask.sum() < _MIN_PIXELS:
      continue
    video, stem = pathlib.PurePath(frame_path).with_suffix("").parts[-2:]
    for k in range(_CUTS[split]):
      name = f"{split}/{video}-{stem}-{k}"
      image, coverage = _cut(rng, frame, mask)
      _save(root / "images" / f"{name}.png", image[..., ::-1])
      if split == "val":
        _save(root / "segmentations" / f"{name}.png", coverage)
      names.append(name)
  return names


def _cut(rng, frame: np.ndarray, mask: np.ndarray):
  """Returns a square around the object and the object's coverage of it."""
  y, x = np.nonzero(mask)
  extent = max(np.ptp(y), np.ptp(x)) + 1
  side = min(extent * rng.uniform(*_MARGIN), min(mask.shape))
  centre = np.array([np.ptp(x) / 2 + x.min(), np.ptp(y) / 2 + y.min()])
  centre = centre + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * side
  # The square stays inside the picture.
  limits = np.array(mask.shape[::-1])
  corner = np.clip(centre - side / 2, 0, limits - side)
  side, (left, top) = int(side), corner.astype(int)
  window = np.s_[top : top + side, left : left + side]
  resize = lambda a: cv2.resize(a, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
  coverage = mask[window].astype(np.uint8) * 255
  return resize(frame[window]), resize(coverage)


def _save(path: pathlib.Path, image: np.ndarray) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  if not cv2.imwrite(str(path), image):
    raise OSError(0, "cannot be written", str(path))
