"""What a trained run is for: cut-outs, pictures of its own, masks of a video.

  python -m foregan_jax.predict --workdir=runs/birds --images=holiday
  python -m foregan_jax.predict --workdir=runs/birds --sample=64
  python -m foregan_jax.predict --workdir=runs/birds --make-dataset=5000
  python -m foregan_jax.predict --workdir=runs/rgmp --video=clip.mp4 \\
    --mask=first.png --out=result
  python -m foregan_jax.predict --workdir=runs/davis --video=clip.mp4 \\
    --mask=first.png --head=segmenter --out=result

The first writes a mask (palette PNG) and the object on transparency for every
picture below `holiday`; the second a sheet of drawn pictures with their layers;
the third a labelled data set in the layout of VOC. The fourth follows the
objects of one mask through a video (a file, or a folder with its frames):
a mask per frame, a table of confidences, and the video with the masks laid
over it. `--mask=40:more.png` gives further objects, or better masks, at frame
40 (the first is 0). Stopped, it goes on when called again. `--weights=FILE`
takes the place of `--workdir` there. `--out` says where.

The fifth does so with a run that draws layers, for one object and one mask;
`--head` says which of its ways to get masks is meant. It also writes, per frame
and at the video's size, `foreground/` (the object on transparency) and
`background/` (the video without it: what it hid comes from the run, everything
else from the video). `--nolayers` leaves these out, `--layers` gives the
foreground with a run of rgmp too.
"""

import dataclasses
import pathlib
import re
import sys
import zlib
from collections.abc import Sequence

from absl import flags

from foregan_jax import runs
from foregan_jax.media import footage as footage_lib
from foregan_jax.predictors import (
  cut_outs,
  drawings,
  layer_tracker,
  mask_tracker,
  propagate,
  results,
)
from foregan_jax.runtime import cli, settings

_STILLS = "stills"
_PROPAGATOR, _AVERAGE = "propagator", "average"  # heads


def main() -> None:
  """Does what the flags ask for.

  Raises:
    ValueError: if they ask for nothing, or for what the run cannot do.
  """
  wanted = [f for f in (_IMAGES, _SAMPLE, _DATASET, _VIDEO) if f.value]
  if len(wanted) != 1:
    raise ValueError(
      "give one of --images=FOLDER, --sample=N, --make-dataset=N and "
      "--video=FILE"
    )
  if bool(_MASK.value) != bool(_VIDEO.value):
    raise ValueError(
      "--video and --mask go together: --video=clip.mp4 --mask=first.png"
    )
  if bool(_WEIGHTS.value) == bool(_WORKDIR.value):
    raise ValueError("give one of --workdir=RUN and --weights=FILE")
  if _WEIGHTS.value and not (_VIDEO.value and _OUT.value):
    raise ValueError("--weights goes with --video and --out")
  if not _VIDEO.value and (_HEAD.value or _LAYERS.value is not None):
    raise ValueError("--head and --layers go with --video")
  if _VIDEO.value:
    _follow()
  else:
    _use_stills()


def _follow() -> None:
  """Follows the objects of masks through a video."""
  masks = _masks(_MASK.value)
  footage = footage_lib.Footage(_VIDEO.value)
  tracker, description = _tracker(masks)
  layers = _layers(tracker)
  # By place: another video of the same name must not replace the results.
  place = footage.path.resolve()
  mark = zlib.crc32(str(place).encode())
  name = f"{place.name.replace('.', '_')}-{mark:08x}"
  out = pathlib.Path(
    _OUT.value or pathlib.Path(_WORKDIR.value, "predict", name)
  )
  problems = propagate.write(
    tracker,
    footage=footage,
    masks=masks,
    out=out,
    description=description,
    layers=layers,
  )
  what = ", ".join(("masks", *layers, "confidences"))
  print(f"{what} and the video with masks laid over it: {out}")
  _report(problems, "frames")


def _masks(given: list[str]) -> dict[int, pathlib.Path]:
  """Reads PATH (of frame 0) or FRAME:PATH."""
  masks = {}
  for text in given:
    frame, path = re.fullmatch(r"(?:(\d+):)?(.*)", text).groups()
    index = int(frame or 0)
    if index in masks:
      raise ValueError(
        f"--mask={text}: frame {index} has the mask {masks[index]} already; "
        "give the frame of a later one as in --mask=40:more.png"
      )
    masks[index] = pathlib.Path(path)
  return masks


def _tracker(
  masks: dict[int, pathlib.Path],
) -> tuple[propagate.Tracker, str]:
  """Returns what propagates masks, and a name for it."""
  if _WEIGHTS.value:
    path = pathlib.Path(_WEIGHTS.value)
    _head(path, (_PROPAGATOR,))
    scales = _scales()
    tracker = mask_tracker.from_weights(path, scales)
    return tracker, f"{path}, {path.stat().st_mtime_ns}, {scales}"
  run = runs.Run(_WORKDIR.value)
  if run.system.task == _STILLS:
    raise ValueError(
      f"{run.workdir} holds a run of {run.config.system}, which does not "
      "propagate masks"
    )
  head = _head(run.workdir, run.system.heads)
  # A propagator by itself follows any number of objects, at any size.
  if tuple(run.system.heads) == (_PROPAGATOR,):
    return _mask_tracker(run)
  return _layer_tracker(run, head, masks)


def _mask_tracker(run: runs.Run) -> tuple[propagate.Tracker, str]:
  tracker, scales = run.system.tracker, _scales()
  if scales:
    tracker = dataclasses.replace(tracker, scales=scales)
  step = _one_step(run)
  params = run.params(step)["prop"]
  side = min(run.config.data.height, run.config.data.width)
  follower = mask_tracker.MaskTracker(tracker, params, side=side)
  return follower, f"{_checkpoint(run, step)}, {scales}"


