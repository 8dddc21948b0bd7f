"""A point that is saved is loaded: every dtype, every shape, or nothing."""

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
  point = resume.Point(7, 99, {4: "f4.png: broken", 2: "é"}, list(_LEAVES))
  resume.File(path, "inputs").save(point)
  return path


def test_round_trip(path):
  point = resume.File(path, "inputs").load()
  assert (point.done, point.table_bytes) == (7, 99)
  assert point.lost == {4: "f4.png: broken", 2: "é"}
  for found, wanted in zip(point.leaves, _LEAVES, strict=True):
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
  assert os.listdir(path.parent) == [path.name]


def test_other_inputs_and_broken_files_are_no_point(path):
  assert resume.File(path, "other").load() is None
  content = path.read_bytes()
  for broken in (b"", b"junk", content[:50], content[:-30]):
    path.write_bytes(broken)
    assert resume.File(path, "inputs").load() is None
  np.savez(path, leaf_0=np.zeros(3))
  assert resume.File(path, "inputs").load() is None
  path.unlink()
  assert resume.File(path, "inputs").load() is None


def test_leaves_find_their_places():
  state = {"b": jnp.zeros(2), "a": (np.zeros(3), np.ones(1))}
  filled = resume.fill(state, [np.ones(4), np.ones(5), np.ones(6)])
  assert [x.size for x in filled["a"]] == [4, 5]
  assert filled["b"].shape == (6,) and isinstance(filled["b"], jnp.ndarray)
  with pytest.raises(ValueError, match="2 arrays, the tracker's 3"):
    resume.fill(state, [np.ones(4), np.ones(5)])
