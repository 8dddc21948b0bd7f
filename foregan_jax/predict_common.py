"""What the verbs of `predict` share: kinds of runs, folders, reports."""

import os
import pathlib
import sys
import zlib
from typing import TypeVar

from foregan_jax import models, storage
from foregan_jax.media import paths

STEP = "checkpoint: best, latest or a number (default: latest)"
_Model = TypeVar("_Model")
# What models are for, and the verb for it.
_KINDS: dict[type, tuple[str, str]] = {
  models.VideoModel: ("segments videos", "track"),
  models.StillModel: ("segments single pictures", "cutout"),
  models.AnimationModel: ("animates pictures", "animate"),
  models.FacePartsModel: ("finds the parts of faces", "parts"),
  models.FaceEditModel: ("edits expressions of faces", "express"),
}


def check_kind(
  path: str | os.PathLike, model: object, kind: type[_Model]
) -> _Model:
  """Return the model; refuse one of another kind than a verb needs."""
  if isinstance(model, kind):
    return model
  purpose, verb = _KINDS[type(model)]
  raise ValueError(
    f"{path} has a run that {purpose}: use `predict {verb}`; this verb needs a "
    f"run that {_KINDS[kind][0]}"
  )


def result_folder(workdir: str, *names: str) -> pathlib.Path:
  """Return the folder in the workdir for results, or one below it.

  Raises:
    ValueError: for a workdir in a cloud.
  """
  if storage.is_remote(workdir):
    raise ValueError(f"--workdir={workdir}: give --out=FOLDER, a local folder")
  return pathlib.Path(workdir, "predict", *names)


def default_folder(workdir: str, *inputs: pathlib.Path) -> pathlib.Path:
  """Return a folder in the workdir, named after the inputs of a verb."""
  # The checksum of the full paths keeps files of the same name apart.
  full = [paths.full(path) for path in inputs]
  checksum = zlib.crc32("\n".join(map(str, full)).encode())
  names = "-".join(path.name.replace(".", "_") for path in full)
  return result_folder(workdir, f"{names}-{checksum:08x}")


def report(problems: list[str], things: str, done: str = "read") -> None:
  """Print what could not be done; exit with status 1 if there is anything."""
  for problem in problems:
    print(problem, file=sys.stderr)
  if problems:
    sys.exit(f"{len(problems)} {things} could not be {done}; the rest is done")
