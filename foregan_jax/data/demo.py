"""The embedded demo data: the procedural world, written as DAVIS and VOC.

Rendered on first use into the folders the real data sets have, so that a run
without any data goes through the very same loaders:
`JPEGImages`, `Annotations` and `ImageSets` as DAVIS has them (every frame has a
mask), `Background` with what is behind the creatures of val, and
`VOCdevkit/DEMO` with stills. `python -m foregan_jax.data.demo ROOT` does it by
hand.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import PIL.Image
import rich.console
import rich.progress

from foregan_jax import pictures
from foregan_jax.data import actors, creatures, scenery, species, world

RESOLUTION = "128p"
OBJECT_ID = 1
VOID = 255
_QUALITY = 90  # of the JPEG files
_DEFLATE = 1  # of the masks: they are small and flat anyway
_SPLITS = ("train", "val")
_VOC = pathlib.Path("VOCdevkit", "DEMO")
_MARKER, _LOCK, _SCRATCH = "demo.json", ".demo.lock", ".demo.tmp"
_TICK = ".\n"  # what a worker says after each job
_OURS = (
  "JPEGImages",
  "Annotations",
  "Background",
  "ImageSets",
  "VOCdevkit",
  _SCRATCH,
)


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How much of the world is rendered, and from which seed."""

  train_videos: int = 96
  train_frames: int = 10
  val_videos: int = 12
  val_frames: int = 24
  train_stills: int = 80
  val_stills: int = 20
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


RECIPE = Recipe()


def _save_labels(path: pathlib.Path, labels: np.ndarray) -> None:
  picture = PIL.Image.fromarray(labels)
  picture.putpalette(pictures.PALETTE.tobytes())
  picture.save(path, compress_level=_DEFLATE)


def _save_jpeg(path: pathlib.Path, image: np.ndarray) -> None:
  quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
  _, data = cv2.imencode(".jpg", image[..., ::-1], quality)
  path.write_bytes(data.tobytes())


def _rng(
  recipe: Recipe, split: str, index: int, still: bool
) -> np.random.Generator:
  """Return the generator of one video or still, whoever renders it."""
  place = (_SPLITS.index(split), index, int(still))
  sequence = np.random.SeedSequence(recipe.seed, spawn_key=place)
  return np.random.default_rng(sequence)


def _count(recipe: Recipe, split: str) -> tuple[int, int, int]:
  """Return how many videos, frames of each, and stills a split has."""
  if split == "train":
    return recipe.train_videos, recipe.train_frames, recipe.train_stills
  return recipe.val_videos, recipe.val_frames, recipe.val_stills


def _video_name(split: str, index: int) -> str:
  kinds = species.KINDS[split]
  return f"{kinds[index % len(kinds)].__name__}-{index:03d}"


def _still_name(split: str, index: int) -> str:
  return f"{split}_{index:06d}"


def _video(root: pathlib.Path, recipe: Recipe, split: str, index: int) -> None:
  """Render one video; its folder of frames appears last and complete."""
  name = _video_name(split, index)
  if (root / "JPEGImages" / RESOLUTION / name).is_dir():
    return
  _, num_frames, _ = _count(recipe, split)
  plates = split == "val"
  rng = _rng(recipe, split, index, still=False)
  views = world.render(rng, split, num_frames, [index], plates=plates)
  tops = ["Annotations", "JPEGImages"]
  if plates:
    tops.insert(0, "Background")
  with tempfile.TemporaryDirectory(dir=root / _SCRATCH) as scratch:
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


def _still(root: pathlib.Path, recipe: Recipe, split: str, index: int) -> None:
  """Render one still with one to three creatures; its JPEG appears last."""
  name = _still_name(split, index)
  final = root / _VOC / "JPEGImages" / f"{name}.jpg"
  if final.is_file():
    return
  rng = _rng(recipe, split, index, still=True)
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
  first = 1 + _SPLITS.index(split) * len(species.KINDS["train"])
  for number, k in enumerate(sorted(seen)):
    objects[k] = number + 1
    classes[k] = first + kinds[k - 1] % num_kinds
  for top, table in (
    ("SegmentationObject", objects),
    ("SegmentationClass", classes),
  ):
    labels = np.where(border, np.uint8(VOID), table[view.labels])
    _save_labels(root / _VOC / top / f"{name}.png", labels)
  scratch = root / _SCRATCH / f"{name}.jpg"
  _save_jpeg(scratch, view.frame)
  scratch.rename(final)


def _write_lists(root: pathlib.Path, recipe: Recipe) -> None:
  """Write the official lists: 2016 by frames, 2017 and VOC by names."""
  for split in _SPLITS:
    videos, frames, stills = _count(recipe, split)
    names = [_video_name(split, i) for i in range(videos)]
    lines = [
      f"/JPEGImages/{RESOLUTION}/{name}/{i:05d}.jpg "
      f"/Annotations/{RESOLUTION}/{name}/{i:05d}.png"
      for name in names
      for i in range(frames)
    ]
    stills = [_still_name(split, i) for i in range(stills)]
    for folder, content in (
      (root / "ImageSets" / "2016", lines),
      (root / "ImageSets" / "2017", names),
      (root / _VOC / "ImageSets" / "Segmentation", stills),
    ):
      folder.mkdir(parents=True, exist_ok=True)
      text = "".join(f"{line}\n" for line in content)
      (folder / f"{split}.txt").write_text(text)


def _jobs(root: pathlib.Path, recipe: Recipe) -> list[Callable[[], None]]:
  jobs = []
  # Long videos first, so that the workers finish together.
  for split in reversed(_SPLITS):
    videos, _, stills = _count(recipe, split)
    for render, count in ((_video, videos), (_still, stills)):
      for i in range(count):
        jobs.append(lambda r=render, s=split, i=i: r(root, recipe, s, i))
  return jobs


