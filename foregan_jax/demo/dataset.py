"""The embedded demo data: the procedural world, written as DAVIS and VOC.

Rendered on first use into the folders the real data sets have, so that a run
without any data goes through the very same loaders:
`JPEGImages`, `Annotations` and `ImageSets` as DAVIS has them (every frame has a
mask), `Background` with what is behind the creatures of val,
`VOCdevkit/DEMO` with stills, and, by a recipe of their own, `VOCdevkit/SINGLE`
with squares around one creature each. `python -m foregan_jax.demo.dataset ROOT`
does it by hand.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import cv2
import rich.console
import rich.progress

from foregan_jax.demo import render

_MARKER, _LOCK = "demo.json", ".demo.lock"
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")
_TICK = ".\n"  # what a worker says after each job
_OURS = (
  "JPEGImages",
  "Annotations",
  "Background",
  "ImageSets",
  "VOCdevkit",
  render.SCRATCH,
)


RECIPE = render.Recipe()
# Pictures of one creature each, for systems that learn from such.
SINGLES = render.Recipe(
  train_videos=0,
  val_videos=0,
  train_stills=0,
  val_stills=0,
  train_singles=3000,
  val_singles=300,
  new_singles=200,
)


def _write_lists(root: pathlib.Path, recipe: render.Recipe) -> None:
  """Write the official lists: 2016 by frames, 2017 and VOC by names."""
  lists = []
  for split in render.SPLITS:
    videos, frames, stills = render.count(recipe, split)
    names = [render.video_name(split, i) for i in range(videos)]
    top, masks = (
      f"/{top}/{render.RESOLUTION}" for top in ("JPEGImages", "Annotations")
    )
    lines = [
      f"{top}/{name}/{i:05d}.jpg {masks}/{name}/{i:05d}.png"
      for name in names
      for i in range(frames)
    ]
    stills = [render.still_name(split, i) for i in range(stills)]
    lists += [
      (pathlib.Path("ImageSets", "2016"), split, lines),
      (pathlib.Path("ImageSets", "2017"), split, names),
      (render.STILLS / _VOC_LISTS, split, stills),
    ]
  for split, singles in render.count_singles(recipe).items():
    names = [render.single_name(split, i) for i in range(singles)]
    lists.append((render.SINGLES / _VOC_LISTS, split, names))
  for folder, split, content in lists:
    if content:
      (root / folder).mkdir(parents=True, exist_ok=True)
      text = "".join(f"{line}\n" for line in content)
      (root / folder / f"{split}.txt").write_text(text)


def _jobs(
  root: pathlib.Path, recipe: render.Recipe
) -> list[Callable[[], None]]:
  wanted = []
  # Long videos first, so that the workers finish together.
  for split in reversed(render.SPLITS):
    videos, _, stills = render.count(recipe, split)
    wanted += [
      (render.video, split, videos),
      (render.still, split, stills),
    ]
  for split, singles in render.count_singles(recipe).items():
    wanted.append((render.single, split, singles))
  return [
    functools.partial(render, root, recipe, split, i)
    for render, split, number in wanted
    for i in range(number)
  ]


def _folders(recipe: render.Recipe) -> Iterator[pathlib.Path]:
  """Yield the folders that are filled."""
  yield pathlib.Path(render.SCRATCH)
  if recipe.train_videos or recipe.val_videos:
    for top in ("JPEGImages", "Annotations", "Background"):
      yield pathlib.Path(top, render.RESOLUTION)
  stills = recipe.train_stills or recipe.val_stills
  singles = any(render.count_singles(recipe).values())
  for devkit, filled in (
    (render.STILLS, stills),
    (render.SINGLES, singles),
  ):
    if filled:
      for top in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        yield devkit / top


def _render_all(
  root: pathlib.Path, recipe: render.Recipe, num_workers: int
) -> None:
  shutil.rmtree(root / render.SCRATCH, ignore_errors=True)
  for folder in _folders(recipe):
    (root / folder).mkdir(parents=True, exist_ok=True)
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
  shutil.rmtree(root / render.SCRATCH)


def _work(
  root: pathlib.Path,
  recipe: render.Recipe,
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
  recipe: render.Recipe,
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
  recipe: render.Recipe = RECIPE,
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
    recipe = render.Recipe(**json.loads(recipe))
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
