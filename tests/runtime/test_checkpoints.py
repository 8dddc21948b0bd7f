"""Checkpoints: whole or absent, item by item, on other numbers of devices."""

import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils import epath

from foregan_jax.runtime import checkpoints, restore
from foregan_jax.runtime import mesh as mesh_lib

CONFIG = {"size": [4, 8], "name": "test"}


def _tree(value, width=4, net="conv"):
  params = {net: {"kernel": jnp.full((8, width), value, jnp.float32)}}
  optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
  return {"params": params, "opt": optimizer.init(params)}


def _open(directory, **kwargs):
  kwargs = {"keep": 2, "best": "J", **kwargs}
  return checkpoints.Checkpoints(directory, ("gan", "segmenter"), **kwargs)


def _save(store, step, value=None, metrics=None):
  value = step if value is None else value
  trees = {"gan": _tree(value), "segmenter": _tree(-value)}
  store.save(step, trees, {"next_index": 10 * step}, CONFIG, metrics)


def _equal(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  return all(
    np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  directory = tmp_path_factory.mktemp("run") / "checkpoints"
  with _open(directory) as store:
    _save(store, 3, metrics={"J": 0.5})
  return directory


def test_restores_everything_it_saved(saved):
  target = jax.eval_shape(lambda: _tree(0))
  trees = restore.load_items(saved, 3, {"gan": target, "segmenter": target})
  data, config = (restore.load_json(saved, 3, k) for k in ("data", "config"))
  assert _equal(trees["gan"], _tree(3))
  assert _equal(trees["segmenter"], _tree(-3))
  assert data == {"next_index": 30}
  assert config == CONFIG


def test_reads_one_item_alone(saved):
  trees = restore.load_items(saved, 3, {"segmenter": _tree(0)})
  assert list(trees) == ["segmenter"]
  assert _equal(trees["segmenter"], _tree(-3))


def test_reads_params_without_optimizer_state(saved):
  target = {"params": _tree(0)["params"]}
  trees = restore.load_items(saved, 3, {"gan": target}, ignore=("opt",))
  assert _equal(trees["gan"], {"params": _tree(3)["params"]})


def test_surplus_is_refused_unless_named(saved):
  target = {"params": _tree(0)["params"]}
  with pytest.raises(ValueError, match=r"\+ opt/1/0/count \(\) int32"):
    restore.load_items(saved, 3, {"gan": target})


def test_mismatch_lists_every_leaf(saved):
  target = _tree(0, width=5)
  target["params"]["head"] = {"bias": jnp.zeros(2)}
  with pytest.raises(ValueError) as error:
    restore.load_items(saved, 3, {"gan": target})
  text = str(error.value)
  assert "- params/head/bias (2,) float32" in text
  assert "~ params/conv/kernel (8, 4) float32, wanted (8, 5) float32" in text
  assert "item 'gan'" in text


def test_renamed_net_is_missing_and_surplus(saved):
  with pytest.raises(ValueError) as error:
    restore.load_items(saved, 3, {"gan": _tree(0, net="dense")})
  assert "- params/dense/kernel" in str(error.value)
  assert "+ params/conv/kernel" in str(error.value)


def test_other_dtype_is_refused(saved):
  target = jax.tree.map(lambda x: x.astype(jnp.bfloat16), _tree(0))
  with pytest.raises(ValueError, match="float32, wanted .* bfloat16"):
    restore.load_items(saved, 3, {"gan": target})


def test_missing_step_and_item_are_named(saved):
  with pytest.raises(ValueError, match="no checkpoint of step 4 .*are 3"):
    restore.load_items(saved, 4, {"gan": _tree(0)})
  with pytest.raises(ValueError, match="no item 'critic'.*gan.*segmenter"):
    restore.load_items(saved, 3, {"critic": _tree(0)})


def test_keeps_latest_and_best(tmp_path):
  with _open(tmp_path, async_=False) as store:
    for step, score in enumerate([0.1, 0.9, 0.3, float("nan"), 0.2]):
      _save(store, step, metrics={"J": score})
    assert store.all_steps() == [1, 3, 4]
    assert store.best_step() == 1
    assert store.latest_step() == 4
  assert restore.pick_steps(tmp_path, "all", best="J") == [1, 3, 4]
  assert restore.pick_steps(tmp_path, "best", best="J") == [1]
  assert restore.pick_steps(tmp_path, "latest", best=None) == [4]
  assert restore.pick_steps(tmp_path, "best", best=None) == [4]
  assert restore.pick_steps(tmp_path, "3", best="J") == [3]
  with pytest.raises(ValueError, match="no checkpoint of step 2"):
    restore.pick_steps(tmp_path, "2", best="J")
  with pytest.raises(ValueError, match="must be all, best, latest or"):
    restore.pick_steps(tmp_path, "newest", best="J")


def test_killed_deletion_leaves_no_half_of_a_step(tmp_path, monkeypatch):
  """Whatever is killed while it deletes files, they are no step's any more."""
  seen = []
  kind = type(epath.Path(tmp_path))
  rmtree = kind.rmtree

  def record(path, *args, **kwargs):
    seen.append((path.name, [p.name for p in path.iterdir()]))
    rmtree(path, *args, **kwargs)

  monkeypatch.setattr(kind, "rmtree", record)
  with _open(tmp_path, keep=1, best=None) as store:
    for step in (1, 2, 3):
      _save(store, step)
  assert seen == [("deleted", ["1"]), ("deleted", ["2"])]
  assert [p.name for p in tmp_path.iterdir()] == ["3"]
  # What a killed process left there is deleted by the next one.
  (tmp_path / "3").rename(tmp_path / "4")
  (tmp_path / "deleted/3").mkdir(parents=True)
  with _open(tmp_path, keep=1, best=None) as store:
    assert store.all_steps() == [4]
  assert [p.name for p in tmp_path.iterdir()] == ["4"]


def test_checkpoint_without_metrics_is_kept_as_latest_only(tmp_path):
  with _open(tmp_path, keep=1, async_=False) as store:
    _save(store, 1, metrics={"J": 0.5})
    _save(store, 2)
    _save(store, 3)
    assert store.all_steps() == [1, 3]
    assert store.best_step() == 1


def test_lowest_metric_can_be_the_best(tmp_path):
  best = {"best": "fid", "higher_is_better": False}
  with _open(tmp_path, async_=False, keep=1, **best) as store:
    for step, score in enumerate([9.0, 3.0, 5.0]):
      _save(store, step, metrics={"fid": score})
    assert store.all_steps() == [1, 2]
    assert store.best_step() == 1
  assert restore.pick_steps(tmp_path, "best", **best) == [1]


def test_no_best_without_metrics(tmp_path):
  with _open(tmp_path, async_=False) as store:
    _save(store, 1)
    assert store.best_step() is None
  with pytest.raises(ValueError, match="has the metric 'J'"):
    restore.pick_steps(tmp_path, "best", best="J")


def test_no_checkpoint_at_all_is_a_sentence(tmp_path):
  with pytest.raises(ValueError, match="there is no checkpoint in"):
    restore.pick_steps(tmp_path / "absent", "all", best="J")
  assert not (tmp_path / "absent").exists()


def test_save_refuses_what_orbax_would_drop(saved):
  with _open(saved) as store:
    with pytest.raises(ValueError, match="cannot save step 3"):
      _save(store, 3)
    with pytest.raises(ValueError, match="must be gan, segmenter"):
      store.save(9, {"gan": _tree(0)}, {}, {}, None)
    with pytest.raises(ValueError, match="metrics lack 'J'"):
      _save(store, 9, metrics={"F": 1.0})


def test_relative_directory(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with _open("runs/checkpoints") as store:
    _save(store, 1)
  assert (tmp_path / "runs/checkpoints/1/gan").is_dir()
  trees = restore.load_items("runs/checkpoints", 1, {"gan": _tree(0)})
  assert _equal(trees["gan"], _tree(1))


def test_donation_right_after_save_is_safe(tmp_path):
  tree = _tree(7)
  with _open(tmp_path) as store:
    store.save(1, {"gan": tree, "segmenter": tree}, {}, {})
    jax.jit(lambda t: jax.tree.map(lambda x: x + 1, t), donate_argnums=0)(tree)
  target = jax.eval_shape(lambda: _tree(0))
  trees = restore.load_items(tmp_path, 1, {"gan": target})
  assert _equal(trees["gan"], _tree(7))


@pytest.mark.parametrize("before, after", [(4, 1), (1, 4)])
def test_resharding(tmp_path, before, after):
  def place(count):
    mesh = mesh_lib.make_mesh(jax.devices()[:count])
    rows, whole = mesh_lib.sharded(mesh), mesh_lib.replicated(mesh)
    put = lambda x: jax.device_put(x, rows if x.ndim == 2 else whole)
    return jax.tree.map(put, _tree(5))

  with _open(tmp_path) as store:
    store.save(1, {"gan": place(before), "segmenter": place(before)}, {}, {})
  target = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    place(after),
  )
  tree = restore.load_items(tmp_path, 1, {"gan": target})["gan"]
  assert _equal(tree, _tree(5))
  kernel = tree["params"]["conv"]["kernel"]
  assert kernel.sharding == target["params"]["conv"]["kernel"].sharding
  assert len(kernel.sharding.device_set) == after


def test_target_without_sharding_comes_back_replicated(saved):
  target = jax.eval_shape(lambda: _tree(0))
  tree = restore.load_items(saved, 3, {"gan": target})["gan"]
  kernel = tree["params"]["conv"]["kernel"]
  assert kernel.sharding.is_fully_replicated
  assert len(kernel.sharding.device_set) == jax.device_count()


def test_leftover_of_a_killed_save_is_ignored(tmp_path):
  with _open(tmp_path, async_=False) as store:
    _save(store, 1)
  leftover = tmp_path / "2.orbax-checkpoint-tmp"
  (leftover / "gan").mkdir(parents=True)
  (leftover / "gan" / "_METADATA").write_text("{")
  assert restore.pick_steps(tmp_path, "all", best=None) == [1]
  with _open(tmp_path, async_=False) as store:
    assert store.latest_step() == 1
    _save(store, 2, value=8)
    assert store.all_steps() == [1, 2]
  trees = restore.load_items(tmp_path, 2, {"gan": _tree(0)})
  assert _equal(trees["gan"], _tree(8))


_KILLED = """
import os, signal, sys
import jax.numpy as jnp
from foregan_jax.runtime import checkpoints

store = checkpoints.Checkpoints(sys.argv[1], ("gan",), keep=2, best=None)
store.save(1, {"gan": {"x": jnp.ones(4)}}, {}, {})
store.wait()
store.save(2, {"gan": {"x": jnp.ones(10_000_000)}}, {}, {})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_during_a_save_leaves_the_step_before(tmp_path):
  done = subprocess.run(
    [sys.executable, "-c", _KILLED, str(tmp_path)],
    cwd=os.getcwd(),
    capture_output=True,
  )
  assert done.returncode == -signal.SIGKILL, done.stderr.decode()
  assert restore.pick_steps(tmp_path, "latest", best=None) == [1]
  target = {"gan": {"x": jnp.zeros(4)}}
  tree = restore.load_items(tmp_path, 1, target)["gan"]
  assert _equal(tree, {"x": jnp.ones(4)})
