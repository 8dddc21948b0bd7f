"""Several sources in one batch: a main source and companions by name."""

import numpy as np

from foregan_jax.data import pipeline


class Streams:
  """A source that adds samples of other sources to each sample."""

  def __init__(self, main: pipeline.Source, **companions: pipeline.Source):
    """Combine the sources.

    Args:
      main: determines the number of samples.
      **companions: other sources, by the name of their sample.
    """
    self._main = main
    self._companions = companions

  def __len__(self) -> int:
    """Return the number of samples of the main source."""
    return len(self._main)

  def __getitem__(self, index: int) -> pipeline.Batch:
    """Read a sample; its companions depend on the index only."""
    return self.draw(index, np.random.default_rng(int(index)), 0)

  def draw(
    self, index: int, rng: np.random.Generator, step: int
  ) -> pipeline.Batch:
    """Read a sample with random companions; see `pipeline.RandomSource`."""
    sample = dict(_read(self._main, int(index), rng, step))
    for name, source in self._companions.items():
      sample[name] = _read(source, int(rng.integers(len(source))), rng, step)
    return sample


def _read(source, index: int, rng: np.random.Generator, step: int):
  if isinstance(source, pipeline.RandomSource):
    return source.draw(index, rng, step)
  return source[index]
