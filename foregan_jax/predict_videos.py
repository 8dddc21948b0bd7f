"""The verbs of `predict` for videos: track and animate."""

import argparse
import os
import pathlib
import re
from collections.abc import Callable

from foregan_jax import models, predict_common, tasks
from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images
from foregan_jax.nets import tracker
from foregan_jax.predictors import animate as animate_lib
from foregan_jax.predictors import (
  layer_tracker,
  many_videos,
  propagate,
  results,
)
from foregan_jax.runtime import cli, distributed


def track(args: argparse.Namespace) -> None:
  """Segment the objects of given masks in all frames of one or many videos."""
  _check_track(args)
  source = args.workdir or args.weights  # "": the packaged weights
  place = pathlib.Path(args.videos or args.video)
  out = pathlib.Path(
    args.out or predict_common.default_folder(args.workdir, place)
  )
  if args.videos:
    jobs = many_videos.find(place, pathlib.Path(args.masks))
  else:
    masks = _parse_masks(args.mask)
    footage = footage_lib.Footage(place)
  model = models.load(
    source,
    step=args.step,
    head=args.head,
    scales=tracker.parse_scales(args.scales),
    side=args.side,
  )
  model = predict_common.check_kind(source, model, models.VideoModel)
  if args.videos:
    _track_many(args, model, jobs, out)
    return
  problems = _track_one(args, model, footage, masks, out)
  predict_common.report(problems, "frames")


def _check_track(args: argparse.Namespace) -> None:
  """Refuse arguments of `track` that do not fit together."""
  if args.weights and args.workdir:
    raise ValueError("give one of --workdir=RUN and --weights=FILE, not both")
  if not args.workdir and not args.out:
    raise ValueError("without --workdir, --out=FOLDER is needed")
  names = ("video", "mask", "videos", "masks")
  given = [name for name in names if getattr(args, name)]
  if given not in (["video", "mask"], ["videos", "masks"]):
    raise ValueError(
      "give either --video=VIDEO and --mask=MASK, or --videos=FOLDER and "
      "--masks=FOLDER"
    )


def _track_one(
  args: argparse.Namespace,
  model: models.VideoModel,
  footage: footage_lib.Footage,
  masks: dict[int, pathlib.Path],
  out: pathlib.Path,
) -> list[str]:
  """Segment a video; return a sentence per frame that could not be read."""
  if isinstance(model.tracker, layer_tracker.LayerTracker):
    layer_tracker.check_masks(masks)
  with_background = model.tracker.generates_background
  layers: tuple[str, ...] = ()
  if with_background if args.layers is None else args.layers:
    layers = results.LAYERS if with_background else (results.FOREGROUND,)
  problems = propagate.write(
    model.tracker,
    footage=footage,
    masks=masks,
    out=out,
    description=model.description,
    layers=layers,
  )
  written = ", ".join(("masks", *layers, "confidences"))
  print(f"{written} and the video with masks overlaid: {out}")
  return problems


def _track_many(
  args: argparse.Namespace,
  model: models.VideoModel,
  jobs: list[many_videos.Job],
  out: pathlib.Path,
) -> None:
  """Segment this process's share of many videos, and write the summary."""
  index, count = distributed.process_share(os.environ)
  problems = []
  for number, job in list(enumerate(jobs, 1))[index::count]:
    print(f"{job.name}, video {number} of {len(jobs)}")
    try:
      footage = footage_lib.Footage(job.video)
      masks = job.masks(footage)
      problems += _track_one(args, model, footage, masks, out / job.name)
    except Exception as error:  # the other videos are not affected
      if args.debug or not cli.is_user_error(error):
        raise
      problems.append(f"{job.name}: {error}")
  finished = many_videos.write_summary(jobs, out)
  print(
    f"{finished} of {len(jobs)} videos are finished: "
    f"{out / many_videos.SUMMARY}"
  )
  predict_common.report(problems, "videos or frames", "finished")


