"""Random clips of annotated videos."""

import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import clips, pipeline
from foregan_jax.media import images, pictures

NO_SKIPS = clips.Skips(most=0, raise_by=5, every=0)


@pytest.fixture
def root(tmp_path):
  """Two videos: frame t has brightness 10 t, object 3, and void at the top."""
  for name, count in (("long", 12), ("short", 3)):
    for t in range(count):
      frame = np.full((20, 30, 3), 10 * t, np.uint8)
      labels = np.zeros((20, 30), np.uint8)
      labels[5:15, t : t + 10] = 3
      labels[:2] = images.VOID
      top = tmp_path / "JPEGImages/480p" / name
      top.mkdir(parents=True, exist_ok=True)
      Image.fromarray(frame).save(top / f"{t:05d}.png")
      path = tmp_path / "Annotations/480p" / name / f"{t:05d}.png"
      pictures.save_labels(path, labels)
  lists = tmp_path / "ImageSets/2017"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text("long\nshort\n")
  return tmp_path


def _source(
  root, skips=NO_SKIPS, clip_len=4, size=(20, 30), year="2017", distant=0.0
):
  return clips.Clips(
    root, year=year, split="train", resolution="", size=size,
    clip_len=clip_len, skips=skips, distant_reference=distant,
  )  # fmt: skip


def _times(sample):
  return sample["video"][:, 0, 0, 0].astype(int) // 10


def test_short_videos_are_skipped(root):
  assert _source(root).names == ("long",)
  assert _source(root, clip_len=3).names == ("long", "short")
  with pytest.raises(images.DataError, match="no video has 13 annotated"):
    _source(root, clip_len=13)


def test_without_skips_frames_are_neighbours_in_both_directions(root):
  source = _source(root)
  all_times = [
    _times(source.draw(0, np.random.default_rng(i), 0)) for i in range(60)
  ]
  steps = {tuple(np.diff(times)) for times in all_times}
  assert steps == {(1, 1, 1), (-1, -1, -1)}
  assert {min(times) for times in all_times} == set(range(9))


def test_skips_grow_with_the_step_up_to_the_last_bound(root):
  source = _source(root, clips.Skips(most=2, raise_by=1, every=10))
  for step, longest in ((0, 1), (10, 2), (20, 3), (500, 3)):
    strides = [
      np.abs(np.diff(_times(source.draw(0, np.random.default_rng(i), step))))
      for i in range(80)
    ]
    assert np.max(strides) == longest
    assert np.min(strides) == 1


def test_distant_references_leave_the_targets_as_they_are(root):
  plain, mixed = _source(root), _source(root, distant=0.3)
  references = []
  for i in range(120):
    expected = plain.draw(0, np.random.default_rng(i), 0)
    assert set(expected) == {"video", "labels"}
    sample = mixed.draw(0, np.random.default_rng(i), 0)
    np.testing.assert_array_equal(sample["video"][1:], expected["video"][1:])
    np.testing.assert_array_equal(sample["labels"][1:], expected["labels"][1:])
    # The guidance is for frame 1, so it stays that of the frame before.
    np.testing.assert_array_equal(sample["prev_labels"], expected["labels"][0])
    time, columns = _times(sample)[0], (sample["labels"][0] == 3).any((0, 2))
    assert np.flatnonzero(columns)[0] == time
    if time != _times(expected)[0]:
      references.append(time)
  assert len(references) == pytest.approx(0.3 * 120, abs=15)
  assert set(references) == set(range(12))


@pytest.mark.parametrize("folder", ["2016", "480p"])
def test_missing_list_error_names_the_year_that_has_it(root, folder):
  (root / "ImageSets/2017").rename(root / "ImageSets" / folder)
  message = "2017/train.txt: list of split 'train'.*; set year=2016 to use"
  with pytest.raises(images.DataError, match=message):
    _source(root)
  assert _source(root, year="2016").names == ("long",)


def test_labels_are_ids_and_match_their_frame(root):
  sample = _source(root, size=(10, 15)).draw(0, np.random.default_rng(1), 0)
  assert set(np.unique(sample["labels"])) == {0, 3, images.VOID}
  for t, labels in zip(_times(sample), sample["labels"], strict=True):
    columns = np.flatnonzero((labels[..., 0] == 3).any(axis=0))
    assert abs(columns.min() - t / 2) <= 1


def test_mask_size_error_names_the_file(root):
  path = root / "Annotations/480p/long/00004.png"
  pictures.save_labels(path, np.ones((4, 4), np.uint8))
  source = _source(root, clip_len=12)
  with pytest.raises(images.DataError, match="00004.png.*4x4.*30x20"):
    source.draw(0, np.random.default_rng(0), 0)


def _batches(source, process=0, count=1):
  return pipeline.train_batches(
    source, global_batch=2, seed=5, process_index=process,
    process_count=count, num_threads=2, prefetch=4,
  )  # fmt: skip


def test_batches_have_new_clips_and_resume_exactly(root):
  source = _source(root)
  batches = _batches(source)
  first = [next(batches)["video"] for _ in range(4)]
  state = batches.get_state()
  after = next(batches)["video"]
  assert len({x[i].tobytes() for x in first for i in range(2)}) > 4
  again = _batches(source)
  np.testing.assert_array_equal(next(again)["video"], first[0])
  again.set_state(state)
  np.testing.assert_array_equal(next(again)["video"], after)


def test_processes_share_the_global_batch(root):
  whole = next(_batches(_source(root)))["video"]
  parts = [next(_batches(_source(root), p, 2))["video"] for p in range(2)]
  np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_pipeline_passes_the_step_to_the_source(root):
  class StepSource:
    def __len__(self):
      return 3

    def __getitem__(self, index):
      raise AssertionError("the pipeline must call draw")

    def draw(self, index, rng, step):
      return {"step": np.int64(step)}

  batches = _batches(StepSource())
  assert [next(batches)["step"].tolist() for _ in range(3)] == [
    [0, 0], [1, 1], [2, 2],
  ]  # fmt: skip
