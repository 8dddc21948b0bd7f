"""Batches: order, sharding over processes, resuming, errors; random data."""

import types

import numpy as np
import pytest

from foregan_jax.data import fake, pipeline
from foregan_jax.media import images


class _Numbers:
  """A source whose sample i is the number i and a nested stream."""

  def __init__(self, length, broken=None):
    self._length, self._broken = length, broken

  def __len__(self):
    return self._length

  def __getitem__(self, index):
    if index == self._broken:
      raise images.DataError("bear/00003.jpg", "picture is truncated")
    value = np.array(index)
    return {"index": value, "stream": {"half": np.float32(value / 2)}}


def _batches(source, **changes):
  arguments = dict(
    global_batch=4,
    seed=0,
    process_index=0,
    process_count=1,
    num_threads=3,
    prefetch=5,
  )
  return pipeline.train_batches(source, **(arguments | changes))


def _next_indices(batches, count):
  indices = [next(batches)["index"].tolist() for _ in range(count)]
  batches.close()
  return indices


def test_each_epoch_has_a_new_order_of_all_samples():
  order = sum(_next_indices(_batches(_Numbers(12)), 6), [])
  assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
  assert order[:12] != order[12:]


def test_small_source_repeats_to_fill_a_batch():
  assert sorted(_next_indices(_batches(_Numbers(2)), 1)[0]) == [0, 0, 1, 1]


def test_order_depends_on_the_seed():
  first = _next_indices(_batches(_Numbers(20)), 4)
  assert _next_indices(_batches(_Numbers(20)), 4) == first
  assert _next_indices(_batches(_Numbers(20), seed=1), 4) != first


@pytest.mark.parametrize("num_threads, prefetch", [(0, 0), (1, 1), (8, 32)])
def test_threads_do_not_change_the_order(num_threads, prefetch):
  changes = {"num_threads": num_threads, "prefetch": prefetch}
  expected = _next_indices(_batches(_Numbers(10)), 6)
  assert _next_indices(_batches(_Numbers(10), **changes), 6) == expected


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_same_global_batches(count):
  expected = _next_indices(_batches(_Numbers(10)), 8)
  parts = [
    _next_indices(
      _batches(_Numbers(10), process_index=p, process_count=count), 8
    )
    for p in range(count)
  ]
  joined = [sum(shares, []) for shares in zip(*parts, strict=True)]
  assert joined == expected


@pytest.mark.parametrize("process", [0, 1])
def test_resume_is_exact_with_another_number_of_processes(process):
  full = _next_indices(_batches(_Numbers(10)), 9)
  one = _batches(_Numbers(10))
  for _ in range(5):
    next(one)
  state = one.get_state()
  one.close()
  assert state == {"next_index": 5}
  resumed = _batches(_Numbers(10))
  next(resumed)
  resumed.set_state(state)
  assert _next_indices(resumed, 4) == full[5:]
  share = _batches(_Numbers(10), process_index=process, process_count=2)
  share.set_state(state)
  assert _next_indices(share, 4) == [b[2 * process :][:2] for b in full[5:]]
  share = _batches(_Numbers(10), process_index=process, process_count=2)
  for _ in range(3):
    next(share)
  assert share.get_state() == {"next_index": 3}
  share.close()


def test_nested_streams_are_stacked():
  batch = next(_batches(_Numbers(10)))
  assert np.array_equal(batch["stream"]["half"], batch["index"] / 2)


def test_broken_picture_error_names_the_file():
  batches = _batches(_Numbers(6, broken=2))
  with pytest.raises(images.DataError, match="^bear/00003.jpg: picture is tr"):
    for _ in range(2):
      next(batches)


def test_broken_davis_picture_error_names_the_file(tiny_root, open_davis):
  source = open_davis(tiny_root)
  (tiny_root / "JPEGImages/tiny/ant/00002.jpg").write_bytes(b"\xff\xd8half")
  with pytest.raises(images.DataError, match="ant/00002.jpg: "):
    next(_batches(source, global_batch=1))


def test_davis_batch(tiny_root, open_davis):
  batch = next(_batches(open_davis(tiny_root, clip_len=3)))
  assert batch["video"].shape == (4, 3, 12, 20, 3)
  assert batch["ref_mask"].shape == (4, 12, 20, 1)
  assert batch["flow_fwd"].shape == (4, 2, 12, 20, 2)
  assert batch["video"].dtype == batch["ref_mask"].dtype == np.uint8


def test_invalid_arguments_raise():
  with pytest.raises(ValueError, match="batch size 4 is not divisible by 3"):
    _batches(_Numbers(10), process_count=3)
  with pytest.raises(ValueError, match="nothing to train on"):
    _batches(_Numbers(0))


def test_fake_samples_match_the_spec():
  spec = {
    "video": types.SimpleNamespace(shape=(2, 3, 4, 5, 3), dtype="uint8"),
    "more": {"flow": types.SimpleNamespace(shape=(2, 4, 5, 2), dtype="f4")},
  }
  source = fake.Fake(spec, seed=0)
  batch = next(_batches(source, global_batch=2))
  assert batch["video"].shape == (2, 3, 4, 5, 3)
  assert batch["video"].dtype == np.uint8
  assert batch["more"]["flow"].dtype == np.float32
  again = fake.Fake(spec, seed=0)
  assert np.array_equal(source[9]["video"], again[9]["video"])
  assert not np.array_equal(source[0]["video"], source[1]["video"])


def test_fake_videos_have_the_format_of_davis(tiny_root, open_davis):
  real = open_davis(tiny_root).sequence("ant")
  videos = fake.FakeVideos(size=(12, 20), num_frames=6, seed=0)
  generated = videos.sequence(videos.names[1])
  assert generated.keys() == real.keys()
  for name in ("frames", "ref_mask", "flow_fwd", "flow_bwd"):
    assert generated[name].shape == real[name].shape, name
    assert generated[name].dtype == real[name].dtype, name
  assert len(generated["labels"]) == len(generated["paths"]) == 6
  assert np.array_equal(
    np.roll(generated["labels"][0], 1, axis=1), generated["labels"][1]
  )
