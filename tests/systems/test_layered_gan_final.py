"""The last phase of layered_gan: a fresh segmenter, also in a resumed run."""

import shutil

import jax
import numpy as np
import pytest

from configs import layered_gan
from foregan_jax import items, stepper, systems, train
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import platform, restore

_START, _END = 2, 4  # steps: of the last phase, and of the run
_FAR, _NEAR = 0.1, 1e-3  # learning rates: in the rounds, in the last phase

# Each phase of a real run is compiled.
pytestmark = pytest.mark.slow


def _config():
  config = layered_gan.get_config("smoke")
  config.num_steps, config.checkpoint_every = _END, _START
  config.eval_every = config.sample_every = 0
  config.eval.write_pictures = False
  config.turn.final_start = _START
  config.optim.segmenter.learning_rate = _FAR
  config.optim.final_segmenter.learning_rate = _NEAR
  return config


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("uninterrupted")
  train.train_and_evaluate(_config(), workdir)
  return workdir


@pytest.fixture(scope="module")
def initial():
  """The system, and the first state of the run."""
  config = _config()
  system = systems.build(config)
  tx = stepper.make_optimizers(config, system)
  place = mesh_lib.replicated(mesh_lib.make_mesh())
  key, _ = jax.random.split(platform.key(config.seed))
  return system, stepper.make_init(config, system, tx, place)(key)


def _load(workdir, step, initial):
  trees = items.split(*initial)
  return restore.load_items(workdir / "checkpoints", step, trees)


def _distance(tree, other):
  """Return the largest difference of two trees."""
  gaps = jax.tree.map(lambda x, y: np.abs(x - y).max(), tree, other)
  return max(jax.tree.leaves(gaps))


def test_final_segmenter_starts_from_the_initial_weights(
  uninterrupted, initial
):
  segmenter = lambda step: _load(uninterrupted, step, initial)["segmenter"]
  before, after = segmenter(_START), segmenter(_END)
  first = initial[1].params["seg"]
  # An update of Adam changes a weight by the learning rate, almost.
  updates = _END - _START
  assert _distance(before["params"]["seg"], first) > _FAR / 2
  assert _distance(after["params"]["seg"], first) < 1.5 * updates * _NEAR
  count = lambda tree, name: int(
    next(x for x in jax.tree.leaves(tree["opt"][name]) if x.dtype == np.int32)
  )
  assert count(before, "final_segmenter") == 0
  assert count(after, "final_segmenter") == updates
  assert count(after, "segmenter") == count(before, "segmenter") == 1


def test_run_resumes_bitwise_where_the_last_phase_starts(
  uninterrupted, initial, tmp_path
):
  workdir = tmp_path / "resumed"
  shutil.copytree(uninterrupted, workdir)
  shutil.rmtree(workdir / "checkpoints" / str(_END))
  train.train_and_evaluate(_config(), workdir)
  straight, resumed = (
    _load(w, _END, initial) for w in (uninterrupted, workdir)
  )
  for (path, a), (_, b) in zip(
    jax.tree_util.tree_leaves_with_path(straight),
    jax.tree_util.tree_leaves_with_path(resumed),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))
  # Running statistics are part of it.
  assert set(resumed["segmenter"]) >= {"params", "variables", "opt"}
