"""Use a trained run on your own videos and pictures; one verb per purpose.

  python -m foregan_jax.predict track --workdir=runs/davis --video=clip.mp4 \\
    --mask=first.png --out=result
  python -m foregan_jax.predict animate --workdir=runs/animation \\
    --source=person.png --driving=clip.mp4 --background=beach.jpg
  python -m foregan_jax.predict cutout --workdir=runs/birds --images=holiday
  python -m foregan_jax.predict sample --workdir=runs/birds --count=64
  python -m foregan_jax.predict dataset --workdir=runs/birds --count=5000
  python -m foregan_jax.predict parts --workdir=runs/parts --images=faces
  python -m foregan_jax.predict filter --images=faces --expression=neutral \\
    --workdir=runs/parts
  python -m foregan_jax.predict express --workdir=runs/smile --input=me.jpg \\
    --expression=happiness --parts-workdir=runs/parts

Each verb has its own `--help`.
"""

import argparse
import pathlib

from foregan_jax import models, predict_common, predict_faces, predict_videos
from foregan_jax.predictors import cut_outs, samples
from foregan_jax.runtime import cli


def cutout(args: argparse.Namespace) -> None:
  """Cut the object out of every picture of a folder."""
  model, out = _load_stills(args)
  problems = cut_outs.write(
    model.segment, folder=pathlib.Path(args.images), out=out
  )
  print(f"masks, cut-outs with alpha and a sheet: {out}")
  predict_common.report(problems, "pictures")


def sample(args: argparse.Namespace) -> None:
  """Generate pictures with their layers and write a sheet of them."""
  model, out = _load_stills(args)
  path = out / "samples.png"
  samples.write_sheet(model.sample(args.count, seed=args.seed), path)
  print(f"{args.count} generated pictures: {path}")


def dataset(args: argparse.Namespace) -> None:
  """Generate a labelled data set in the layout of Pascal VOC."""
  model, out = _load_stills(args)
  skipped = samples.write_dataset(
    model.sampler, count=args.count, seed=args.seed, out=out
  )
  print(
    f"{args.count} pictures with masks: {out} ({skipped} generated pictures "
    "without an object were skipped)"
  )


def _load_stills(
  args: argparse.Namespace,
) -> tuple[models.StillModel, pathlib.Path]:
  """Return the model, and the folder to write to."""
  model = models.load(args.workdir, step=args.step)
  still = predict_common.check_kind(args.workdir, model, models.StillModel)
  out = args.out or predict_common.result_folder(args.workdir)
  return still, pathlib.Path(out)


def _parse_seed(text: str) -> int:
  seed = int(text)
  if not 0 <= seed < 2**32:
    raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2^32 - 1")
  return seed


def _make_parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m foregan_jax.predict",
    description="Use a trained run on your own videos and pictures.",
  )
  verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

  def add(run) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
      run.__name__, help=run.__doc__, description=run.__doc__
    )
    verb.set_defaults(run=run)
    verb.add_argument("--workdir", default="", help="folder of the run")
    verb.add_argument("--step", default="latest", help=predict_common.STEP)
    verb.add_argument(
      "--debug", action="store_true", help="show the traceback of every error"
    )
    return verb

  predict_videos.add_verbs(add)
  verb = add(cutout)
  verb.add_argument("--images", required=True, help="folder of pictures")
  for run, count in ((sample, 64), (dataset, 1000)):
    verb = add(run)
    verb.add_argument(
      "--count", type=int, default=count, help=f"pictures (default: {count})"
    )
    verb.add_argument(
      "--seed", type=_parse_seed, default=0, help="of the codes (default: 0)"
    )
  for name in ("cutout", "sample", "dataset"):
    verb = verbs.choices[name]
    verb.add_argument(
      "--out", default="", help="folder to write to (default: WORKDIR/predict)"
    )
    verb._option_string_actions["--workdir"].required = True
  predict_faces.add_verbs(add)
  return parser


def main() -> None:
  """Run the verb that the command line names."""
  cli.run_parser(_make_parser(), lambda args: args.run(args))


if __name__ == "__main__":
  main()
