"""What a trained run is for: cut-outs of your pictures, pictures of its own.

  python -m foregan_jax.predict --workdir=runs/birds --images=holiday
  python -m foregan_jax.predict --workdir=runs/birds --sample=64
  python -m foregan_jax.predict --workdir=runs/birds --make-dataset=5000

The first writes a mask (palette PNG) and the object on transparency for every
picture below `holiday`; the second a sheet of drawn pictures with their layers;
the third a labelled data set in the layout of VOC. `--out` says where.
"""

import pathlib
import sys

from absl import flags

from foregan_jax import trained
from foregan_jax.predictors import cut_outs, drawings
from foregan_jax.runtime import cli

_STILLS = "stills"


def main() -> None:
  """Does what the flags ask for.

  Raises:
    ValueError: if they ask for nothing, or for what the run cannot do.
  """
  wanted = [f for f in (_IMAGES, _SAMPLE, _DATASET) if f.value]
  if len(wanted) != 1:
    raise ValueError(
      "give one of --images=FOLDER, --sample=N and --make-dataset=N"
    )
  run = trained.Run(_WORKDIR.value)
  if run.system.task != _STILLS:
    raise ValueError(
      f"{run.workdir} holds a run of {run.config.system}, which learns from "
      "videos; predict works with runs that learn from pictures"
    )
  steps = run.steps(_STEP.value)
  if len(steps) != 1:
    raise ValueError(f"--step={_STEP.value} names {len(steps)} steps, not one")
  params = run.params(steps[0])
  out = pathlib.Path(_OUT.value or run.workdir / "predict")
  if _IMAGES.value:
    folder = pathlib.Path(_IMAGES.value)
    problems = cut_outs.write(
      run.system, params, size=run.config.data.size, folder=folder, out=out
    )
    print(f"masks, cut-outs with alpha and a sheet: {out}")
    for problem in problems:
      print(problem, file=sys.stderr)
    if problems:
      sys.exit(f"{len(problems)} pictures could not be read; the rest is done")
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


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
  _STEP = flags.DEFINE_string(
    "step", "latest", "Which checkpoint: best, latest or a number."
  )
  _IMAGES = flags.DEFINE_string("images", "", "Folder of pictures to cut out.")
  _SAMPLE = flags.DEFINE_integer("sample", 0, "Pictures to draw.", 0)
  _DATASET = flags.DEFINE_integer(
    "make-dataset", 0, "Size of the labelled data set to draw.", 0
  )
  _OUT = flags.DEFINE_string(
    "out", "", "Where to write. Default: <workdir>/predict."
  )
  _SEED = flags.DEFINE_integer("seed", 0, "Of what is drawn.")
  flags.mark_flag_as_required("workdir")
  cli.run(main)
