"""Video object segmentation with layered GANs, in JAX and Flax.

The Python API for trained models is `load`; see `foregan_jax.models`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from foregan_jax import models


def load(
  path="",
  *,
  step: str = "latest",
  head: str = "",
  scales: tuple[float, ...] = (),
  side: int = 0,
) -> (
  "models.VideoModel | models.StillModel | models.AnimationModel | "
  "models.FacePartsModel | models.FaceEditModel"
):
  """Load a run, a weight file, or the packaged weights; see `models.load`."""
  # Imported here, so that `import foregan_jax.data.check` does not import JAX.
  from foregan_jax import models

  return models.load(path, step=step, head=head, scales=scales, side=side)
