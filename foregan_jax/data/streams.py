"""Two sources side by side: every sample of one with one of the other."""

import numpy as np

from foregan_jax.data import pipeline


class Streams:
  """Adds to each sample of a source a sample of another, under a name."""

  def __init__(self, main: pipeline.Source, **beside: pipeline.Source):
    """Remember the sources.

    Args:
      main: says how many samples there are.
      **beside: by the name that its samples get.
    """
    self._main = main
    self._beside = beside

  def __len__(self) -> int:
    """Count the samples of the main source."""
    return len(self._main)

  def __getitem__(self, index: int) -> pipeline.Batch:
    """Read a sample, with companions that follow from the index."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> pipeline.Batch:
    """Read a sample with random companions (see `pipeline.Drawn`)."""
    sample = dict(_read(self._main, int(index), rng, step))
    for name, source in self._beside.items():
      sample[name] = _read(source, int(rng.integers(len(source))), rng, step)
    return sample


def _read(source, index: int, rng: np.random.Generator, step: int):
  if isinstance(source, pipeline.Drawn):
    return source.draw(index, rng, step)
  return source[index]
