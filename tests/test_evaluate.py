"""Evaluation of weight files and runs on data that the flags name."""

import types

import jax
import numpy as np
import pytest
from flax import traverse_util

from configs import animation, davis, layered_gan, rgmp_voc
from foregan_jax import evaluate, systems, weight_files
from foregan_jax.metrics import published
from foregan_jax.nets import propagator, propagator_weights
from foregan_jax.systems.rgmp import defaults
from tests.data import conftest as folders
from tests.runtime import torch_files


@pytest.fixture
def root(tmp_path):
  """A DAVIS folder with two resolutions and lists of two years."""
  root = tmp_path / "DAVIS"
  for name in ("blackswan", "ant"):
    folders.write_video(root, name, num_frames=5)
  for kind in ("JPEGImages", "Annotations"):
    (root / kind / "large").mkdir()
    for path in (root / kind / "tiny").rglob("*.*"):
      place = root / kind / "large" / path.relative_to(root / kind / "tiny")
      place.parent.mkdir(exist_ok=True)
      place.write_bytes(path.read_bytes())
  folders.write_list(root, "2017", "val", ["blackswan", "ant"])
  folders.write_list(root, "2016", "val", ["blackswan"])
  return root


@pytest.fixture
def weights(tmp_path, monkeypatch):
  """A weight file like RGMP's official one, of a tiny network."""

  def tiny():
    config = rgmp_voc.get_config("smoke")
    config.nets.norm, config.tracker.scales = "frozen", (1.0,)
    return config

  monkeypatch.setattr(defaults, "pretrained", tiny)
  config = tiny()
  config.init_from.weights = "any"  # frozen norms want weights
  system = systems.build(config)
  shapes = jax.eval_shape(system.init, jax.random.key(0))[0]["prop"]
  rng = np.random.default_rng(0)
  arrays = {}
  for place, leaf in traverse_util.flatten_dict(shapes).items():
    shape = propagator_weights._torch_shape(leaf.shape)
    values = np.abs(rng.normal(size=shape)).astype(np.float32)
    arrays[propagator_weights.official_name(place)] = values
  return torch_files.write_arrays(tmp_path / "own.pth", arrays, "legacy")


def test_weight_file_is_scored_beside_published_scores(
  root, weights, tmp_path, capsys
):
  run = lambda **options: evaluate.evaluate(
    tmp_path / "out",
    weights=str(weights),
    options=evaluate.Options(data=str(root), **options),
  )
  with pytest.raises(ValueError, match=r"set the resolution, there are 2"):
    run(year="2017")
  run(year="2017", resolution="tiny")
  out = capsys.readouterr().out
  folder = tmp_path / "out" / "eval" / "DAVIS-2017-val-tiny" / "step-0"
  assert f"scores and pictures: {folder}" in out
  rows = (folder / "propagator" / "per-sequence_results-val.csv").read_text()
  assert [line.split(",")[0] for line in rows.splitlines()[1:]] == [
    "blackswan_1", "blackswan_2", "ant_1", "ant_2",
  ]  # fmt: skip
  ours = [float(x) for x in rows.splitlines()[1].split(",")[1:]]
  (row,) = (x.split() for x in out.splitlines() if x.startswith("blackswan 1"))
  shown = np.array(row[2:], float)
  np.testing.assert_allclose(shown[[0, 3]], 100 * np.array(ours), atol=0.06)
  np.testing.assert_allclose(shown[[1, 4]], [96.0, 98.6])
  np.testing.assert_allclose(
    shown[[2, 5]], shown[[0, 3]] - shown[[1, 4]], atol=0.11
  )
  # Object 2 of blackswan and the ant are unknown.
  assert "1 of 61 published objects; 3 objects without" in out
  # All objects as one, of another list, in another folder.
  run(year="2016", resolution="large", threshold="sweep")
  out = capsys.readouterr().out
  assert "DAVIS-2016-val-large-thresholdsweep" in out
  assert "J by threshold, of 254" in out
  assert "1 of 20 published objects; 0 objects without" in out


