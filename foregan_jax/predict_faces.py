"""The verbs of `predict` for faces: parts, filter and express."""

import argparse
import pathlib
from collections.abc import Callable
from typing import TypeVar

from foregan_jax import models, predict_common
from foregan_jax.data import face_filter as filter_rules
from foregan_jax.data import face_labels
from foregan_jax.media import footage, images, video_files
from foregan_jax.predictors import (
  express as express_lib,
)
from foregan_jax.predictors import (
  face_filter,
  face_parts,
  face_pictures,
  part_finder,
)
from foregan_jax.runtime import settings


def parts(args: argparse.Namespace) -> None:
  """Segment eyes, brows, mouth and lips of faces, into a data set."""
  reader = face_pictures.open_folder(pathlib.Path(args.images))
  model = _load(args, models.FacePartsModel)
  out = _out(args, args.images)
  problems = face_parts.write(model.finder, reader, out=out, kind=args.format)
  print(f"pictures, masks of the parts and a sheet: {out}")
  predict_common.report(problems, "pictures")


def filter(args: argparse.Namespace) -> None:
  """List the faces that show all required parts, and an expression."""
  required = tuple(name for name in args.required.split(",") if name)
  for name in required:
    _check_name("required", name, face_labels.PARTS)
  if args.expression:
    _check_name("expression", args.expression, face_labels.EMOTIONS)
  if not args.workdir and not args.out:
    raise ValueError("without --workdir, --out=FOLDER is needed")
  reader = face_pictures.open_folder(pathlib.Path(args.images), args.classes)
  finder = _find_parts(args.workdir, args.step) if args.workdir else None
  rule = face_filter.Rule(
    required, args.threshold, args.expression, args.min_prob
  )
  out = _out(args, args.images)
  kept, rejected = face_filter.write(
    face_filter.Filter(rule, finder), reader, out=out
  )
  print(f"{kept} faces to keep, {rejected} rejected; lists and sheets: {out}")


def express(args: argparse.Namespace) -> None:
  """Give the faces of pictures or of a video another expression."""
  if bool(args.parts) == bool(args.parts_workdir):
    raise ValueError("give one of --parts=PATH and --parts-workdir=RUN")
  path = pathlib.Path(args.input)
  fps = 0.0
  if path.suffix.lower() in video_files.SUFFIXES:
    video = footage.Footage(path)
    items, fps = express_lib.of_video(video), video.fps
    names = video.names
  else:
    reader = face_pictures.open_folder(path)
    items, names = express_lib.of_folder(reader), reader.names
  if args.parts:
    given = pathlib.Path(args.parts)
    if given.is_file() and len(names) > 1:
      raise ValueError(
        f"--parts={args.parts} is one file, but {args.input} has {len(names)} "
        "pictures; give a folder"
      )
    find_parts = face_pictures.part_files(given, args.classes)
  else:
    finder = _find_parts(args.parts_workdir, "latest")
    find_parts = lambda name, picture: face_pictures.to_coverage(
      finder.find(picture)
    )
  model = _load(args, models.FaceEditModel)
  out = _out(args, args.input)
  problems = express_lib.write(
    model.editor,
    items,
    find_parts=find_parts,
    expression=args.expression,
    out=out,
    count=len(names),
    fps=fps,
  )
  print(f"edited pictures, beside the originals, and a sheet: {out}")
  things = "frames" if fps else "pictures"
  predict_common.report(problems, things, "edited")


_Model = TypeVar("_Model")


def _load(args: argparse.Namespace, kind: type[_Model]) -> _Model:
  """Load the run or the weight file that a verb needs."""
  if bool(args.workdir) == bool(args.weights):
    raise ValueError("give one of --workdir=RUN and --weights=FILE")
  if not args.workdir and not args.out:
    raise ValueError("without --workdir, --out=FOLDER is needed")
  path = args.workdir or args.weights
  model = models.load(path, step=args.step)
  return predict_common.check_kind(path, model, kind)


def _find_parts(path: str, step: str) -> part_finder.PartFinder:
  """Load a run, or a weight file, that finds the parts of faces."""
  model = models.load(path, step=step)
  kind = models.FacePartsModel
  return predict_common.check_kind(path, model, kind).finder


def _out(args: argparse.Namespace, source: str) -> pathlib.Path:
  if args.out:
    return pathlib.Path(args.out)
  folder = predict_common.default_folder(args.workdir, pathlib.Path(source))
  return folder.with_name(f"{args.verb}-{folder.name}")


def _check_name(flag: str, name: str, allowed: tuple[str, ...]) -> None:
  if name not in allowed:
    raise ValueError(
      f"--{flag}={images.show_name(name)}: expected some of "
      f"{', '.join(allowed)}.{settings.suggestion(name, list(allowed))}"
    )


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
  """Add the verbs to the command line.

  Args:
    add: makes the parser of a function's verb.
  """
  weights = "weight file from foregan_jax.export, instead of --workdir"
  classes = (
    "label set of label maps: celebamask or fasseg (default: the file "
    "classes.json beside them, else celebamask)"
  )
  out = "folder to write to (default: WORKDIR/predict/VERB-NAME)"
  verb = add(parts)
  verb.add_argument("--weights", default="", help=weights)
  verb.add_argument(
    "--images",
    required=True,
    help="folder of pictures of faces, searched with all folders below it; or "
    "a data set of faces, or FER2013's table",
  )
  verb.add_argument(
    "--format",
    choices=face_parts.FORMATS,
    default=face_parts.LABEL_MAPS,
    help="labels: a palette PNG per face; npz: soft masks (default: labels)",
  )
  verb.add_argument("--out", default="", help=out)

  verb = add(filter)
  verb.add_argument(
    "--images",
    required=True,
    help="a data set of faces with masks of their parts; with --workdir (a run "
    "of face_parts) faces may lack them",
  )
  verb.add_argument("--classes", default="", help=classes)
  rule = face_filter.Rule()
  verb.add_argument(
    "--required",
    default=",".join(rule.required),
    help="parts that must be visible (default: eyes,brows,lips; a closed mouth "
    "has no inner mouth)",
  )
  verb.add_argument(
    "--threshold",
    type=float,
    default=rule.threshold,
    help="number of pixels, of 256x256, that each of them must exceed "
    f"(default: {filter_rules.THRESHOLD})",
  )
  verb.add_argument(
    "--expression",
    default="",
    help="keep only faces whose masks show this expression; needs --workdir",
  )
  verb.add_argument(
    "--min-prob",
    type=float,
    default=rule.min_prob,
    help="least probability of the expression (default: 0)",
  )
  verb.add_argument("--out", default="", help=out)

  verb = add(express)
  verb.add_argument("--weights", default="", help=weights)
  verb.add_argument(
    "--input",
    required=True,
    help="picture of a face, folder of pictures, or video file. The face must "
    "fill as much of the picture as in the training",
  )
  verb.add_argument(
    "--expression",
    required=True,
    help="what the faces shall show: one of the two emotions of the run",
  )
  verb.add_argument(
    "--parts",
    default="",
    help="masks of the parts: a folder from `predict parts`, or a file (npz or "
    "label map) for one picture",
  )
  verb.add_argument("--classes", default="", help=classes)
  verb.add_argument(
    "--parts-workdir",
    default="",
    help="instead of --parts: run of face_parts, or its weight file",
  )
  verb.add_argument("--out", default="", help=out)
