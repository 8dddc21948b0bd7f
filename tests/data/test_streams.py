"""Several sources in one batch."""

import numpy as np

from foregan_jax.data import pipeline, streams


class _Numbers:
  """A source whose sample i is {"x": start + i}."""

  def __init__(self, start, count):
    self._start, self._count = start, count

  def __len__(self):
    return self._count

  def __getitem__(self, index):
    return {"x": np.int32(self._start + index)}


class _Steps(_Numbers):
  """A random source whose samples are the step."""

  def draw(self, index, rng, step):
    return {"x": np.int32(step)}


def _batches(source, count, **changes):
  arguments = dict(
    global_batch=4, seed=3, process_index=0, process_count=1, num_threads=1,
    prefetch=1,
  )  # fmt: skip
  batches = pipeline.train_batches(source, **(arguments | changes))
  return batches, [next(batches) for _ in range(count)]


def _source():
  return streams.Streams(
    _Numbers(0, 6), instances=_Numbers(100, 5), steps=_Steps(0, 2)
  )


def test_every_sample_has_companions():
  assert len(_source()) == 6
  _, batches = _batches(_source(), 6)
  main = np.concatenate([b["x"] for b in batches])
  second = np.concatenate([b["instances"]["x"] for b in batches])
  assert set(main[:6]) == set(range(6))
  assert set(second) == set(range(100, 105))
  # The pairs differ between epochs.
  assert len(set(zip(main, second, strict=True))) > 12
  assert [set(b["steps"]["x"]) for b in batches] == [{i} for i in range(6)]


def test_batches_resume_exactly():
  batches, _ = _batches(_source(), 2)
  state = batches.get_state()
  expected = next(batches)
  again, _ = _batches(_source(), 0)
  again.set_state(state)
  resumed = next(again)
  np.testing.assert_array_equal(resumed["x"], expected["x"])
  np.testing.assert_array_equal(
    resumed["instances"]["x"], expected["instances"]["x"]
  )


def test_processes_share_the_same_batches():
  _, (whole,) = _batches(_source(), 1)
  parts = [
    _batches(_source(), 1, process_index=i, process_count=2)[1][0]
    for i in range(2)
  ]
  second = np.concatenate([part["instances"]["x"] for part in parts])
  np.testing.assert_array_equal(
    np.sort(second), np.sort(whole["instances"]["x"])
  )


def test_samples_by_index_are_deterministic():
  one, two = _source()[3], _source()[3]
  assert one["x"] == 3 and one["instances"]["x"] == two["instances"]["x"]
