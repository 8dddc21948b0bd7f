"""The Python API, with untrained networks."""

import importlib
import types

import jax
import numpy as np
import pytest

import foregan_jax
from configs import animation, layered_gan
from foregan_jax import game, items, models, runs, stepper, systems
from foregan_jax.runtime import checkpoints, platform, settings
from foregan_jax.runtime import mesh as mesh_lib

SIZE = (50, 70)


@pytest.fixture(scope="module", params=["davis", "rgmp_voc"])
def run(request, tmp_path_factory):
  """The workdir of a run that was saved before its first step."""
  workdir = tmp_path_factory.mktemp(request.param)
  config = importlib.import_module(f"configs.{request.param}").get_config(
    "smoke"
  )
  system = systems.build(config)
  runs.claim(workdir, config)
  place = mesh_lib.replicated(mesh_lib.make_mesh(jax.devices()[:1]))
  tx = stepper.make_optimizers(config, system)
  state = stepper.make_init(config, system, tx, place)(platform.key(0))
  with checkpoints.Checkpoints(
    workdir / "checkpoints", tuple(system.checkpoint_items), keep=1, best=None
  ) as saver:
    trees = items.split(system, state)
    saver.save(1, trees, {}, settings.to_json(config), None)
  return request.param, workdir


def test_run_segments_frames(run):
  name, workdir = run
  model = foregan_jax.load(workdir)
  frames = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), np.uint8)
  labels = np.zeros(SIZE, np.uint8)
  labels[10:30, 20:45] = 1
  masks = model.segment(frames, labels)
  assert masks.shape == (3, *SIZE) and masks.dtype == np.uint8
  np.testing.assert_array_equal(masks[0], labels)
  with pytest.raises(ValueError, match="there are no frames"):
    model.segment([], labels)
  video = model.start(frames[0], labels)
  for i in (1, 2):
    result = video.step(frames[i])
    np.testing.assert_array_equal(result.labels, masks[i])
    assert result.probabilities.shape == (2, *SIZE)
    np.testing.assert_allclose(result.probabilities.sum(0), 1.0, atol=1e-5)
    np.testing.assert_array_equal(result.foreground[..., :3], frames[i])
    if name == "davis":
      assert result.background.shape == (*SIZE, 3)
    else:
      assert result.background is None
  if name == "rgmp_voc":
    video.add(frames[2], 2 * labels)
    assert video.step(frames[2]).probabilities.shape == (3, *SIZE)


def test_unknown_head_and_scales_are_refused(run):
  name, workdir = run
  with pytest.raises(ValueError, match="no such head; its heads are"):
    foregan_jax.load(workdir, head="segmentor")
  if name == "davis":
    with pytest.raises(ValueError, match="segments frames at one size"):
      foregan_jax.load(workdir, scales=(0.5, 1.0))


def test_animation_of_all_frames_equals_that_of_each(tmp_path, monkeypatch):
  config = animation.get_config("smoke")
  system = systems.build(config)
  nets = game.Nets(*jax.jit(system.init)(platform.key(0)))
  (tmp_path / "checkpoints" / "3").mkdir(parents=True)
  run = types.SimpleNamespace(
    config=config, system=system, load=lambda step: (3, nets)
  )
  monkeypatch.setattr(runs, "Run", lambda path: run)
  with pytest.raises(ValueError, match="--side=64.*animates frames at one"):
    models.load(tmp_path, side=64)
  model = models.load(tmp_path)
  assert model.size == 16
  rng = np.random.default_rng(0)
  source, third = rng.integers(0, 256, (2, *SIZE, 3), np.uint8)
  frames = rng.integers(0, 256, (9, 20, 30, 3), np.uint8)
  whole = model.animate(source, iter(frames), background=third, hole="none")
  assert whole.shape == (9, 16, 16, 3) and whole.dtype == np.uint8
  video = model.start(source, background=third, hole="none")
  masks = []
  for i in (0, 8):
    made = video.step(frames[i])
    masks.append(made.mask)
    # Other batches round differently.
    np.testing.assert_allclose(whole[i], made.swapped, atol=1)
    assert made.mask.shape == (16, 16) and made.mask.dtype == np.float32
    assert made.image.shape == (16, 16, 3)
  assert (masks[0] != masks[1]).any()
  with pytest.raises(ValueError, match="there are no frames"):
    model.animate(source, [])


def test_still_model_segments_and_samples():
  config = layered_gan.get_config("smoke")
  system = systems.build(config)
  nets = game.Nets(*jax.jit(system.init)(platform.key(0)))
  model = models.StillModel(system, nets, config.data.still_size)
  image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
  mask = model.segment(image)
  assert mask.shape == (20, 30) and 0 <= mask.min() <= mask.max() <= 1
  sampled = model.sample(3, seed=1)
  size = config.data.still_size
  assert sampled["image"].shape == (3, size, size, 3)
  assert sampled["mask"].shape == (3, size, size)
  again = model.sample(3, seed=1)
  np.testing.assert_array_equal(sampled["image"], again["image"])