def _render_all(root: pathlib.Path, recipe: Recipe, num_workers: int) -> None:
  shutil.rmtree(root / _SCRATCH, ignore_errors=True)
  folders = [root / _SCRATCH]
  folders += [root / top / RESOLUTION for top in _OURS[:3]]
  for top in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
    folders.append(root / _VOC / top)
  for folder in folders:
    folder.mkdir(parents=True, exist_ok=True)
  total = len(_jobs(root, recipe))
  console = rich.console.Console(stderr=True)
  if not console.is_terminal:
    print(f"rendering the demo data into {root}", file=sys.stderr)
  with rich.progress.Progress(
    console=console, disable=not console.is_terminal
  ) as progress:
    task = progress.add_task("rendering the demo data", total=total)
    tick = lambda: progress.advance(task)
    if num_workers == 1:
      _work(root, recipe, 0, 1, tick)
    else:
      with concurrent.futures.ThreadPoolExecutor(num_workers) as pool:
        drive = lambda k: _drive(root, recipe, k, num_workers, tick)
        list(pool.map(drive, range(num_workers)))
  shutil.rmtree(root / _SCRATCH)


def _work(
  root: pathlib.Path,
  recipe: Recipe,
  worker: int,
  num_workers: int,
  tick: Callable[[], None],
) -> None:
  """Do one worker's share of the jobs."""
  for job in _jobs(root, recipe)[worker::num_workers]:
    job()
    tick()


def _drive(
  root: pathlib.Path,
  recipe: Recipe,
  worker: int,
  num_workers: int,
  tick: Callable[[], None],
) -> None:
  """Run one worker as a process of its own and count its ticks.

  Threads would share Python's lock and a forked JAX may hang; a fresh
  interpreter (not multiprocessing's, which imports the caller's main module
  and with it JAX) costs a third of a second.
  """
  order = [str(root), recipe.to_json(), worker, num_workers]
  package = pathlib.Path(__file__).resolve().parents[2]
  paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
  process = subprocess.Popen(
    [sys.executable, "-m", __spec__.name, "--worker", json.dumps(order)],
    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  said = ""
  try:
    for line in process.stdout:
      if line == _TICK:
        tick()
      else:
        said = line.strip()
  except BaseException:
    process.terminate()
    raise
  finally:
    process.wait()
  if process.returncode:
    raise RuntimeError(f"rendering the demo data into {root} failed: {said}")


@contextlib.contextmanager
def _locked(root: pathlib.Path) -> Iterator[None]:
  """Let one process at a time render; the others wait and find it done."""
  with open(root / _LOCK, "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield


def _read_marker(root: pathlib.Path) -> dict | None:
  try:
    return json.loads((root / _MARKER).read_text())
  except FileNotFoundError:
    return None
  except json.JSONDecodeError:
    return {"version": "", "finished": False}


def _write_marker(root: pathlib.Path, version: str, finished: bool) -> None:
  scratch = root / f"{_MARKER}.tmp"
  scratch.write_text(json.dumps({"version": version, "finished": finished}))
  scratch.replace(root / _MARKER)


def prepare(
  root: pathlib.Path,
  *,
  force: bool = False,
  recipe: Recipe = RECIPE,
  num_workers: int | None = None,
) -> pathlib.Path:
  """Render the demo data under a folder unless it is there already.

  A killed run is completed by the next call; a run of an older version is
  replaced. The bytes depend on the recipe only, not on the workers.

  Args:
    root: A folder of its own; made if it is missing.
    force: Render again even if it is complete.
    recipe: How much to render.
    num_workers: Processes; None means one per core this one may use.

  Returns:
    root.

  Raises:
    ValueError: If root holds files that are not the demo data.
  """
  version = recipe.version()
  done = {"version": version, "finished": True}
  if not force and _read_marker(root) == done:
    return root
  root.mkdir(parents=True, exist_ok=True)
  with _locked(root):
    marker = _read_marker(root)
    if marker == done and not force:
      return root
    if marker is None and any(p.name != _LOCK for p in root.iterdir()):
      raise ValueError(
        f"{root} is not empty and has no {_MARKER}: expected a new folder or "
        "one that holds the demo data"
      )
    if marker is not None and (force or marker["version"] != version):
      for name in _OURS:
        shutil.rmtree(root / name, ignore_errors=True)
    _write_marker(root, version, finished=False)
    _render_all(root, recipe, num_workers or len(os.sched_getaffinity(0)))
    _write_lists(root, recipe)
    _write_marker(root, version, finished=True)
  return root


def main() -> None:
  """Run from the command line, or as one of its own workers."""
  parser = argparse.ArgumentParser(description="Render the demo data.")
  parser.add_argument("root", type=pathlib.Path, nargs="?")
  parser.add_argument("--force", action="store_true", help="render again")
  parser.add_argument("--worker", help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.worker:
    cv2.setNumThreads(1)  # there are as many workers as cores
    root, recipe, worker, num_workers = json.loads(args.worker)
    recipe = Recipe(**json.loads(recipe))
    tick = lambda: print(_TICK, end="", flush=True)
    _work(pathlib.Path(root), recipe, worker, num_workers, tick)
    return
  if args.root is None:
    parser.error("ROOT is missing: where to put the demo data")
  try:
    prepare(args.root, force=args.force)
  except ValueError as error:
    sys.exit(str(error))
  print(f"The demo data is in {args.root}.")


if __name__ == "__main__":
  main()
