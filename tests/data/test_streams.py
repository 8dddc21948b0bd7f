"""Two sources side by side."""

import numpy as np

from foregan_jax.data import pipeline, streams


class _Numbers:
  """Sample i is {"x": start + i}."""

  def __init__(self, start, count):
    self._start, self._count = start, count

  def __len__(self):
    return self._count

  def __getitem__(self, index):
    return {"x": np.int32(self._start + index)}


class _Drawn(_Numbers):
  def draw(self, index, rng, step):
    return {"x": np.int32(step)}


def _batches(source, count, **changes):
  settings = dict(
    global_batch=4, seed=3, process_index=0, process_count=1, num_threads=1,
    prefetch=1,
  )  # fmt: skip
  batches = pipeline.train_batches(source, **(settings | changes))
  return batches, [next(batches) for _ in range(count)]


def _source():
  return streams.Streams(
    _Numbers(0, 6), stills=_Numbers(100, 5), drawn=_Drawn(0, 2)
  )


def test_every_sample_has_companions():
  assert len(_source()) == 6
  _, made = _batches(_source(), 6)
  main = np.concatenate([b["x"] for b in made])
  beside = np.concatenate([b["stills"]["x"] for b in made])
  assert set(main[:6]) == set(range(6))
  assert set(beside) == set(range(100, 105))
  # Not always the same two together.
  assert len(set(zip(main, beside, strict=True))) > 12
  assert [set(b["drawn"]["x"]) for b in made] == [{i} for i in range(6)]


def test_it_goes_on_where_it_was():
  batches, _ = _batches(_source(), 2)
  state = batches.get_state()
  want = next(batches)
  again, _ = _batches(_source(), 0)
  again.set_state(state)
  got = next(again)
  np.testing.assert_array_equal(got["x"], want["x"])
  np.testing.assert_array_equal(got["stills"]["x"], want["stills"]["x"])


def test_processes_share_the_same_batches():
  _, (whole,) = _batches(_source(), 1)
  parts = [
    _batches(_source(), 1, process_index=i, process_count=2)[1][0]
    for i in range(2)
  ]
  stills = np.concatenate([part["stills"]["x"] for part in parts])
  np.testing.assert_array_equal(np.sort(stills), np.sort(whole["stills"]["x"]))


def test_an_index_says_it_all():
  one, two = _source()[3], _source()[3]
  assert one["x"] == 3 and one["stills"]["x"] == two["stills"]["x"]
