"""The demo data: procedural videos and stills in DAVIS and VOC layout.

They are rendered on first use into the folders of the real data sets, so that
a run without data uses the same loaders:

- `JPEGImages`, `Annotations` and `ImageSets` as in DAVIS; every frame has a
  mask;
- `Background`: the val frames without creatures;
- `VOCdevkit/DEMO`: stills;
- `VOCdevkit/SINGLE`: square crops around one creature each, rendered by
  `SINGLES_RECIPE` only;
- `FACES`: faces with label maps of their parts and `labels.csv` with their
  emotions, rendered by `FACES_RECIPE` only.

`CLIPS_RECIPE` renders square videos with a camera that does not move.

`python -m foregan_jax.demo.dataset ROOT` renders them from the command line.
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

from foregan_jax.demo import faces, render
from foregan_jax.media import paths

_MARKER, _LOCK = "demo.json", ".demo.lock"
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")
_DONE_LINE = ".\n"  # a worker prints it after each job
_OUTPUTS = (
  "JPEGImages",
  "Annotations",
  "Background",
  "ImageSets",
  "VOCdevkit",
  str(render.FACES),
  render.SCRATCH,
)


RECIPE = render.Recipe()
# Pictures of one creature each, for systems that train on such pictures.
SINGLES_RECIPE = render.Recipe(
  train_videos=0,
  val_videos=0,
  train_stills=0,
  val_stills=0,
  train_singles=3000,
  val_singles=300,
  new_singles=200,
)


# Videos in which only a creature moves, for systems that animate stills.
CLIPS_RECIPE = render.Recipe(
  train_videos=480,
  val_frames=10,
  train_stills=0,
  val_stills=0,
  calm=True,
)
# Faces with parts and emotions.
FACES_RECIPE = render.Recipe(
  train_videos=0,
  val_videos=0,
  train_stills=0,
  val_stills=0,
  train_faces=1200,
  val_faces=200,
)


def _write_lists(root: pathlib.Path, recipe: render.Recipe) -> None:
  """Write the lists of each split: 2016 by frame, 2017 and VOC by name."""
  lists = []
  for split in render.SPLITS:
    num_videos, num_frames, num_stills = render.count_pieces(recipe, split)
    names = [render.video_name(split, i) for i in range(num_videos)]
    images, masks = (
      f"/{top}/{render.RESOLUTION}" for top in ("JPEGImages", "Annotations")
    )
    lines = [
      f"{images}/{name}/{i:05d}.jpg {masks}/{name}/{i:05d}.png"
      for name in names
      for i in range(num_frames)
    ]
    stills = [render.still_name(split, i) for i in range(num_stills)]
    lists += [
      (pathlib.Path("ImageSets", "2016"), split, lines),
      (pathlib.Path("ImageSets", "2017"), split, names),
      (render.STILLS / _VOC_LISTS, split, stills),
    ]
  for split, num_singles in render.count_singles(recipe).items():
    names = [render.single_name(split, i) for i in range(num_singles)]
    lists.append((render.SINGLES / _VOC_LISTS, split, names))
  emotions = []
  for split, num_faces in render.count_faces(recipe).items():
    names = [render.face_name(split, i) for i in range(num_faces)]
    lists.append((render.FACES / _VOC_LISTS, split, names))
    emotions += [
      f"{name}.jpg,{faces.emotion(i)}\n" for i, name in enumerate(names)
    ]
  if emotions:
    table = "".join(["file,emotion\n", *emotions])
    (root / render.FACES / "labels.csv").write_text(table)
  for folder, split, content in lists:
    if content:
      (root / folder).mkdir(parents=True, exist_ok=True)
      text = "".join(f"{line}\n" for line in content)
      (root / folder / f"{split}.txt").write_text(text)


def _jobs(
  root: pathlib.Path, recipe: render.Recipe
) -> list[Callable[[], None]]:
  """Return one function per piece of the recipe."""
  groups = []
  # Long videos first, so that the workers finish together.
  for split in reversed(render.SPLITS):
    num_videos, _, num_stills = render.count_pieces(recipe, split)
    groups += [
      (render.render_video, split, num_videos),
      (render.render_still, split, num_stills),
    ]
  for split, num_singles in render.count_singles(recipe).items():
    groups.append((render.render_single, split, num_singles))
  for split, num_faces in render.count_faces(recipe).items():
    groups.append((render.render_face, split, num_faces))
  return [
    functools.partial(function, root, recipe, split, i)
    for function, split, number in groups
    for i in range(number)
  ]


def _folders(recipe: render.Recipe) -> Iterator[pathlib.Path]:
  """Yield the folders that a recipe fills."""
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
  if any(render.count_faces(recipe).values()):
    for top in ("JPEGImages", "SegmentationClass"):
      yield render.FACES / top


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
    on_done = lambda: progress.advance(task)
    if num_workers == 1:
      _run_jobs(root, recipe, 0, 1, on_done)
    else:
      with concurrent.futures.ThreadPoolExecutor(num_workers) as pool:
        run_worker = lambda k: _run_worker(
          root, recipe, k, num_workers, on_done
        )
        list(pool.map(run_worker, range(num_workers)))
  shutil.rmtree(root / render.SCRATCH)


def _run_jobs(
  root: pathlib.Path,
  recipe: render.Recipe,
  worker: int,
  num_workers: int,
  on_done: Callable[[], None],
) -> None:
  """Run one worker's share of the jobs; call `on_done` after each."""
  for job in _jobs(root, recipe)[worker::num_workers]:
    job()
    on_done()


