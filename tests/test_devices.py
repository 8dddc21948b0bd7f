"""One device, four devices, and two processes give the same result."""

import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

from configs import animation, davis
from foregan_jax import game, items, runs, stepper, systems, train
from foregan_jax.data import fake
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import platform, restore

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# The last biases of Wasserstein critics cancel: their gradient is rounding.
_CANCELS = (
  "df['head_fg']['bias']", "df['head_mask']['bias']", "db['head_fg']['bias']",
)  # fmt: skip
# The mean score of a critic depends on its last bias.
_LEVELS = ("generator/fg", "generator/mask", "generator/bg")
_RATE = 1e-3
_CHANGES = {
  "num_steps": 3,
  "checkpoint_every": 0,
  "eval_every": 0,
  "sample_every": 0,
  "eval.write_pictures": False,
}


# The smaller game has the same communication between devices and processes.
_SMALLER = "smoke,variant=gan_segmenter"
# Its batch norms take their statistics of all devices.
_ANIMATION = "animation"


def _config(arg=_SMALLER):
  if arg == _ANIMATION:
    config = animation.get_config("smoke")
    config.background = False  # compiles in half of the time
  else:
    config = davis.get_config(arg)
  config.update_from_flattened_dict(_CHANGES)
  return config


def _weights(workdir):
  """Read the parameters and the input pipeline's state after three steps."""
  config = _config()
  system = systems.build(config)
  tx = stepper.make_optimizers(config, system)
  state = jax.eval_shape(
    lambda key: game.init_state(system, tx, key), platform.key(0)
  )
  wanted = {
    item: {"params": tree["params"]}
    for item, tree in items.split(system, state).items()
  }
  folder = workdir / "checkpoints"
  trees = restore.load_items(folder, 3, wanted, ignore=("step", "opt", "ema"))
  params = {k: v for tree in trees.values() for k, v in tree["params"].items()}
  return params, restore.load_json(folder, 3, "data")


def _start(config, system, tx, mesh):
  """Return the first state and the run's key, as in `train`."""
  replicated = mesh_lib.replicated(mesh)
  init_key, step_key = jax.random.split(platform.key(config.seed))
  state = stepper.make_init(config, system, tx, replicated)(init_key)
  frozen = mesh_lib.replicate(mesh, runs.load_frozen(system, None))
  return state.replace(frozen=frozen), mesh_lib.replicate(mesh, step_key)


def _three_steps(devices, arg):
  config = _config(arg)
  system = systems.build(config)
  # Not Adam: its first steps divide a gradient by its own size, which turns
  # the rounding of tiny gradients into full steps.
  tx = {p.name: optax.sgd(_RATE) for p in system.players}
  mesh = mesh_lib.make_mesh(devices)
  state, key = _start(config, system, tx, mesh)
  start = jax.device_get(state.params)
  source = fake.Fake(system.batch_spec(1), seed=0)
  step = stepper.Stepper(system, tx, mesh, ema_decay=0.0)
  turn = tuple(p.name for p in system.players)
  numbers = []
  for i in range(3):
    rows = [source[i + j] for j in range(config.batch_size)]
    local = jax.tree.map(lambda *x: np.stack(x), *rows)
    batch = mesh_lib.to_global(mesh, local)
    if not i:
      step.compile(turn, state, batch, key)
    state, metrics = step(turn, state, batch, key)
    numbers.append(jax.device_get(metrics))
  return start, jax.device_get(state.params), numbers


def _assert_agree(a, b, start, tolerance):
  """Compare nets relative to the distance that training has moved them.

  Parameters are stored in float32: their own rounding is added to the bound.
  """
  norm = lambda arrays: np.sqrt(sum((x**2).sum() for x in arrays.values()))
  minus = lambda x, y: {name: x[name] - y[name] for name in x}
  for net in start:
    one, other, first = (_leaves(net, tree[net]) for tree in (a, b, start))
    moved, gap = norm(minus(one, first)), norm(minus(one, other))
    rounding = np.finfo(np.float32).eps * norm(first)
    assert moved > 10 * rounding, (net, moved, rounding)
    assert gap < tolerance * moved + rounding, (net, gap, moved, rounding)


def _leaves(net, tree):
  paths = jax.tree_util.tree_leaves_with_path(tree)
  named = {net + jax.tree_util.keystr(path): x for path, x in paths}
  return {
    name: np.asarray(x) for name, x in named.items() if name not in _CANCELS
  }


@pytest.mark.parametrize("arg", [_SMALLER, _ANIMATION])
@pytest.mark.slow
def test_one_device_and_four_agree(arg):
  start, one, one_numbers = _three_steps(jax.devices()[:1], arg)
  _, four, four_numbers = _three_steps(jax.devices()[:4], arg)
  _assert_agree(one, four, start, tolerance=1e-3)
  for a, b in zip(one_numbers, four_numbers, strict=True):
    for name in a.keys() - set(_LEVELS):
      # The loss contains the mean scores.
      rtol = 3e-4 if name == "generator/loss" else 1e-4
      np.testing.assert_allclose(
        a[name], b[name], rtol=rtol, atol=1e-5, err_msg=name
      )


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def _launch(workdir, process_id, port, extra):
  # The last flag wins; instruction set and optimisation level stay.
  flags = os.environ["XLA_FLAGS"]
  env = os.environ | {
    "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2"
  }
  command = [
    sys.executable, "-m", "foregan_jax.main",
    f"--config=configs/davis.py:{_SMALLER}", f"--workdir={workdir}",
    f"--coordinator=127.0.0.1:{port}", "--num_processes=2",
    f"--process_id={process_id}", *extra,
  ]  # fmt: skip
  return subprocess.Popen(
    command, cwd=_ROOT, env=env, stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, text=True,
  )  # fmt: skip


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path):
  """Two processes with two devices each equal one process with four."""
  port = _free_port()
  extra = [
    f"--config.{name}={str(value).lower()}" for name, value in _CHANGES.items()
  ]
  ran = [_launch(tmp_path / "two", i, port, extra) for i in range(2)]
  said = [p.communicate(timeout=500)[0] for p in ran]
  assert [p.returncode for p in ran] == [0, 0], "\n".join(said)
  train.train_and_evaluate(_config(), tmp_path / "one")
  one, one_data = _weights(tmp_path / "one")
  two, two_data = _weights(tmp_path / "two")
  assert one_data == two_data == {"next_index": 3}
  config = _config()
  system = systems.build(config)
  tx = stepper.make_optimizers(config, system)
  mesh = mesh_lib.make_mesh(jax.devices()[:1])
  start, _ = _start(config, system, tx, mesh)
  # With Adam, see `_three_steps`.
  _assert_agree(one, two, jax.device_get(start.params), tolerance=0.02)
