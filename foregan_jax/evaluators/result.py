"""The result of an evaluation, for every task."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from foregan_jax import storage


@dataclasses.dataclass(frozen=True)
class Result:
  """The result of one evaluation.

  Attributes:
    scalars: every number, as `head/metric`.
    best: the value of the system's `best` metric; None if it has none.
    show: prints the table below a title.
    scores: of the first head, by video and object; empty for pictures.
  """

  scalars: dict[str, float]
  best: float | None
  show: Callable[[str], None]
  scores: Mapping[str, Mapping[int, Any]] = dataclasses.field(
    default_factory=dict
  )


def folder(workdir: storage.Path, benchmark: str, step: int) -> storage.Path:
  """Return the folder of the results of one step on one benchmark."""
  return workdir / "eval" / benchmark / f"step-{step}"