def _run_worker(
  root: pathlib.Path,
  recipe: render.Recipe,
  worker: int,
  num_workers: int,
  on_done: Callable[[], None],
) -> None:
  """Run one worker in its own process; call `on_done` after each job.

  Threads would share Python's global lock, and a forked JAX may hang. A fresh
  interpreter starts in a third of a second. multiprocessing's would import the
  caller's main module, and JAX with it.

  Raises:
    RuntimeError: if the worker fails, with the last line of its output.
  """
  arguments = [str(root), recipe.to_json(), worker, num_workers]
  package = pathlib.Path(__file__).resolve().parents[2]
  paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
  process = subprocess.Popen(
    [sys.executable, "-m", __spec__.name, "--worker", json.dumps(arguments)],
    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  last_line = ""
  try:
    for line in process.stdout:
      if line == _DONE_LINE:
        on_done()
      else:
        last_line = line.strip()
  except BaseException:
    process.terminate()
    raise
  finally:
    process.wait()
  if process.returncode:
    raise RuntimeError(
      f"rendering the demo data into {root} failed: {last_line}"
    )


@contextlib.contextmanager
def _locked(root: pathlib.Path) -> Iterator[None]:
  """Hold the lock of a folder, so that only one process renders into it."""
  with open(root / _LOCK, "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield


def _read_marker(root: pathlib.Path) -> dict | None:
  """Read the version and state of a folder; None without a marker file.

  Raises:
    ValueError: if the marker is damaged. It is written atomically, so another
      program made it, and the folder must not be cleared.
  """
  path = root / _MARKER
  if not path.exists():
    return None
  marker = None
  if path.is_file():
    with contextlib.suppress(ValueError, RecursionError):
      marker = json.loads(path.read_text())
  if not (isinstance(marker, dict) and {"version", "finished"} <= set(marker)):
    raise ValueError(
      f"{path} is not the marker of the demo data: expected a new folder; or "
      "remove this one, if it has only the demo data"
    )
  return marker


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
  """Render the demo data into a folder unless they are complete there.

  A call after a killed run renders the missing pieces. Data of another version
  are deleted and rendered again. The bytes depend on the recipe only, not on
  the number of workers.

  Args:
    root: A folder for the demo data only; created if it is missing.
    force: If True, render again even if the data are complete.
    recipe: The number of pieces and the seed.
    num_workers: Number of processes; None: one per available core.

  Returns:
    root.

  Raises:
    ValueError: if root holds files that are not the demo data, or its marker
      is damaged.
    RuntimeError: if a worker fails.
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
        "a folder with the demo data"
      )
    if marker is not None and (force or marker["version"] != version):
      for name in _OUTPUTS:
        shutil.rmtree(root / name, ignore_errors=True)
    _write_marker(root, version, finished=False)
    _render_all(root, recipe, num_workers or len(os.sched_getaffinity(0)))
    _write_lists(root, recipe)
    _write_marker(root, version, finished=True)
  return root


def main() -> None:
  """Run the command line, or one worker of another process."""
  parser = argparse.ArgumentParser(description="Render the demo data.")
  parser.add_argument("root", type=pathlib.Path, nargs="?")
  parser.add_argument("--force", action="store_true", help="render again")
  parser.add_argument("--worker", help=argparse.SUPPRESS)
  args = parser.parse_args()
  paths.print_any_name()
  if args.worker:
    cv2.setNumThreads(1)  # there is one worker per core
    root, recipe, worker, num_workers = json.loads(args.worker)
    recipe = render.Recipe(**json.loads(recipe))
    on_done = lambda: print(_DONE_LINE, end="", flush=True)
    _run_jobs(pathlib.Path(root), recipe, worker, num_workers, on_done)
    return
  if args.root is None:
    parser.error("ROOT, the folder for the demo data, is missing")
  try:
    prepare(args.root, force=args.force)
  except (ValueError, OSError, RuntimeError) as error:
    sys.exit(str(error))
  print(f"The demo data is in {args.root}.")


if __name__ == "__main__":
  main()
