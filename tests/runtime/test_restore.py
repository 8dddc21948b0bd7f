"""Damaged checkpoints: none loads in silence, and a whole one is found."""

import json
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.runtime import checkpoints, checksums, restore

_TREE = {
  "params": {"conv": {"kernel": jnp.arange(600.0).reshape(30, 20) / 7}},
  "opt": {"mu": jnp.full((30, 20), jnp.inf)},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """Return a folder with the checkpoints 1 and 2."""
  folder = tmp_path_factory.mktemp("run") / "checkpoints"
  with checkpoints.Checkpoints(folder, ("gan",), keep=2, best=None) as store:
    for step in (1, 2):
      store.save(step, {"gan": _TREE}, {"next_index": step}, {"a": 1})
  return folder


@pytest.fixture
def folder(saved, tmp_path):
  """Return a copy that may be damaged."""
  return shutil.copytree(saved, tmp_path / "checkpoints")


def _load(folder, step=2):
  return restore.load_items(folder, step, {"gan": _TREE})["gan"]


def _equal(tree):
  return all(
    np.array_equal(a, b)
    for a, b in (
      (tree["opt"]["mu"], _TREE["opt"]["mu"]),
      (tree["params"]["conv"]["kernel"], _TREE["params"]["conv"]["kernel"]),
    )
  )


def _files(folder):
  found = (folder / "2" / "gan").rglob("*")
  return sorted(p for p in found if p.is_file() and p.stat().st_size)


def test_flipped_byte_is_found_or_harmless(folder):
  rng = np.random.default_rng(0)
  refused = 0
  for path in _files(folder):
    whole = path.read_bytes()
    for place in rng.integers(0, len(whole), 4):
      content = bytearray(whole)
      content[place] ^= 1 << rng.integers(8)
      path.write_bytes(content)
      try:
        assert _equal(_load(folder)), (path, place)
      except checksums.DamagedError as error:
        assert "item 'gan' of checkpoint" in str(error)
        refused += 1
      except ValueError as error:  # the names or shapes have changed
        assert "does not fit" in str(error)
    path.write_bytes(whole)
  assert refused > 4


def test_changed_value_names_the_array(folder):
  path = folder / "2" / "checksums" / "metadata"
  recorded = json.loads(path.read_text())
  recorded["gan"]["params/conv/kernel"] ^= 1
  path.write_text(json.dumps(recorded))
  with pytest.raises(
    checksums.DamagedError,
    match="item 'gan' of checkpoint .*/2 is damaged: params/conv/kernel has",
  ):
    _load(folder)
  # Parts can be read alone.
  part = {"gan": {"opt": _TREE["opt"]}}
  restore.load_items(folder, 2, part, ignore=("params",))


def test_network_that_is_not_finite_is_refused(tmp_path):
  bad = _TREE | {"params": {"w": jnp.array([1.0, jnp.nan])}}
  with checkpoints.Checkpoints(tmp_path, ("gan",), keep=1, best=None) as store:
    store.save(1, {"gan": bad}, {}, {})
  with pytest.raises(ValueError, match="'gan' .* params/w that are not finite"):
    restore.load_items(tmp_path, 1, {"gan": bad})


def test_checkpoint_of_an_earlier_version_is_read(folder):
  shutil.rmtree(folder / "2" / "checksums")
  assert _equal(_load(folder))


@pytest.mark.parametrize("damage", ["delete", "empty", "truncate"])
def test_newest_whole_checkpoint_is_found(folder, damage):
  found = []
  for path in _files(folder):
    whole = path.read_bytes()
    if damage == "delete":
      path.unlink()
    else:
      path.write_bytes(whole[: len(whole) // 2 * (damage == "truncate")])
    step, tree = restore.load_newest(folder, lambda step: _load(folder, step))
    assert _equal(tree)
    found.append(step)
    path.write_bytes(whole)
  assert found.count(1) >= 3  # Orbax also writes files that it does not read


def test_damaged_checkpoints_are_moved_and_kept(folder, tmp_path, caplog):
  shutil.rmtree(folder / "2" / "gan")
  (tmp_path / "damaged" / "2").mkdir(parents=True)
  step, _ = restore.load_newest(folder, lambda step: _load(folder, step))
  restore.set_aside(folder, after=step)
  assert sorted(p.name for p in folder.iterdir()) == ["1"]
  assert (tmp_path / "damaged" / "2-1" / "data").is_dir()
  assert "checkpoint 1, the newest whole one" in caplog.text
  assert "no item 'gan'" in caplog.text


def test_all_damaged_raises_and_moves_nothing(folder):
  for step in (1, 2):
    shutil.rmtree(folder / str(step) / "gan")
  with pytest.raises(checksums.DamagedError, match="/2 has no item 'gan'"):
    restore.load_newest(folder, lambda step: _load(folder, step))
  assert sorted(p.name for p in folder.iterdir()) == ["1", "2"]
  empty = folder / "none"
  assert restore.load_newest(empty, lambda step: _load(folder, step)) is None


@pytest.mark.parametrize(
  "error",
  [
    MemoryError(),
    PermissionError(13, "Permission denied"),
    ValueError("UNAVAILABLE: the bucket does not answer"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
  ],
)
def test_failure_of_the_machine_is_not_damage(folder, monkeypatch, error):
  """A whole checkpoint must not be moved aside because memory is short."""

  def fail(*_, **__):
    raise error

  monkeypatch.setattr(restore.ocp.PyTreeCheckpointer, "restore", fail)
  with pytest.raises(type(error)) as raised:
    restore.load_newest(folder, lambda step: _load(folder, step))
  assert not isinstance(raised.value, checksums.DamagedError)


@pytest.mark.parametrize(
  "content", [b"", b"null", b"[1]", b"7", b"\xff", b"[" * 10_000, b'{"gan": 5}']
)
def test_damaged_json_items_are_damage(folder, content):
  for item in ("data", "checksums"):
    (folder / "2" / item / "metadata").write_bytes(content)
  if not content.startswith(b"{"):
    with pytest.raises(checksums.DamagedError, match="item 'data' of checkpoi"):
      restore.load_json(folder, 2, "data")
  step, tree = restore.load_newest(folder, lambda step: _load(folder, step))
  assert step == 1 and _equal(tree)


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b'{"J": "x"}', None])
def test_damaged_metrics_are_skipped(tmp_path, caplog, content):
  with checkpoints.Checkpoints(tmp_path, ("gan",), keep=2, best="J") as store:
    for step in (1, 2):
      store.save(step, {"gan": _TREE}, {}, {}, {"J": float(step)})
  pick = lambda: restore.pick_steps(tmp_path, "best", best="J")
  assert pick() == [2]
  path = tmp_path / "2" / "metrics" / "metrics"
  path.unlink()
  os.mkfifo(path) if content is None else path.write_bytes(content)
  assert pick() == [1]
  assert "metrics of checkpoint" in caplog.text
