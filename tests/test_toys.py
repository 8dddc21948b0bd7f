"""The contract with memory, running statistics and frozen nets."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import layered_gan
from foregan_jax import game, items, runs, stepper, systems, warm_start
from foregan_jax.runtime import base_config, checkpoints, restore, settings
from tests import toys

_ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def toy(tmp_path):
  return toys.Toy(toys.save(tmp_path / "frozen.npz"))


def _assert_equal(a, b, **tolerance):
  def check(path, x, y):
    name = jax.tree_util.keystr(path)
    np.testing.assert_allclose(x, y, err_msg=name, **tolerance)

  jax.tree_util.tree_map_with_path(check, a, b)


def test_memory_is_updated_and_read(toy):
  loop = toys.Loop(toy, jax.devices()[:1])
  state, metrics = loop.run(loop.init(), range(1))
  memory = jax.device_get(state.memory["discriminator"])
  assert memory["count"] == toys.BATCH
  assert (memory["images"][: toys.BATCH] != 0).any((1, 2, 3)).all()
  assert (memory["images"][toys.BATCH :] == 0).all()
  assert metrics["discriminator/pooled"] == 0
  pooled = []
  for step in range(1, 8):
    state, metrics = loop.run(state, [step])
    pooled.append(float(metrics["discriminator/pooled"]))
  assert max(pooled) > 0  # the loss has read the pool


def test_resume_with_memory_is_bitwise(toy, tmp_path):
  loop = toys.Loop(toy, jax.devices()[:1])
  straight, _ = loop.run(loop.init(), range(6))
  state, _ = loop.run(loop.init(), range(3))
  with checkpoints.Checkpoints(
    tmp_path / "checkpoints", ("gan",), keep=1, best=None
  ) as saver:
    saver.save(3, items.split(toy, state), {}, {})
  fresh = loop.init()
  targets = items.split(toy, fresh)
  trees = restore.load_items(tmp_path / "checkpoints", 3, targets)
  assert set(trees["gan"]) == {
    "step", "params", "variables", "opt", "ema", "memory",
  }  # fmt: skip
  resumed, _ = loop.run(items.join(fresh, trees), range(3, 6))
  _assert_equal(resumed, straight, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_restart_changes_only_what_its_player_owns(toy, name):
  loop = toys.Loop(toy, jax.devices()[:1])
  initial = loop.init()
  state, _ = loop.run(loop.init(), range(2))
  again = stepper.restart(toy, (name,), state, initial)
  for player, net in (("generator", "g"), ("discriminator", "d")):
    source = initial if player == name else state
    for part, key in (
      ("params", net), ("variables", net), ("ema", net), ("opt", player),
      ("memory", player),
    ):  # fmt: skip
      now, expected = (getattr(s, part).get(key) for s in (again, source))
      _assert_equal(now, expected, rtol=0, atol=0)
  assert again.step == state.step
  _assert_equal(again.frozen, state.frozen, rtol=0, atol=0)


def test_one_device_and_four_agree(toy):
  one, four = (toys.Loop(toy, jax.devices()[:n]) for n in (1, 4))
  a, _ = one.run(one.init(), range(4))
  b, _ = four.run(four.init(), range(4))
  _assert_equal(jax.device_get(a), jax.device_get(b), rtol=1e-5, atol=1e-6)


_PROCESS = """
import sys, pathlib
import numpy as np
import jax
from foregan_jax.runtime import distributed
distributed.initialize(
  coordinator=sys.argv[1], num_processes=2, process_id=int(sys.argv[2])
)
from tests import toys
loop = toys.Loop(toys.Toy(pathlib.Path(sys.argv[3])), jax.devices())
state, _ = loop.run(loop.init(), range(4))
if jax.process_index() == 0:
  leaves = [np.asarray(x.addressable_data(0)) for x in jax.tree.leaves(state)]
  np.savez(sys.argv[4], *leaves)