def _layer_tracker(
  run: runs.Run, head: str, masks: dict[int, pathlib.Path]
) -> tuple[propagate.Tracker, str]:
  if _SCALES.value:
    raise ValueError(
      f"--scales={','.join(_SCALES.value)}: {run.workdir} holds a run of "
      f"{run.config.system}, which looks at frames in one size; --scales is "
      "for runs of rgmp"
    )
  layer_tracker.check_masks(masks)
  step = _one_step(run)
  size = (run.config.data.height, run.config.data.width)
  follower = layer_tracker.LayerTracker(
    run.system, run.params(step), head=head, size=size
  )
  return follower, f"{_checkpoint(run, step)}, head {head}"


def _checkpoint(run: runs.Run, step: int) -> str:
  # A run may have been made anew in the same place.
  made = (run.workdir / "checkpoints" / str(step)).stat().st_mtime_ns
  return f"{run.workdir}, step {step} of {made}"


def _head(where: pathlib.Path, heads: Sequence[str]) -> str:
  """Returns the head that is asked for, or the one to choose by itself."""
  name = _HEAD.value
  if not name:
    return _AVERAGE if _AVERAGE in heads else heads[0]
  if name not in heads:
    raise ValueError(
      f"--head={name}: {where} has no such head, it has {', '.join(heads)}."
      f"{settings.suggestion(name, list(heads))}"
    )
  return name


def _layers(tracker: propagate.Tracker) -> tuple[str, ...]:
  """Returns the layers to write."""
  wanted = tracker.draws if _LAYERS.value is None else _LAYERS.value
  if not wanted:
    return ()
  return results.LAYERS if tracker.draws else (results.FOREGROUND,)


def _scales() -> tuple[float, ...]:
  try:
    scales = tuple(map(float, _SCALES.value))
  except ValueError:
    scales = (0.0,)
  if any(scale <= 0 for scale in scales):
    raise ValueError(
      f"--scales={','.join(_SCALES.value)}: expected numbers above 0, as in "
      "--scales=0.5,0.75,1"
    )
  return scales


def _use_stills() -> None:
  """Does what a run that learnt from pictures can do."""
  run = runs.Run(_WORKDIR.value)
  if run.system.task != _STILLS:
    raise ValueError(
      f"{run.workdir} holds a run of {run.config.system}, which learns from "
      "videos; --images, --sample and --make-dataset work with runs that "
      "learn from pictures"
    )
  params = run.params(_one_step(run))
  out = pathlib.Path(_OUT.value or run.workdir / "predict")
  if _IMAGES.value:
    folder = pathlib.Path(_IMAGES.value)
    problems = cut_outs.write(
      run.system, params, size=run.config.data.size, folder=folder, out=out
    )
    print(f"masks, cut-outs with alpha and a sheet: {out}")
    _report(problems, "pictures")
  elif _SAMPLE.value:
    path = out / "samples.png"
    drawings.write_sheet(
      run.system, params, count=_SAMPLE.value, seed=_SEED.value, path=path
    )
    print(f"{_SAMPLE.value} drawn pictures: {path}")
  else:
    left_out = drawings.write_dataset(
      run.system, params, count=_DATASET.value, seed=_SEED.value, out=out
    )
    print(
      f"{_DATASET.value} pictures with masks: {out} ({left_out} more were "
      "drawn and left out, because they show no object)"
    )


def _one_step(run: runs.Run) -> int:
  steps = run.steps(_STEP.value)
  if len(steps) != 1:
    raise ValueError(f"--step={_STEP.value} names {len(steps)} steps, not one")
  return steps[0]


def _report(problems: list[str], things: str) -> None:
  """Names what could not be read and ends with status 1, if there is any."""
  for problem in problems:
    print(problem, file=sys.stderr)
  if problems:
    sys.exit(f"{len(problems)} {things} could not be read; the rest is done")


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
  _WEIGHTS = flags.DEFINE_string(
    "weights", None, "RGMP's official file, in place of --workdir for --video."
  )
  _STEP = flags.DEFINE_string(
    "step", "latest", "Which checkpoint: best, latest or a number."
  )
  _IMAGES = flags.DEFINE_string("images", "", "Folder of pictures to cut out.")
  _SAMPLE = flags.DEFINE_integer("sample", 0, "Pictures to draw.", 0)
  _DATASET = flags.DEFINE_integer(
    "make-dataset", 0, "Size of the labelled data set to draw.", 0
  )
  _VIDEO = flags.DEFINE_string(
    "video", "", "Video, or folder of frames, to follow the objects of --mask."
  )
  _MASK = flags.DEFINE_multi_string(
    "mask", [], "PATH for frame 0 or FRAME:PATH; may be given several times."
  )
  _SCALES = flags.DEFINE_list(
    "scales", [], "Sizes at which frames are looked at, as shares: 0.5,0.75,1."
  )
  _HEAD = flags.DEFINE_string(
    "head",
    "",
    "Whose masks --video gets: generator, segmenter, ... as in the tables of "
    "evaluate. Default: average where the run has it, else its first.",
  )
  _LAYERS = flags.DEFINE_bool(
    "layers",
    None,
    "Whether --video gets foreground/ and background/ beside the masks, some "
    "megabytes per frame of 1080p. Default: yes with runs that draw layers, "
    "which is what these are for; no with runs of rgmp, which know no "
    "background and whose foreground is only frame and mask put together.",
  )
  _OUT = flags.DEFINE_string(
    "out", "", "Where to write. Default: <workdir>/predict[/<video>]."
  )
  _SEED = flags.DEFINE_integer("seed", 0, "Of what is drawn.")
  cli.run(main)
