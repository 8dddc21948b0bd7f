"""The training loop: bitwise resume, init_from, results, bad input."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import animation, davis
from foregan_jax import game, items, runs, stepper, systems, train
from foregan_jax.runtime import pending, platform, restore

_ROOT = pathlib.Path(__file__).resolve().parents[1]


# The whole game, whose programs the run of `smoke_run` has compiled.
_WHOLE = "full"
_SMALLER = "gan_segmenter"
# A system with frozen nets, and running statistics beside the parameters.
_ANIMATION = "animation"
_UPDATE = ("update", "jit(update)")  # JAX's names for a turn


def _config(variant=_WHOLE, **changes):
  if variant == _ANIMATION:
    config = animation.get_config("smoke")
    # One turn with three players compiles in a third of the time.
    config.background, config.starts.refiner = False, 0
  else:
    config = davis.get_config(f"smoke,variant={variant}")
  config.checkpoint_every = 3
  config.eval_every = config.sample_every = 0
  config.eval.write_pictures = False
  config.update_from_flattened_dict(changes)
  return config


def _saved(workdir, step, variant=_WHOLE):
  """Read all items of a checkpoint and the state of the data."""
  config = _config(variant)
  system = systems.build(config)
  averaged = tuple(net for net in config.ema_nets if net in system.nets)
  tx = stepper.make_optimizers(config, system)
  state = jax.eval_shape(
    lambda key: game.init_state(system, tx, key, averaged=averaged),
    platform.key(0),
  )
  folder = workdir / "checkpoints"
  trees = restore.load_items(folder, step, items.split(system, state))
  return trees, restore.load_json(folder, step, "data")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, smoke_run):
  """Return the workdir of six uninterrupted steps, and what JAX compiled.

  The second value lists, per step, the functions that were traced, lowered or
  compiled from the end of the step before on.
  """
  smoke_run("davis")
  workdir = tmp_path_factory.mktemp("uninterrupted")
  compiled, by_step = [], []

  def listen(event, unused_seconds, fun_name="", **unused):
    if event.startswith("/jax/core/compile/"):
      compiled.append((event, fun_name))

  add = pending.PendingMetrics.add

  def add_and_note(self, step, metrics):
    add(self, step, metrics)
    by_step.append(tuple(compiled))
    compiled.clear()

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(pending.PendingMetrics, "add", add_and_note)
      train.train_and_evaluate(_config(num_steps=6), workdir)
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  return workdir, by_step


@pytest.fixture(scope="module")
def uninterrupted(recorded):
  """Return the workdir of six uninterrupted steps on four devices."""
  return recorded[0]


def _assert_same(first, second):
  (one, one_data), (two, two_data) = first, second
  for (path, a), (_, b) in zip(
    jax.tree_util.tree_leaves_with_path(one),
    jax.tree_util.tree_leaves_with_path(two),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))
  assert one_data == two_data == {"next_index": 6}


def test_resume_is_bitwise_also_after_a_damaged_checkpoint(
  uninterrupted, tmp_path, caplog
):
  workdir = tmp_path / "run"
  shutil.copytree(uninterrupted, workdir)
  shutil.rmtree(workdir / "checkpoints" / "6" / "gan")
  train.train_and_evaluate(_config(num_steps=6), workdir)
  assert "using checkpoint 3, the newest whole one" in caplog.text
  assert (workdir / "damaged" / "6" / "segmenter").is_dir()
  _assert_same(_saved(uninterrupted, 6), _saved(workdir, 6))


@pytest.mark.slow
def test_resume_with_frozen_nets_is_bitwise(tmp_path):
  variant, one, two = _ANIMATION, tmp_path / "one", tmp_path / "two"
  train.train_and_evaluate(_config(variant, num_steps=6), one)
  shutil.copytree(one, two)
  shutil.rmtree(two / "checkpoints" / "6")
  train.train_and_evaluate(_config(variant, num_steps=6), two)
  _assert_same(_saved(one, 6, variant), _saved(two, 6, variant))


@pytest.mark.slow
def test_last_checkpoint_is_whole_if_samples_cannot_be_written(
  uninterrupted, tmp_path
):
  workdir = tmp_path / "run"
  shutil.copytree(uninterrupted, workdir)
  for path in (workdir / "checkpoints" / "6", workdir / "samples"):
    shutil.rmtree(path)
  (workdir / "samples").write_text("a file")
  with pytest.raises(FileExistsError):
    train.train_and_evaluate(_config(num_steps=6), workdir)
  # Immediately, because a process that fails would end now.
  assert (workdir / "checkpoints" / "6").is_dir()
  _assert_same(_saved(uninterrupted, 6), _saved(workdir, 6))


def test_each_turn_is_compiled_once(recorded):
  _, by_step = recorded
  assert len(by_step) == 6
  config = _config(num_steps=6)
  system = systems.build(config)
  turns = [system.turn(step) for step in range(6)]
  for step, events in enumerate(by_step):
    new = turns[step] not in turns[:step]
    updates = [event for event, name in events if name in _UPDATE]
    # Traced, lowered, compiled.
    assert len(updates) == len(set(updates)) == 3 * new, (step, updates)
  # The first checkpoint, before the fourth step, has programs of its own.
  assert len(set(turns)) < 4 and not any(by_step[4:])


def test_run_writes_all_files_of_the_readme(uninterrupted):
  assert (
    json.loads((uninterrupted / "config.json").read_text())["batch_size"] == 4
  )
  lines = [
    json.loads(x)
    for x in (uninterrupted / "metrics.jsonl").read_text().splitlines()
  ]
  assert [x["step"] for x in lines if "critic/loss" in x] == [1, 2, 3, 4, 5, 6]
  assert any("eval/generator/J_mean" in x for x in lines)
  place = uninterrupted / "eval" / "fake-val" / "step-6"
  assert (place / "generator" / "global_results-val.csv").is_file()
  assert set(json.loads((place / "scores.json").read_text())) >= {
    "repeat_first", "flow_warp", "flow_splat", "generator", "segmenter",
  }  # fmt: skip
  assert list((uninterrupted / "samples").glob("step_000006_*.png"))
  assert (uninterrupted / "checkpoints" / "6" / "metrics").is_dir()


def test_workdir_of_another_config_is_refused(uninterrupted):
  before = (uninterrupted / "config.json").read_text()
  with pytest.raises(ValueError, match="gf.mask_slope: 10.0 -> 3.0"):
    train.train_and_evaluate(
      _config(num_steps=6, **{"gf.mask_slope": 3.0}), uninterrupted
    )
  assert (uninterrupted / "config.json").read_text() == before


def test_length_of_a_cosine_cannot_be_changed(uninterrupted, tmp_path):
  config = _config(num_steps=6)
  config.optim.critic.decay = "cosine"
  workdir = tmp_path / "w"
  shutil.copytree(uninterrupted / "checkpoints", workdir / "checkpoints")
  runs.claim(workdir, config)
  runs.check(workdir, config)
  config.num_steps = 9
  with pytest.raises(
    ValueError,
    match="num_steps 6, now it is 9, but the learning rate of critic decays",
  ):
    runs.check(workdir, config)
  # A length of its own does not end with the run.
  config.optim.critic.decay_steps = 5
  runs.claim(workdir, config)
  config.num_steps = 12
  runs.check(workdir, config)


def test_batch_size_must_be_a_multiple_of_the_devices(tmp_path):
  with pytest.raises(ValueError, match="multiple of the number of devices, 4"):
    train.train_and_evaluate(_config(batch_size=6), tmp_path / "w")
  assert not (tmp_path / "w").exists()


def test_init_from_loads_one_item_of_another_run(uninterrupted, tmp_path):
  config = _config(_SMALLER, num_steps=1)
  config.init_from.workdir = str(uninterrupted)
  config.init_from.checkpoint_items = ("segmenter",)
  config.init_from.step = "6"
  config.turn.segmenter_start = 9
  train.train_and_evaluate(config, tmp_path)
  one, _ = _saved(uninterrupted, 6)
  two, _ = _saved(tmp_path, 1, _SMALLER)
  same = lambda item: jax.tree.all(
    jax.tree.map(jnp.array_equal, one[item]["params"], two[item]["params"])
  )
  assert same("segmenter") and not same("gan")


class _Recorder:
  """A writer and progress bar that records scalars."""

  items_per_second = 1.0

  def __init__(self):
    self.lines = []

  def write_scalars(self, step, scalars):
    self.lines.append((step, scalars))

  def update(self, step, scalars=None):
    pass


def test_error_names_the_metric_that_is_not_finite():
  held = pending.PendingMetrics(_Recorder(), _Recorder(), every=1)
  held.add(4, {"generator/rec": jnp.float32(1.0)})
  held.add(
    5,
    {"generator/rec": jnp.float32("nan"), "generator/loss": jnp.float32("nan")},
  )
  with pytest.raises(pending.NonFiniteError, match="step 5: 'rec' of player"):
    held.flush()


def test_scalars_are_means_since_the_last_line():
  recorder = _Recorder()
  held = pending.PendingMetrics(recorder, recorder, every=2)
  for step, value in enumerate((1.0, 3.0, 5.0, 9.0), start=1):
    held.add(step, {"critic/loss": jnp.float32(value)})
  held.flush()
  assert [(s, x["critic/loss"]) for s, x in recorder.lines] == [
    (2, 2.0),
    (4, 7.0),
  ]