jax.distributed.shutdown()
"""


def test_two_processes_agree_with_one(toy, tmp_path):
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{s.getsockname()[1]}"
  env = os.environ | {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "PYTHONPATH": str(_ROOT),
  }
  out = tmp_path / "state.npz"
  processes = [
    subprocess.Popen(
      [sys.executable, "-c", _PROCESS, address, str(i), toy.weights, out],
      env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    for i in range(2)
  ]  # fmt: skip
  logs = [p.communicate(timeout=300)[0] for p in processes]
  assert [p.returncode for p in processes] == [0, 0], "\n".join(logs)
  loop = toys.Loop(toy, jax.devices()[:1])
  state, _ = loop.run(loop.init(), range(4))
  with np.load(out) as arrays:
    leaves = [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
  for a, b in zip(jax.tree.leaves(state), leaves, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_frozen_net_is_used_but_never_changed_or_saved(toy):
  loop = toys.Loop(toy, jax.devices()[:1])
  state = loop.init()
  assert "f" not in state.params and "f" not in state.opt
  after, metrics = loop.run(loop.init(), range(2))
  _assert_equal(after.frozen, state.frozen, rtol=0, atol=0)
  assert all(
    "f" not in tree["params"] for tree in items.split(toy, after).values()
  )
  doubled = jax.tree.map(lambda x: 2 * x, loop.init().frozen)
  _, other = loop.run(loop.init().replace(frozen=doubled), range(2))
  assert other["generator/distance"] != metrics["generator/distance"]


def test_changed_frozen_weights_are_refused(toy, tmp_path):
  first = runs.load_frozen(toy, tmp_path)
  again = runs.load_frozen(toy, tmp_path)
  _assert_equal(first, again, rtol=0, atol=0)
  toys.save(toy.weights, seed=1)
  with pytest.raises(ValueError, match="frozen net f of .*frozen.npz has the"):
    runs.load_frozen(toy, tmp_path)


def test_restored_run_predicts_with_running_statistics(
  toy, tmp_path, monkeypatch
):
  monkeypatch.setitem(systems.SYSTEMS, "toy", lambda config: toy)
  config = base_config.base()
  config.system, config.ema_decay, config.ema_nets = "toy", 0.5, ("g",)
  runs.claim(tmp_path, config)
  loop = toys.Loop(toy, jax.devices()[:1])
  state, _ = loop.run(loop.init(), range(3))
  runs.load_frozen(toy, tmp_path)
  with checkpoints.Checkpoints(
    tmp_path / "checkpoints", ("gan",), keep=1, best=None
  ) as saver:
    saver.save(3, items.split(toy, state), {}, settings.to_json(config))
  nets = runs.Run(tmp_path).nets(3)
  expected = game.evaluation_nets(state)
  _assert_equal(nets, expected, rtol=0, atol=0)
  assert set(nets.params) == {"g", "d", "f"}
  batch = toys.batch(9)
  got = toy.predict(nets, batch)["image"]
  _assert_equal(got, toy.predict(expected, batch)["image"], rtol=0, atol=0)
  # Statistics of the first step, or current params instead of averaged ones,
  # would give another result.
  _, fresh = jax.jit(toy.init)(jax.random.key(0))
  stale = nets.replace(variables={**nets.variables, "g": fresh["g"]})
  assert jnp.abs(toy.predict(stale, batch)["image"] - got).max() > 1e-3
  current = game.current_nets(state)
  assert jnp.abs(toy.predict(current, batch)["image"] - got).max() > 1e-6


def test_init_from_takes_running_statistics(toy, tmp_path):
  loop = toys.Loop(toy, jax.devices()[:1])
  state, _ = loop.run(loop.init(), range(3))
  with checkpoints.Checkpoints(
    tmp_path / "checkpoints", ("gan",), keep=1, best=None
  ) as saver:
    saver.save(3, items.split(toy, state), {}, {})
  c = base_config.base().init_from
  c.workdir, c.checkpoint_items, c.step = str(tmp_path), ("gan",), "latest"
  started = warm_start.start_from(c, toy, loop.init())
  _assert_equal(started.params, state.params, rtol=0, atol=0)
  _assert_equal(started.variables, state.variables, rtol=0, atol=0)
  assert started.step == 0
  # One net alone; the other keeps its initial weights.
  c.nets = ("g",)
  fresh = loop.init()
  started = warm_start.start_from(c, toy, fresh)
  _assert_equal(started.params["g"], state.params["g"], rtol=0, atol=0)
  for net in set(state.params) - {"g"}:
    _assert_equal(started.params[net], fresh.params[net], rtol=0, atol=0)
  c.nets = ("g", "gb")
  with pytest.raises(
    ValueError, match=r"nets names \['gb'\]; the items gan have"
  ):
    warm_start.start_from(c, toy, fresh)


def test_config_of_another_version_is_refused(tmp_path):
  path = tmp_path / settings.FILE
  config = settings.to_json(base_config.base())
  del config["data"]["samples"]
  config["data"]["still"] = 96
  path.write_text(json.dumps(config))
  with pytest.raises(
    ValueError,
    match="another version.*missing keys: data.samples;.*unknown.* data.still",
  ):
    runs.Run(tmp_path)


def test_key_of_the_method_that_a_config_lacks_is_named(tmp_path):
  config = settings.to_json(layered_gan.get_config("smoke"))
  del config["nets"]["seg_kind"]
  (tmp_path / settings.FILE).write_text(json.dumps(config))
  with pytest.raises(
    ValueError, match="config.json is .* another version .*lacks keys.*seg_kind"
  ):
    _ = runs.Run(tmp_path).system
