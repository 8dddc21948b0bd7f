"""How systems are judged, and what one looks at while they train."""

import pathlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from foregan_jax.evaluators import result, stills, videos


@runtime_checkable
class Evaluator(Protocol):
  """Judges parameters on the evaluation data of a run."""

  def assess(
    self,
    params: Mapping[str, Any],
    *,
    folder: pathlib.Path,
    whole: bool,
    write: bool,
  ) -> result.Result:
    """Scores heads and baselines; every process calls it together.

    Args:
      params: by net, on the host.
      folder: where everything is written.
      whole: on all the data, not the part that is used while training.
      write: whether to write masks and pictures beside the scores.
    """

  def prepare_samples(self) -> None:
    """Reads what `samples` shows.

    Raises:
      ValueError: if the data hold nothing to show.
    """

  def samples(self, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns sheets to look at, RGB uint8, by name; always of the same."""


_OF_TASK = {
  "videos": videos.VideoEvaluator,
  "stills": stills.StillEvaluator,
}


def build(system, config, workdir: pathlib.Path) -> Evaluator:
  """Returns the evaluator for the system's task."""
  return _OF_TASK[system.task](system, config, workdir)
