"""Evaluate checkpoints or a weight file: masks, scores, pictures.

  python -m foregan_jax.evaluate --workdir=runs/davis
  python -m foregan_jax.evaluate --workdir=runs/rgmp_davis \\
    --data=/datasets/DAVIS --year=2017 --resolution=480p
  python -m foregan_jax.evaluate --weights=rgmp.pth --data=/datasets/DAVIS \\
    --year=2017

The first command evaluates a run on its own evaluation data, the second one on
other data, the third one RGMP's official weights, beside the published scores.
A file that `python -m foregan_jax.export` wrote is evaluated in the same way.
Propagators are shown beside RGMP's published scores of the same videos.
Results are written to `<workdir>/eval/<benchmark>/step-<N>/`. `--step=new`
evaluates the checkpoints of a run while another process trains it, until its
last step, and keeps a table and the best weights beside these folders.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from absl import flags

from foregan_jax import (
  evaluators,
  game,
  new_checkpoints,
  runs,
  storage,
  tasks,
  weight_files,
)
from foregan_jax.data import sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import images
from foregan_jax.metrics import published
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.runtime import cli, distributed

_SWEEP = "sweep"
_NEW = "new"
_SINGLE_PICTURES = (tasks.STILLS, tasks.FACE_EDITS, tasks.FACE_PARTS)


@dataclasses.dataclass(frozen=True)
class Options:
  """What to evaluate on, and how; empty values mean as in the run.

  Attributes:
    data: a data folder of the same layout.
    year: of the DAVIS lists; 2017 scores each object separately, see `objects`.
    resolution: folder below JPEGImages.
    split: name of the list.
    objects: `merged` (all objects as one), `all` (each separately), or the
      index of one.
    scales: sizes, as factors, at which frames are segmented and averaged.
    side: shorter side, in pixels, at which frames are segmented.
    threshold: of soft masks, in (0, 1), or `sweep`: also report J at many.
    inception: weights of the Inception network, for FID and KID.
  """

  data: str = ""
  year: str = ""
  resolution: str = ""
  split: str = ""
  objects: str = ""
  scales: tuple[float, ...] = ()
  side: int = 0
  threshold: str = ""
  inception: str = ""

  def of_videos(self) -> dict[str, str]:
    """Return the given options that only videos have, by flag."""
    names = ("year", "resolution", "objects", "side", "threshold")
    given = {n: str(getattr(self, n)) for n in names if getattr(self, n)}
    if self.scales:
      given["scales"] = ",".join(map(str, self.scales))
    return given


def evaluate(
  workdir: str | os.PathLike,
  *,
  step: str = "best",
  weights: str = "",
  options: Options | None = None,
) -> None:
  """Evaluate checkpoints of a run and print a table for each.

  Args:
    workdir: of the run; with `weights`, the folder of the results.
    step: `all`, `best`, `latest`, a number, or `new`: see
      `new_checkpoints`.
    weights: a weight file, to evaluate in place of a run.
    options: of the evaluation.

  Raises:
    ValueError: if the run, the step or the data do not exist, or an option
      does not fit the run.
  """
  options = options or Options()
  run: Any
  if weights:
    if not options.data:
      raise ValueError(f"--weights={weights} also needs --data=FOLDER")
    if step == _NEW:
      raise ValueError(f"--step={step} is for runs, not for --weights")
    run = weight_files.open_file(weights, workdir)
  else:
    if step == _NEW:
      new_checkpoints.wait_for_run(storage.open_path(workdir))
    run = runs.Run(workdir)
  config, system = run.config, run.system
  trained = config.copy_and_resolve_references()
  _set_data(config, options)
  extra = _check(config, system, options)
  if options.scales:
    tracker = system.tracker.at_scales(options.scales)
    system = dataclasses.replace(system, tracker=tracker)
  sources.prepare(config, run.workdir)
  evaluator = evaluators.build(system, config, run.workdir, **extra)
  benchmark = _benchmark(config, options)
  new = None
  if step == _NEW:
    folder = result_lib.folder(run.workdir, benchmark, 0).parent
    new = new_checkpoints.NewCheckpoints(run, trained, folder)
  for number, nets in new or _load(run, step):
    result = evaluator.assess(
      nets,
      folder=result_lib.folder(run.workdir, benchmark, number),
      whole=True,
      write=config.eval.write_pictures,
    )
    if distributed.is_first_process():
      show(run.workdir, config, number, result, benchmark=benchmark)
      year = config.data.year
      comparable = system.task == tasks.VIDEOS and (
        system.tracking == tasks.OBJECTS
      )
      if comparable and published.has_any(result.scores, year):
        published.show(result.scores, year)
      if new:
        new.add(number, nets, result)
  if new:
    print(f"scores of all steps, and the best weights: {new.table.parent}")


def _set_data(config, options: Options) -> None:
  """Change the evaluation data of a config in place."""
  if options.data:
    sources.point_at(config, options.data)
  for key, value in (
    ("year", options.year),
    ("resolution", options.resolution),
    ("eval_split", options.split),
  ):
    if value:
      config.data[key] = value
  named = {"merged": 0, "all": -1}
  if options.objects in named:
    config.data.objects = named[options.objects]
  elif options.objects:
    if not options.objects.isascii() or not options.objects.isdecimal():
      raise ValueError(
        f"--objects={options.objects}: expected merged, all, or the index of "
        "an object, from 1"
      )
    config.data.objects = int(options.objects)
  elif options.year:
    config.data.objects = named["all" if options.year == "2017" else "merged"]


def _check(config, system, options: Options) -> dict[str, Any]:
  """Refuse options that the system does not have; return the evaluator's."""
  if system.task != tasks.STILLS and options.inception:
    raise ValueError(
      f"--inception={options.inception}: {config.system} generates no single "
      "pictures, so there is no FID"
    )
  if system.task == tasks.ANIMATION:
    given = options.of_videos()
    for flag in ("objects", "scales", "side", "threshold"):
      if flag in given:
        raise ValueError(
          f"--{flag}={given[flag]}: {config.system} segments nothing; this "
          "flag is for masks of videos"
        )
    return {}
  if system.task in _SINGLE_PICTURES:
    for flag, value in options.of_videos().items():
      raise ValueError(
        f"--{flag}={value}: {config.system} evaluates single pictures; this "
        "flag is for videos"
      )
    if options.inception:
      config.eval.inception = options.inception
    return {}
  for flag in ("scales", "side"):
    if flag in options.of_videos() and system.tracking != tasks.OBJECTS:
      raise ValueError(
        f"--{flag}={options.of_videos()[flag]}: {config.system} segments "
        "frames at one size"
      )
  images.check_side(options.side)
  extra: dict[str, Any] = {"side": options.side} if options.side else {}
  if options.threshold:
    sweep = options.threshold == _SWEEP
    extra["threshold"] = None if sweep else _parse_threshold(options.threshold)
  return extra