def test_weight_file_of_an_encoder_is_refused(tmp_path):
  net = propagator.Propagator()
  shapes = jax.eval_shape(
    lambda: propagator.init(net, jax.random.key(0), (32, 32))
  )["encoder"]
  arrays = {}
  for place, leaf in traverse_util.flatten_dict(shapes).items():
    if place[0] != "conv1_p":
      name = propagator_weights.official_name(("encoder", *place))
      name = name.removeprefix("Encoder.")
      for k in (2, 3, 4, 5):
        name = name.replace(f"res{k}.", f"layer{k - 1}.")
      shape = leaf.shape
      if len(shape) == 4:
        shape = (shape[3], shape[2], shape[0], shape[1])
      arrays[name] = np.zeros(shape, np.float32)
  path = torch_files.write_arrays(tmp_path / "resnet.pth", arrays, "zip")
  with pytest.raises(
    ValueError, match="resnet.pth has the weights of an encoder only"
  ):
    weight_files.OfficialRGMP(path).load("latest")


def test_published_scores_have_the_published_means():
  for year, j, f in (("2016", 81.53, 82.02), ("2017", 64.80, 68.64)):
    objects = [
      pair for video in published.rgmp(year).values() for pair in video
    ]
    np.testing.assert_allclose(np.mean(objects, axis=0), (j, f), atol=0.05)


def test_weight_file_has_no_other_step(weights):
  for step in ("3", "all"):
    with pytest.raises(
      ValueError, match=f"--step={step}: a weight file has no"
    ):
      list(evaluate._load(weight_files.OfficialRGMP(weights), step))


@pytest.mark.parametrize(
  ("config", "options", "message"),
  [
    (
      layered_gan,
      {"year": "2016"},
      "--year=2016: layered_gan evaluates single",
    ),
    (layered_gan, {"scales": (0.5, 1.0)}, "--scales=0.5,1.0: layered_gan"),
    (layered_gan, {"threshold": "0.4"}, "--threshold=0.4: layered_gan"),
    (animation, {"side": 64}, "--side=64: animation segments nothing"),
    (animation, {"inception": "x"}, "--inception=x: animation generates no"),
    (davis, {"scales": (0.5,)}, "--scales=0.5: foregan segments frames at one"),
    (davis, {"side": 480}, "--side=480: foregan segments frames at one"),
    (layered_gan, {"side": 480}, "--side=480: layered_gan evaluates single"),
    (davis, {"inception": "x"}, "--inception=x: foregan generates no single"),
    (davis, {"threshold": "1"}, "--threshold=1: expected a number between"),
    (davis, {"threshold": "nan"}, "--threshold=nan: expected a number"),
    (davis, {"threshold": "half"}, "--threshold=half: expected a number"),
  ],
)
def test_options_that_do_not_fit_are_refused(config, options, message):
  config = config.get_config("smoke")
  system = types.SimpleNamespace(
    task={"layered_gan": "stills", "animation": "animation"}.get(
      config.system, "videos"
    ),
    tracking="layers",
  )
  with pytest.raises(ValueError, match=message):
    evaluate._check(config, system, evaluate.Options(**options))


@pytest.mark.parametrize(
  ("options", "objects"),
  [
    ({}, 0), ({"year": "2017"}, -1), ({"year": "2016"}, 0),
    ({"objects": "all"}, -1), ({"objects": "3"}, 3),
    ({"year": "2017", "objects": "merged"}, 0),
  ],
)  # fmt: skip
def test_objects_follow_the_year_and_the_flag(options, objects):
  config = davis.get_config("smoke")
  evaluate._set_data(config, evaluate.Options(**options))
  assert config.data.objects == objects


@pytest.mark.parametrize("text", ["two", "-1", "1.5", "²"])
def test_wrong_objects_are_refused(text):
  config = davis.get_config("smoke")
  with pytest.raises(ValueError, match="expected merged, all, or the index"):
    evaluate._set_data(config, evaluate.Options(objects=text))


def test_tiny_side_is_refused():
  system = types.SimpleNamespace(task="videos", tracking="objects")
  with pytest.raises(ValueError, match="--side=8: expected 32 to 4320 pixels"):
    evaluate._check(None, system, evaluate.Options(side=8))
