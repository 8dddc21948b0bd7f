"""A case of the sweep, and the commands that the cases vary."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parents[2]
_CONFIGS = str(ROOT / "configs")

Damage = Callable[[pathlib.Path], None]


@dataclasses.dataclass(frozen=True)
class Case:
  """A command with one bad input.

  Attributes:
    name: kind and damage, unique.
    module: below `foregan_jax`.
    arguments: `{x}` stands for the folder of the case's own copy of the item
      `x` of the world, `{out}` for a new folder.
    damage: changes the copies before the command runs.
    place: what `damage` changes, below the folder of the case.
    writes: what the command may write, below the folder of the case.
    needs_run: whether it needs a trained run.
    terminate_after: seconds until SIGTERM is sent; 0: never.
  """

  name: str
  module: str
  arguments: tuple[str, ...]
  damage: Damage | None = None
  place: str = ""
  writes: tuple[str, ...] = ("out",)
  needs_run: bool = False
  terminate_after: float = 0.0


# From the kind of an input to its place, and damages of it by name.
Inputs = Mapping[str, tuple[str, Mapping[str, Damage]]]


def damaged_inputs(
  user: str,
  command: tuple[str, tuple[str, ...]],
  inputs: Inputs,
  *,
  needs_run: bool = False,
) -> Iterator[Case]:
  """Yield a case for every damage of every input of a command."""
  for kind, (place, changes) in inputs.items():
    for name, damage in changes.items():
      title = f"{user}, {kind}: {name}"
      yield Case(title, *command, damage, place, needs_run=needs_run)


def config_flag(name: str, words: str = "smoke") -> str:
  return f"--config={_CONFIGS}/{name}.py:{words}"


TRAIN = ("main", (config_flag("rgmp_davis"), "--workdir={out}"))
EVALUATE = ("evaluate", ("--workdir={rgmp}",))
TRACK = (
  "predict",
  ("track", "--workdir={rgmp}", "--video={video}", "--mask={mask}/mask.png",
   "--out={out}"),
)  # fmt: skip
ANIMATE = (
  "predict",
  ("animate", "--workdir={animation}", "--source={stills}/images/0.a/x1.jpg",
   "--driving={video}", "--background={voc}/JPEGImages/p0.jpg",
   "--out={out}"),
)  # fmt: skip
CUTOUT = (
  "predict",
  ("cutout", "--workdir={layered}", "--images={stills}/images", "--out={out}"),
)
PARTS = (
  "predict",
  ("parts", "--workdir={face_parts}", "--images={faces}", "--out={out}"),
)
FILTER = ("predict", ("filter", "--images={faces}", "--out={out}"))
EXPRESS = (
  "predict",
  ("express", "--workdir={face_edits}", "--input={faces}/JPEGImages/f1.jpg",
   "--parts={faces}/SegmentationClass/f1.png", "--expression=happiness",
   "--out={out}"),
)  # fmt: skip
SAMPLE = ("predict", ("sample", "--workdir={layered}", "--out={out}"))
DATASET = ("predict", ("dataset", "--workdir={layered}", "--out={out}"))
CHECK = ("data.check", ("{davis}",))
CHECK_FACES = ("data.check", ("{faces}",))
ABLATE = ("ablate", ("--config={config}/tiny.py:smoke", "--out={ablation}"))
DEMO = ("demo.dataset", ("{out}",))
BENCH = ("bench", (config_flag("rgmp_davis"),))
PREPARE = {
  "videos": ("data.prepared.videos", ("{davis}", "{out}")),
  "stills": ("data.prepared.stills", ("{stills}", "{out}")),
  "instances": ("data.prepared.instances", ("{voc}", "{out}")),
}
