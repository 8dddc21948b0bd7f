"""Bad flags, words after the colon of a config, and config values."""

import importlib
import json
import random
from collections.abc import Iterator

from foregan_jax.runtime import settings
from tests.sweep import commands as c
from tests.sweep.commands import Case

_NUMBERS = ("x", "", "1.5", "-1", "nan", "1e400", "9" * 30, "0x10", "\u0663")
_STEPS = ("newest", "-1", "1.5", "99", "9" * 30, "", " ", "\u0662", "²", "all")
_TEXTS = ("", "a\nb", "\udcff", "x" * 5000, "\u202e", "~")
# The default outputs, too.
_WRITES = (
  "out",
  "runs/rgmp/eval",
  "runs/rgmp/predict",
  "runs/layered/predict",
  "runs/animation/predict",
  "runs/face_parts/predict",
  "runs/face_edits/predict",
  "ablation/table.md",
  "runs/ablation-tiny",
)


def cases(seed: int) -> Iterator[Case]:
  """Yield all cases."""
  yield from _flags()
  yield from _words()
  yield from _config_values(seed)


def _flags() -> Iterator[Case]:
  """Missing, misspelt and repeated flags, and values of each kind."""

  def make(base, name, *extra, without=(), run=False):
    module, arguments = base
    kept = tuple(a for a in arguments if a not in without)
    title = f"flags of {module} {arguments[0].partition('=')[0]}: {name}"
    return Case(
      title,
      module,
      (*kept, *extra),
      writes=(*_WRITES, *_TEXTS[1:]),
      needs_run=run,
    )

  for base in (
    c.TRAIN,
    c.EVALUATE,
    c.TRACK,
    c.ANIMATE,
    c.CUTOUT,
    c.PARTS,
    c.FILTER,
    c.EXPRESS,
    c.SAMPLE,
    c.DATASET,
    c.CHECK,
    c.ABLATE,
    c.DEMO,
    c.BENCH,
    *c.PREPARE.values(),
  ):
    module, arguments = base
    yield make(base, "none", without=arguments)
    yield make(base, "an unknown flag", "--wrokdir=x")
    yield make(base, "a second argument", "extra", "extra")
    for argument in arguments:
      if "=" in argument:
        flag = argument.partition("=")[0]
        yield make(base, f"without {flag}", without=(argument,))
        yield make(base, f"empty {flag}", f"{flag}=", without=(argument,))
        yield make(base, f"misspelt {flag}", f"{flag}s=x", without=(argument,))
  modes = [
    (*c.TRAIN[1], f"--mode={mode}") for mode in ("eval", "bench", "tain")
  ]
  for mode in modes:
    yield Case(f"flags of main: {mode[-1]}", "main", mode)
  for flag in ("num_processes", "process_id", "coordinator"):
    for value in _NUMBERS:
      yield make(c.TRAIN, f"{flag}={value[:9]}", f"--{flag}={value}")
  for value in _STEPS:
    yield make(c.EVALUATE, f"step={value[:9]}", f"--step={value}", run=True)
    yield make(c.SAMPLE, f"step={value[:9]}", f"--step={value}", run=True)
  for flag in ("count", "seed"):
    for value in ("0", *_NUMBERS):
      given = f"--{flag}={value}"
      yield make(c.SAMPLE, f"{flag}={value[:9]}", given, run=True)
  for value in ("0", "nan", "inf", "1e9", "a", ",", "1,,1", "-1", "0.5;1"):
    yield make(c.TRACK, f"scales={value}", f"--scales={value}", run=True)
  for flag, base in (
    ("video", c.TRACK),
    ("mask", c.TRACK),
    ("out", c.TRACK),
    ("workdir", c.TRACK),
    ("weights", c.TRACK),
    ("head", c.TRACK),
    ("source", c.ANIMATE),
    ("driving", c.ANIMATE),
    ("background", c.ANIMATE),
    ("hole", c.ANIMATE),
    ("out", c.ANIMATE),
    ("images", c.CUTOUT),
    ("images", c.PARTS),
    ("format", c.PARTS),
    ("images", c.FILTER),
    ("classes", c.FILTER),
    ("required", c.FILTER),
    ("threshold", c.FILTER),
    ("min-prob", c.FILTER),
    ("input", c.EXPRESS),
    ("parts", c.EXPRESS),
    ("expression", c.EXPRESS),
    ("data", c.EVALUATE),
    ("inception", c.EVALUATE),
    ("workdir", c.EVALUATE),
    ("out", c.ABLATE),
    ("config", c.ABLATE),
    ("config", c.TRAIN),
    ("workdir", c.TRAIN),
  ):
    without = [a for a in base[1] if a.startswith(f"--{flag}=")]
    for text in _TEXTS[1:]:
      name = f"{flag}={ascii(text[:9])}"
      yield make(base, name, f"--{flag}={text}", without=without, run=True)
  for value in (
    "x:m.png",
    "-1:m.png",
    "99:{mask}/mask.png",
    "0:\n",
    ":",
    f"{'9' * 5000}:m.png",
    "\u0663:m.png",
    "1:2:3",
  ):
    yield make(
      c.TRACK,
      f"mask={ascii(value[:9])}",
      f"--mask={value}",
      without=("--mask={mask}/mask.png",),
      run=True,
    )
  yield make(c.TRACK, "two masks of one frame", "--mask=x.png", run=True)
  yield make(c.TRACK, "layers of rgmp", "--layers", run=True)
  yield make(c.ABLATE, "run_flag", "--run_flag=--config.batch_size=x", run=True)
  for kind, (module, arguments) in c.PREPARE.items():
    if kind != "stills":
      for option in ("--splits=tain", "--resolution=9p", "--splits=../x"):
        yield Case(f"prepare {kind}: {option}", module, (*arguments, option))
  for value in ("1999", "", "../x", "a\nb"):
    arguments = (*c.PREPARE["videos"][1], f"--year={value}")
    yield Case(f"prepare videos: {value!r}", "data.prepared.videos", arguments)


