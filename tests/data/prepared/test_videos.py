"""Clips of prepared videos equal those of the original folder."""

import numpy as np
import pytest

from foregan_jax.data import clips, pipeline
from foregan_jax.data.prepared import records
from foregan_jax.data.prepared import videos as prepared_videos
from foregan_jax.media import images

SKIPS = clips.Skips(most=2, raise_by=1, every=2)


@pytest.fixture
def root(tiny_root, tiny):
  """A DAVIS folder; `ant` lacks two masks; one has void and a high id."""
  masks = tiny_root / "Annotations/tiny/ant"
  for t in (2, 5):
    (masks / f"{t:05d}.png").unlink()
  labels = images.read_labels(masks / "00003.png")
  labels[:3], labels[-3:] = images.VOID, 200
  tiny.write_mask(masks / "00003.png", labels, "P")
  tiny.write_list(tiny_root, "2017", "train", ["cicada", "ant", "bee"])
  return tiny_root


def _clips(root, **changes):
  arguments = dict(
    year="2017", split="train", resolution="", size=(12, 20), clip_len=3,
    skips=SKIPS,
  )  # fmt: skip
  return clips.Clips(root, **(arguments | changes))


def _assert_same(original, prepared, steps=6):
  assert prepared.names == original.names
  for i in range(len(original)):
    for step in range(steps):
      a, b = (
        source.draw(i, np.random.default_rng(step), step)
        for source in (original, prepared)
      )
      for key, value in a.items():
        np.testing.assert_array_equal(b[key], value, strict=True)


@pytest.mark.parametrize("clip_len", [2, 3, 4])
def test_prepared_clips_equal_the_originals(root, tmp_path, clip_len):
  out = prepared_videos.prepare(root, tmp_path / "tfds", year="2017")
  for split in ("train", "val"):
    original, prepared = (
      _clips(r, split=split, clip_len=clip_len) for r in (root, out)
    )
    _assert_same(original, prepared)
  assert _clips(out, clip_len=4).names == ("ant", "bee")
  with pytest.raises(images.DataError, match="no video has 7 annotated"):
    _clips(out, clip_len=7)


def test_prepared_batches_equal_the_originals(root, tmp_path):
  out = prepared_videos.prepare(root, tmp_path / "tfds", year="2017")
  original, prepared = (
    pipeline.train_batches(
      _clips(r), global_batch=2, seed=5, process_index=0, process_count=1,
      num_threads=2, prefetch=4,
    )
    for r in (root, out)
  )  # fmt: skip
  for _ in range(4):
    a, b = next(original), next(prepared)
    np.testing.assert_array_equal(a["video"], b["video"])
    np.testing.assert_array_equal(a["labels"], b["labels"])


def test_stored_frames_and_ids_are_unchanged(root, tmp_path):
  out = prepared_videos.prepare(root, tmp_path / "tfds", year="2017")
  reader = records.VideoRecords(
    out, year="2017", split="train", resolution="tiny"
  )
  assert reader.annotated["ant"] == [0, 1, 3, 4]
  first = 3  # after those of cicada
  for t in range(6):
    record = reader.record(first + t)
    path = root / f"JPEGImages/tiny/ant/{t:05d}.jpg"
    assert record["image"] == path.read_bytes()
    assert (record["name"], record["frame"]) == (b"ant", t)
    assert record["has_labels"] == (t in (0, 1, 3, 4))
  _, labels = reader.read("ant", 3)
  assert set(np.unique(labels)) == {0, 1, 2, 200, images.VOID}
  _, labels = reader.read("bee", 0)  # its masks are grey, 0 and 255
  assert set(np.unique(labels)) == {0, 1}


def test_clip_reads_only_its_own_frames(root, tmp_path, monkeypatch):
  source = _clips(prepared_videos.prepare(root, tmp_path / "tfds", year="2017"))
  read = []
  record = records.VideoRecords.record
  spy = lambda self, index: read.append(index) or record(self, index)
  monkeypatch.setattr(records.VideoRecords, "record", spy)
  source.draw(0, np.random.default_rng(0), 0)
  assert sorted(read) == [0, 1, 2]


def test_other_year_resolution_or_split_is_refused(root, tmp_path):
  out = prepared_videos.prepare(root, tmp_path / "tfds", year="2017")
  _clips(out, resolution="tiny")
  for wrong, message in (
    (dict(year="2016"), "prepared with year '2017', not '2016'"),
    (dict(resolution="480p"), "prepared with resolution 'tiny', not '480p'"),
    (dict(split="test"), "no split 'test', only train, val"),
  ):
    with pytest.raises(images.DataError, match=message):
      _clips(out, **wrong)


def test_prepared_clips_equal_the_originals_on_real_data(shared_data, tmp_path):
  davis = shared_data / "DAVIS"
  lists = dict(year="2016", splits=("train",))
  out = prepared_videos.prepare(davis, tmp_path, **lists)
  original, prepared = (
    _clips(r, year="2016", size=(60, 107)) for r in (davis, out)
  )
  _assert_same(original, prepared, steps=2)


@pytest.mark.parametrize("masked", [True, False])
def test_broken_frame_error_names_the_file(root, tmp_path, masked):
  path = root / f"JPEGImages/tiny/ant/0000{3 if masked else 5}.jpg"
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(images.DataError, match=f"{path.name}: .*truncated"):
    prepared_videos.prepare(root, tmp_path / "tfds", year="2017")


def test_command_line_accepts_year_and_lists(root, tmp_path, capsys):
  arguments = [str(root), str(tmp_path), "--year=2016", "--splits", "train"]
  prepared_videos.main(arguments)
  out = tmp_path / "videos/1.0.0"
  assert f"prepared: {out}" in capsys.readouterr().out
  assert _clips(out, year="2016").names == ("ant", "bee")
  arguments[1:] = [str(tmp_path / "other"), "--splits", "test"]
  with pytest.raises(SystemExit, match="list of split 'test' is missing"):
    prepared_videos.main(arguments)
