"""Grain pipelines: from an indexable source to an endless row of batches."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np

Batch = dict[str, Any]


@runtime_checkable
class Source(Protocol):
  """Anything with a length and deterministic samples by index."""

  def __len__(self) -> int:
    """Count the samples."""
    ...

  def __getitem__(self, index: int) -> Batch:
    """Read one sample as a (nested) dict of arrays."""
    ...


@runtime_checkable
class Drawn(Protocol):
  """A source whose samples are different each time."""

  def draw(self, index: int, rng: np.random.Generator, step: int) -> Batch:
    """Draw a sample for a training step; it follows from the arguments."""
    ...


class Batches(Iterator[Batch]):
  """Endless batches of this process; resumes exactly.

  The state is `{"next_index": n}`, the number of batches already taken. It is
  the same on every process, and for any number of them.
  """

  def __init__(self, dataset: grain.IterDataset):
    self._iterator = iter(dataset)

  def __next__(self) -> Batch:
    return next(self._iterator)

  def get_state(self) -> dict[str, int]:
    """Return where the next batch is, as plain JSON."""
    return {"next_index": int(self._iterator.get_state()["next_index"])}

  def set_state(self, state: dict[str, int]) -> None:
    """Continue as `get_state` left off."""
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

  Every epoch has its own order. Process p of P gets the p-th of P equal
  parts of each global batch, so that any P sees the same global batches.

  Args:
    source: the samples, numpy arrays of equal shapes; `Drawn` or not.
    global_batch: samples of a batch over all processes.
    seed: of the shuffling.
    process_index: which process this is, from 0.
    process_count: how many there are.
    num_threads: threads that read samples.
    prefetch: samples read ahead of need.

  Raises:
    ValueError: if the source is empty, or processes do not divide the batch.
  """
  if len(source) == 0:
    raise ValueError(
      "nothing to train on: an empty list, or no video of clip_len frames"
    )
  if global_batch % process_count:
    raise ValueError(
      f"batch size {global_batch} is not divisible by {process_count} processes"
    )
  drawn = isinstance(source, Drawn)
  samples = range(len(source)) if drawn else source
  dataset = grain.MapDataset.source(samples).seed(seed).shuffle().repeat()
  if drawn:
    # `place` counts on through the epochs: no two draws are alike, and what
    # is drawn depends on nothing that a resumed run would have to remember.
    dataset = dataset.map_with_index(
      lambda place, index: source.draw(
        int(index),
        np.random.default_rng([seed, place]),
        place // global_batch,
      )
    )
  # Sliced last: a slice before the shuffle would shuffle each part by itself.
  # drop_remainder: there is none, but without it grain 0.2.18 divides the
  # endless length as a float, which overflows for batches of one.
  dataset = dataset.batch(global_batch // process_count, drop_remainder=True)
  dataset = dataset[process_index::process_count]
  options = grain.ReadOptions(
    num_threads=num_threads, prefetch_buffer_size=prefetch
  )
  return Batches(dataset.to_iter_dataset(options))
