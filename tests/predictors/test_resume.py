"""Saving and loading of snapshots."""

import os

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from foregan_jax.predictors import resume

_LEAVES = [
  np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3),
  np.array(1.5, np.float32),
  np.array([True, False]),
  np.zeros((0, 4), np.int32),
  np.arange(12, dtype=np.uint8).reshape(3, 4)[:, ::2],
]


@pytest.fixture
def path(tmp_path):
  path = tmp_path / "resume.npz"
  snapshot = resume.Snapshot(
    7, 99, {4: "f4.png: broken", 2: "é"}, list(_LEAVES)
  )
  resume.SnapshotFile(path, "inputs").save(snapshot)
  return path


def test_snapshot_is_loaded_as_saved(path):
  snapshot = resume.SnapshotFile(path, "inputs").load()
  assert (snapshot.done, snapshot.table_bytes) == (7, 99)
  assert snapshot.unreadable == {4: "f4.png: broken", 2: "é"}
  for found, expected in zip(snapshot.leaves, _LEAVES, strict=True):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
  assert os.listdir(path.parent) == [path.name]


def test_other_inputs_and_broken_files_load_none(path):
  assert resume.SnapshotFile(path, "other").load() is None
  content = path.read_bytes()
  for broken in (b"", b"junk", content[:50], content[:-30]):
    path.write_bytes(broken)
    assert resume.SnapshotFile(path, "inputs").load() is None
  np.savez(path, leaf_0=np.zeros(3))
  assert resume.SnapshotFile(path, "inputs").load() is None
  path.unlink()
  assert resume.SnapshotFile(path, "inputs").load() is None


def test_leaves_are_restored_in_order():
  state = {"b": jnp.zeros(2), "a": (np.zeros(3), np.ones(1))}
  restored = resume.restore_leaves(state, [np.ones(4), np.ones(5), np.ones(6)])
  assert [x.size for x in restored["a"]] == [4, 5]
  assert restored["b"].shape == (6,)
  assert isinstance(restored["b"], jnp.ndarray)
  with pytest.raises(ValueError, match="2 arrays, the tracker's 3"):
    resume.restore_leaves(state, [np.ones(4), np.ones(5)])


@pytest.mark.parametrize(
  "meta",
  [
    "null", "[]", "7", "{}", '{"fingerprint": "inputs"}', "[" * 5000,
    '{"fingerprint": "inputs", "done": "7", "table_bytes": 9}',
    '{"fingerprint": "inputs", "done": -7, "table_bytes": 9}',
    '{"done": 7, "table_bytes": 9, "written": "masks"}',
    '{"done": 7, "table_bytes": 9, "written": [5]}',
  ],
)  # fmt: skip
def test_damaged_fields_are_refused(path, meta):
  np.savez(path, meta=np.array(meta))
  file = resume.SnapshotFile(path, "inputs")
  assert file.load() is None
  with pytest.raises(ValueError, match="resume.npz is damaged, so it is unkno"):
    file.read_written(unlisted=())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_damaged(path, make):
  path.unlink()
  make(path)
  file = resume.SnapshotFile(path, "inputs")
  assert file.load() is None
  with pytest.raises(ValueError, match="resume.npz is damaged"):
    file.read_written(unlisted=())
