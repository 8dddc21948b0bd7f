"""One evaluator per task: scores, and pictures to look at during training."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from foregan_jax import game, storage, tasks
from foregan_jax.evaluators import (
  face_edits,
  face_parts,
  reconstruction,
  result,
  stills,
  videos,
)


@runtime_checkable
class Evaluator(Protocol):
  """Evaluates networks on the evaluation data of a run."""

  def assess(
    self,
    nets: game.Nets,
    *,
    folder: storage.Path,
    whole: bool,
    write: bool,
  ) -> result.Result:
    """Score heads and baselines; all processes must call it together.

    Args:
      nets: on the host.
      folder: folder of all results.
      whole: use all data, not the part for evaluation during training.
      write: also write masks and pictures.
    """

  def prepare_samples(self) -> None:
    """Read the data that `samples` shows.

    Raises:
      ValueError: if there are no such data.
    """

  def samples(self, nets: game.Nets) -> dict[str, np.ndarray]:
    """Return RGB uint8 sheets by name, always of the same inputs."""


_EVALUATORS: dict[str, Callable[..., Evaluator]] = {
  tasks.VIDEOS: videos.VideoEvaluator,
  tasks.STILLS: stills.StillEvaluator,
  tasks.ANIMATION: reconstruction.ReconstructionEvaluator,
  tasks.FACE_EDITS: face_edits.FaceEditEvaluator,
  tasks.FACE_PARTS: face_parts.FacePartsEvaluator,
}


def build(system, config, workdir: storage.Path, **options) -> Evaluator:
  """Return the evaluator of the system's task; options are its own."""
  return _EVALUATORS[system.task](system, config, workdir, **options)
