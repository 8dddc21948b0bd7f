"""What an evaluation gives, whatever was evaluated."""

import dataclasses
import pathlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Result:
  """The outcome of one evaluation.

  Attributes:
    scalars: every number, as `head/metric`.
    best: the number by which the best checkpoint is kept; higher is better.
    show: prints the table under a title.
  """

  scalars: dict[str, float]
  best: float
  show: Callable[[str], None]


def folder(workdir: pathlib.Path, benchmark: str, step: int) -> pathlib.Path:
  """Returns where the results of one step on one benchmark lie."""
  return workdir / "eval" / benchmark / f"step-{step}"
