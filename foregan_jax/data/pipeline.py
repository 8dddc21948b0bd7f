"""Grain pipelines: from an indexable source to endless batches."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np

Batch = dict[str, Any]


@runtime_checkable
class Source(Protocol):
  """A source with a length and deterministic samples by index."""

  def __len__(self) -> int:
    """Return the number of samples."""
    ...

  def __getitem__(self, index: int) -> Batch:
    """Read one sample as a (nested) dict of arrays."""
    ...


@runtime_checkable
class RandomSource(Protocol):
  """A source whose samples also depend on random numbers and the step."""

  def draw(self, index: int, rng: np.random.Generator, step: int) -> Batch:
    """Draw a sample for a training step; it depends on the arguments only."""
    ...


class Batches(Iterator[Batch]):
  """Endless batches of this process; they resume exactly.

  The state is `{"next_index": n}`, the number of batches already taken. It is
  the same on every process, and for any number of them.
  """

  def __init__(self, dataset: grain.IterDataset):
    self._iterator = iter(dataset)

  def __next__(self) -> Batch:
    return next(self._iterator)

  def get_state(self) -> dict[str, int]:
    """Return the position of the next batch, as plain JSON."""
    return {"next_index": int(self._iterator.get_state()["next_index"])}

  def set_state(self, state: dict[str, int]) -> None:
    """Continue from a state of `get_state`."""
    self._iterator.set_state({"next_index": int(state["next_index"])})

  def close(self) -> None:
    """Stop the reading threads."""
    self._iterator.close()


def train_batches(
  source: Source,
  *,
  global_batch: int,
  seed: int,
  process_index: int,
  process_count: int,
  num_threads: int,
  prefetch: int,
) -> Batches:
  """Shuffle, repeat and batch a source for one of several processes.

  Each epoch has its own order. Process p of P gets the p-th of P equal
  parts of each global batch, so that every P gives the same global batches.

  Args:
    source: the samples, NumPy arrays of equal shapes; maybe a `RandomSource`.
    global_batch: samples per batch over all processes.
    seed: seed of the shuffling and of random samples.
    process_index: index of this process, from 0.
    process_count: number of processes.
    num_threads: threads that read samples.
    prefetch: samples to read ahead.

  Raises:
    ValueError: if the source is empty, or the batch is not divisible by the
      number of processes.
  """
  if len(source) == 0:
    raise ValueError(
      "nothing to train on: an empty list, or no video of clip_len frames"
    )
  if global_batch % process_count:
    raise ValueError(
      f"batch size {global_batch} is not divisible by {process_count} processes"
    )
  is_random = isinstance(source, RandomSource)
  samples = range(len(source)) if is_random else source
  dataset = grain.MapDataset.source(samples).seed(seed).shuffle().repeat()
  if is_random:
    # `position` counts over all epochs: each draw has its own seed, and no
    # state must be saved for a resumed run.
    dataset = dataset.map_with_index(
      lambda position, index: source.draw(  # type: ignore[attr-defined]
        int(index),
        np.random.default_rng([seed, position]),
        position // global_batch,
      )
    )
  # Slice last: a slice before the shuffle would shuffle each part separately.
  # drop_remainder: an endless row has no remainder, but without it grain 0.2.18
  # divides the endless length as a float, which overflows for batches of one.
  dataset = dataset.batch(global_batch // process_count, drop_remainder=True)
  dataset = dataset[process_index::process_count]
  options = grain.ReadOptions(
    num_threads=num_threads, prefetch_buffer_size=prefetch
  )
  return Batches(dataset.to_iter_dataset(options))
