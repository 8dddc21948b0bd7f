"""rgmp: both stages, whole videos, weight files."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import traverse_util

from foregan_jax import game, stepper, systems, tasks, warm_start
from foregan_jax.nets import propagator_weights
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import platform
from tests.runtime import torch_files


@pytest.fixture(scope="module", params=["rgmp_voc", "rgmp_davis"])
def stage(request, load_config):
  """Return config, system, nets and a batch of each stage."""
  config = load_config(request.param, "smoke")
  system = systems.build(config)
  rng = np.random.default_rng(0)
  spec = system.batch_spec(config.batch_size)
  batch = {k: rng.integers(0, 256, s.shape, np.uint8) for k, s in spec.items()}
  batch["labels"] = np.zeros_like(batch["labels"])
  batch["labels"][..., 8:24, 8:24, :] = 3
  nets = game.Nets(*jax.jit(system.init)(jax.random.key(0)))
  return config, system, nets, batch


def test_both_stages_share_their_parameters(load_config):
  shapes = [
    jax.eval_shape(
      systems.build(load_config(name, "smoke")).init, jax.random.key(0)
    )[0]
    for name in ("rgmp_voc", "rgmp_davis")
  ]
  assert shapes[0] == shapes[1]


def test_batches_become_clips_of_an_object(stage):
  config, system, _, batch = stage
  clip = jax.jit(system.clips)(jax.random.key(0), batch)
  size = (config.batch_size, config.data.clip_len, *config.clips.size)
  assert clip.video.shape == (*size, 3) and clip.mask.shape == (*size, 1)
  area = np.asarray(clip.mask[:, 0]).mean((1, 2, 3))
  assert (area > 0.02).all() and (area < 0.98).all()


@pytest.mark.parametrize("objects", [1, 3])
def test_soft_masks_of_several_objects_are_exclusive(stage, objects):
  config, system, nets, _ = stage
  rng = np.random.default_rng(1)
  size = (config.data.height, config.data.width)
  video = rng.integers(0, 256, (1, 4, *size, 3), np.uint8)
  masks = np.zeros((1, *size, objects), np.uint8)
  for k in range(objects):
    masks[:, 10 * k : 10 * k + 8, :20, k] = 255
  carry = jax.jit(system.begin)(nets, video[:, 0], masks)
  _, heads, layers = jax.jit(system.advance)(nets, carry, video[:, 1:], None)
  soft = np.asarray(heads["propagator"])
  assert layers is None
  assert soft.shape == (1, 3, *size, objects)
  assert (soft.sum(-1) <= 1 + 1e-5).all() and (soft >= 0).all()


def test_run_starts_from_a_weight_file(stage, tmp_path):
  config, system, nets, _ = stage
  assert isinstance(system, tasks.LoadsWeights)
  arrays = {}
  for place, leaf in traverse_util.flatten_dict(nets.params["prop"]).items():
    leaf = np.asarray(leaf)
    leaf = leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf
    arrays[propagator_weights.official_name(place)] = leaf
  path = torch_files.write_arrays(tmp_path / "rgmp.pth", arrays, "legacy")
  tx = stepper.make_optimizers(config, system)
  place = mesh_lib.replicated(mesh_lib.make_mesh(jax.devices()[:1]))
  state = stepper.make_init(config, system, tx, place)(platform.key(5))
  c = config.init_from.copy_and_resolve_references()
  c.weights = str(path)
  started = warm_start.start_from(c, system, state)
  for params in (started.params, started.ema):
    jax.tree.map(np.testing.assert_array_equal, params, nets.params)
  c.workdir = "another"
  with pytest.raises(ValueError, match="both a workdir and a weight file"):
    warm_start.start_from(c, system, state)


@pytest.mark.parametrize(
  "name, value, message",
  [("clips.size", (33, 32), "multiples of 32"), ("data.clip_len", 1, "2 or"),
   ("tracker.scales", (), "at least one")],
)  # fmt: skip
def test_bad_configs_are_refused(name, value, message, load_config):
  config = load_config("rgmp_voc", "smoke")
  config.update_from_flattened_dict({name: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_stage_2_has_davis_2017_by_default(load_config):
  year = lambda arg: load_config("rgmp_davis", arg).data.year
  objects = lambda arg: load_config("rgmp_davis", arg).data.objects
  for arg, expected in (("data=/d", "2017"), ("data=/d,year=2016", "2016"),
                        ("data=/d,small", "2017"), ("", "2016")):  # fmt: skip
    assert year(arg) == expected
    assert objects(arg) == (-1 if expected == "2017" else 0)


def test_preset_paper_makes_pairs(load_config):
  for arg in ("preset=paper", "data=/voc,videos=/d,preset=paper"):
    config = load_config("rgmp_voc", arg)
    assert config.data.clip_len == 2 and config.recurrence == 0
  assert load_config("rgmp_voc", "data=/voc,videos=/d").data.clip_len == 6


def test_salient_objects_are_cut_out(load_config):
  arg = "preset=paper,data=/voc,videos=/d,extra=/ecssd+/msra"
  config = load_config("rgmp_voc", arg)
  assert config.data.cut_out_roots == ("/ecssd", "/msra")
  with pytest.raises(ValueError, match="extra= needs data="):
    load_config("rgmp_voc", "extra=/ecssd")
  config = load_config("rgmp_voc", "smoke,preset=paper")
  config.data.cut_out_roots = ("/ecssd",)
  system = systems.build(config)
  spec = system.batch_spec(2)
  assert spec["cut_out"].shape == (2,)
  batch = {name: np.zeros(s.shape, s.dtype) for name, s in spec.items()}
  batch["labels"][:, 8:30, 8:30] = 1
  batch["background"][:] = 255
  batch["cut_out"][1] = 1
  clip = jax.jit(system.clips)(jax.random.key(0), batch)
  brightest = np.asarray(clip.video).max((1, 2, 3, 4))
  assert brightest[0] < 0 < brightest[1]


@pytest.mark.parametrize(
  ("name", "roots", "weights", "message"),
  [("rgmp_voc", "/ecssd", (), "must be a tuple of folders"),
   ("rgmp_davis", ("/ecssd",), (), "only 'instances'"),
   ("rgmp_voc", ("/ecssd",), (1.0,), "must be \\(\\) or 2 numbers"),
   ("rgmp_voc", ("/ecssd",), (0.0, 0.0), "not all 0")],
)  # fmt: skip
def test_roots_and_weights_that_do_not_fit_are_refused(
  name, roots, weights, message, load_config
):
  config = load_config(name, "smoke")
  # ConfigDict itself refuses another type, except in a new object.
  data = config.data.to_dict()
  data |= {"cut_out_roots": roots, "root_weights": weights}
  config.data = ml_collections.ConfigDict(data)
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_student_clips_are_a_picture_and_its_mirror(load_config):
  config = load_config("rgmp_voc", "smoke,preset=student")
  system = systems.build(config)
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.integers(0, 256, (2, 32, 32, 3), np.uint8))
  labels = jnp.zeros((2, 32, 32, 1), jnp.uint8).at[:, 8:20, 4:16].set(1)
  batch = {"image": image, "labels": labels}
  clip = jax.jit(system.clips)(jax.random.key(0), batch)
  np.testing.assert_allclose(
    clip.video[:, 1], clip.video[:, 0, :, ::-1], atol=1e-5
  )