def _parse_threshold(text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = 0.0
  if not 0 < value < 1:
    raise ValueError(
      f"--threshold={text}: expected a number between 0 and 1, or {_SWEEP}"
    )
  return value


def _benchmark(config, options: Options) -> str:
  """Return the folder's name of results with these data and options."""
  shown = options.of_videos()
  shown.pop("year", None)  # is part of the name already
  parts = [
    value if flag in ("resolution", "objects") else f"{flag}{value}"
    for flag, value in shown.items()
  ]
  return "-".join([sources.benchmark(config), *parts])


def _load(run, step: str) -> Iterator[tuple[int, game.Nets]]:
  if step == "all":
    for number in run.steps(step):
      yield number, run.nets(number)
  else:
    yield run.load(step)


def show(
  workdir: storage.Path, config, step: int, result, *, benchmark: str = ""
) -> None:
  """Print the table and the folders of the pictures."""
  benchmark = benchmark or sources.benchmark(config)
  name = f"{config.system} ({config.variant})"
  result.show(f"{name} on {benchmark}, step {step}")
  folder = result_lib.folder(workdir, benchmark, step)
  print(f"scores and pictures: {folder}")
  if (workdir / "samples").is_dir():
    print(f"samples during training: {workdir / 'samples'}")


def main() -> None:
  """Evaluate what the flags name."""
  if not (_WORKDIR.value or _WEIGHTS.value):
    raise ValueError("give --workdir=FOLDER of a run, or --weights=FILE")
  name = pathlib.PurePath(_WEIGHTS.value).stem
  evaluate(
    _WORKDIR.value or pathlib.Path("runs", name),
    step=_STEP.value,
    weights=_WEIGHTS.value,
    options=Options(
      data=_DATA.value,
      year=_YEAR.value or "",
      resolution=_RESOLUTION.value,
      split=_SPLIT.value,
      objects=_OBJECTS.value,
      scales=tracker_lib.parse_scales(_SCALES.value),
      side=_SIDE.value,
      threshold=_THRESHOLD.value,
      inception=_INCEPTION.value,
    ),
  )


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Folder of the run. With --weights: folder of the results, default "
    "runs/NAME.",
  )
  _STEP = flags.DEFINE_string(
    "step",
    "best",
    "Which checkpoints: all, best, latest or a number; or new: those that a "
    "training writes, until its last step.",
  )
  _WEIGHTS = flags.DEFINE_string(
    "weights",
    "",
    "Weight file in place of a run: from foregan_jax.export, or RGMP's own.",
  )
  _DATA = flags.DEFINE_string(
    "data", "", "Other data of the same layout. Default: the data of the run."
  )
  _YEAR = flags.DEFINE_enum(
    "year",
    None,
    ["2016", "2017"],
    "Which lists of DAVIS. 2016: all objects as one; 2017: each separately.",
  )
  _RESOLUTION = flags.DEFINE_string(
    "resolution", "", "Folder below JPEGImages; optional if there is only one."
  )
  _SPLIT = flags.DEFINE_string("split", "", "List of videos, such as val.")
  _OBJECTS = flags.DEFINE_string(
    "objects", "", "merged, all, or the index of one object."
  )
  _SCALES = flags.DEFINE_string(
    "scales", "", "Sizes at which rgmp segments frames: 0.5,0.75,1."
  )
  _SIDE = flags.DEFINE_integer(
    "side",
    0,
    "Shorter side, in pixels, at which frames are segmented (rgmp, memory). "
    "Default: that of training, or of the video if it is smaller.",
    lower_bound=0,
  )
  _THRESHOLD = flags.DEFINE_string(
    "threshold",
    "",
    "Of soft masks, between 0 and 1; sweep: also print J at 19 thresholds.",
  )
  _INCEPTION = flags.DEFINE_string(
    "inception", "", "Weights of the Inception network, for FID and KID."
  )
  cli.run(main)
