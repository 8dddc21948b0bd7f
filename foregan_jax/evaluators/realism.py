"""FID and KID of generated pictures, with a weight file of the user.

The features are those of the Inception-v3 network of FID. Its weights are not
part of this package. The file of pytorch-fid fits:
`pt_inception-2015-12-05-6726825d.pth`.
"""

import itertools
import pathlib
from collections.abc import Iterable, Iterator

import jax
import numpy as np
import rich.progress
from jaxtyping import Float

from foregan_jax.media import pictures
from foregan_jax.metrics import frechet
from foregan_jax.nets import inception
from foregan_jax.runtime import distributed, platform, state_dicts

_BATCH = 64
NOT_MEASURED = (
  "FID and KID: not measured; they need the weights of the Inception network "
  "(config.eval.inception, or evaluate's --inception=FILE)"
)


class Realism:
  """Compares generated pictures with real ones."""

  def __init__(self, weights: str, num_drawn: int):
    """Read the weights.

    Args:
      weights: a file for `runtime.state_dicts`.
      num_drawn: number of generated pictures; 10,000 are usual.

    Raises:
      ValueError: if the file does not fit the network.
    """
    path = pathlib.Path(weights)
    tensors = state_dicts.read(path)
    shapes = inception.names_and_shapes()
    state_dicts.check_shapes(
      tensors,
      shapes,
      path,
      ignore=("num_batches_tracked", "fc.weight", "fc.bias"),
    )
    # As an argument: XLA folds constants, and these are 87 MB.
    self._params = jax.device_put(inception.from_state_dict(tensors))
    self._features = jax.jit(inception.features)
    self._num_drawn = num_drawn

  def scores(self, system, nets, source) -> dict[str, float]:
    """Return fid, kid and kid_std of generated against real pictures.

    Args:
      system: a `tasks.StillSystem`.
      nets: all nets.
      source: of real pictures; all of them are used.
    """
    real = (source.picture(i) for i in range(len(source)))
    drawn = self._of(
      _generate(system, nets), self._num_drawn, "generated pictures"
    )
    expected = self._of(real, len(source), "real pictures")
    kid, kid_std = frechet.kid(drawn, expected)
    fid = frechet.fid(drawn, expected)
    return {"fid": fid, "kid": kid, "kid_std": kid_std}

  def _of(
    self, images: Iterable[np.ndarray], count: int, what: str
  ) -> Float[np.ndarray, "n d"]:
    """Return the features of the first `count` pictures."""
    images = iter(images)
    made = []
    quiet = not distributed.is_first_process()
    for start in rich.progress.track(
      range(0, count, _BATCH), f"features of {what}", disable=quiet
    ):
      size = min(_BATCH, count - start)
      part = np.stack([next(images) for _ in range(size)])
      filled = np.resize(part, (_BATCH, *part.shape[1:]))  # compiles once
      made.append(np.asarray(self._features(self._params, filled))[:size])
    return np.concatenate(made)


def _generate(system, nets) -> Iterator[np.ndarray]:
  """Yield generated pictures without end."""
  sample = jax.jit(lambda *args: system.sample(*args, _BATCH)[0].frame)
  key = platform.key(0)
  for i in itertools.count():
    frames = sample(nets, jax.random.fold_in(key, i))
    yield from pictures.to_uint8(jax.device_get(frames))