def animate(args: argparse.Namespace) -> None:
  """Move the object of a picture as in a driving video."""
  if bool(args.workdir) == bool(args.weights):
    raise ValueError("give one of --workdir=RUN and --weights=FILE")
  if not args.workdir and not args.out:
    raise ValueError("without --workdir, --out=FOLDER is needed")
  if args.hole and not args.background:
    raise ValueError(f"--hole={args.hole} needs --background=IMAGE")
  path = args.workdir or args.weights
  source = animate_lib.read_source(pathlib.Path(args.source))
  footage = footage_lib.Footage(args.driving)
  background = None
  if args.background:
    background = animate_lib.read_picture(pathlib.Path(args.background))
  model = models.load(path, step=args.step, head=args.head)
  model = predict_common.check_kind(path, model, models.AnimationModel)
  out = args.out or predict_common.default_folder(
    args.workdir, source.path, footage.path
  )
  problems = animate_lib.write(
    model.animator,
    source=source,
    footage=footage,
    background=background,
    hole=args.hole or tasks.HOLES[0],
    out=pathlib.Path(out),
    description=model.description,
  )
  print(f"frames, masks, the animation and a sheet: {out}")
  predict_common.report(problems, "frames")


def _parse_masks(given: list[str]) -> dict[int, pathlib.Path]:
  """Parse PATH (for frame 0) or FRAME:PATH."""
  masks: dict[int, pathlib.Path] = {}
  for text in given:
    # More digits than any video has frames are a part of the path.
    frame, path = re.fullmatch(r"(?:([0-9]{1,18}):)?(.*)", text, re.S).groups()
    index = int(frame or 0)
    if index in masks:
      raise ValueError(
        f"--mask={images.show_name(text)}: frame {index} has the mask "
        f"{images.show_name(masks[index])} already; give the frame of a later "
        "mask as in --mask=40:more.png"
      )
    masks[index] = pathlib.Path(path)
  return masks


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
  """Add the verbs to the command line.

  Args:
    add: makes the parser of a function's verb.
  """
  verb = add(track)
  verb.add_argument(
    "--weights",
    default="",
    help="weight file instead of --workdir: from foregan_jax.export, or RGMP's "
    "official one (default: the weights in this package)",
  )
  verb.add_argument(
    "--video", default="", help="video file, or folder of its frames"
  )
  verb.add_argument(
    "--mask",
    default=[],
    action="append",
    help="PATH for frame 0, or FRAME:PATH; a palette PNG with object ids, or "
    "grey with 0 and 255. Runs of rgmp and memory accept several --mask, to "
    "add or correct objects",
  )
  verb.add_argument(
    "--videos",
    default="",
    help="folder of many such videos. Processes of Slurm and Open MPI share "
    "them, and pods with FOREGAN_NUM_PROCESSES; broken ones are reported at "
    "the end",
  )
  verb.add_argument(
    "--masks",
    default="",
    help="with --videos: folder with NAME.png, the mask of the first frame of "
    "each video, or a folder NAME: its first mask is used, for the frame of "
    "the same name",
  )
  verb.add_argument(
    "--out",
    default="",
    help="folder to write to (default: WORKDIR/predict/VIDEO)",
  )
  verb.add_argument(
    "--head",
    default="",
    help="which masks: generator, segmenter, propagator, average, ... as in "
    "the tables of evaluate (default: average if the run has it)",
  )
  verb.add_argument(
    "--scales",
    default="",
    help="rgmp only: sizes at which frames are segmented and averaged, as "
    "factors: 0.5,0.75,1",
  )
  verb.add_argument(
    "--side",
    type=int,
    default=0,
    help="rgmp and memory: shorter side, in pixels, at which frames are "
    "segmented (default: that of training; 360 for the packaged weights)",
  )
  verb.add_argument(
    "--layers",
    action=argparse.BooleanOptionalAction,
    help="also write foreground/ and background/, some megabytes per frame of "
    "1080p (default: yes if the run draws layers; runs of rgmp have no "
    "background)",
  )

  verb = add(animate)
  verb.add_argument(
    "--weights",
    default="",
    help="weight file from foregan_jax.export, instead of --workdir",
  )
  verb.add_argument(
    "--source",
    required=True,
    help="picture with the object, or a video: its first frame",
  )
  verb.add_argument(
    "--driving",
    required=True,
    help="video file, or folder of its frames: the object moves as in it. Of "
    "pictures and frames that are not square, the central square is used",
  )
  verb.add_argument(
    "--background",
    default="",
    help="picture to put the object in front of (default: that of the source)",
  )
  verb.add_argument(
    "--hole",
    default="",
    choices=tasks.HOLES,
    help="what is cut out of --background: own (the default), its own object, "
    "if it is of the kind of the training; none; actor, the place where the "
    "new object will be",
  )
  verb.add_argument(
    "--head",
    default="",
    help="which images: high (the default) or low, the coarse ones",
  )
  verb.add_argument(
    "--out",
    default="",
    help="folder to write to (default: WORKDIR/predict/SOURCE-DRIVING)",
  )