def _words() -> Iterator[Case]:
  """Words after the colon of a config."""
  for name in (
    "davis", "rgmp_davis", "rgmp_voc", "layered_gan", "face_parts",
    "face_transfer",
  ):  # fmt: skip
    for words in (
      "smok",
      "smoke=maybe",
      "variant=fulll",
      "variant=",
      "smoke,smoke",
      "data",
      "data=/nowhere",
      "=",
      "smoke,a=b=c",
      "data=\n",
      "data={davis},smoke,year=1999",
      "resolution=9p,data=/nowhere",
      "\udcff",
      "data=\udcff",
    ):
      if "variant" in words and name == "davis":
        words = f"smoke,{words}"
      arguments = (c.config_flag(name, words), "--workdir={out}")
      title = f"words of {name}: {ascii(words)}"
      if words != "variant=":  # trains the whole default
        yield Case(title, "main", arguments)


def _config_values(seed: int) -> Iterator[Case]:
  """A bad value for every key of the configs."""
  rng = random.Random(seed)
  for name in ("rgmp_davis", "layered_gan", "davis", "face_transfer"):
    config = importlib.import_module(f"configs.{name}").get_config("smoke")
    for key, text in settings.flatten(settings.to_json(config)).items():
      value = json.loads(text)
      kind = type(value)
      choices = {
        bool: ["maybe"],
        int: ["-1", "nan", "1.5", str(10**12), str(-(10**30)), "x"],
        float: ["-1", "nan", "inf", "1e30", "x"],
        str: ["unicorn", "a\nb", "../x", "\udcff"],
        list: ["(-1,)", "()", "('x',)", "(float('nan'),)", "7", "(1, 2, 3, 4)"],
      }.get(kind, ["1"])
      if key == "num_steps":
        choices.remove(str(10**12))  # is no mistake, but takes long
      bad = rng.choice(choices)
      arguments = (c.config_flag(name), "--workdir={out}")
      # What is accepted is trained; one step compiles long enough.
      arguments += ("--config.num_steps=1",) * (name == "davis")
      yield Case(
        f"{name}: {key}={ascii(bad)}",
        "main",
        (*arguments, f"--config.{key}={bad}"),
      )
