"""`predict track` with an untrained run of foregan."""

import importlib
import re

import cv2
import jax
import numpy as np
import pytest
from PIL import Image

from foregan_jax import items, predict, runs, stepper, systems
from foregan_jax.media import images, pictures
from foregan_jax.runtime import checkpoints, platform, settings
from foregan_jax.runtime import mesh as mesh_lib
from tests import commands

_SIZE = (50, 70)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Return the workdir of a run that was saved before its first step."""
  workdir = tmp_path_factory.mktemp("run")
  config = importlib.import_module("configs.davis").get_config("smoke")
  system = systems.build(config)
  runs.claim(workdir, config)
  place = mesh_lib.replicated(mesh_lib.make_mesh(jax.devices()[:1]))
  tx = stepper.make_optimizers(config, system)
  state = stepper.make_init(config, system, tx, place)(platform.key(0))
  with checkpoints.Checkpoints(
    workdir / "checkpoints", tuple(system.checkpoint_items), keep=1, best="J"
  ) as saver:
    trees = items.split(system, state)
    saver.save(1, trees, {}, settings.to_json(config), None)
  return workdir


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Return a folder with masks and a video of a square over noise."""
  root = tmp_path_factory.mktemp("world")
  (root / "clip").mkdir()
  noise = np.random.default_rng(0).integers(0, 256, (*_SIZE, 3), np.uint8)
  for i in range(4):
    frame = cv2.GaussianBlur(noise, (0, 0), 3)
    frame[10:30, 20 + i : 45 + i] = (0, 0, 255)
    cv2.imwrite(str(root / "clip" / f"f{i}.png"), frame)
  labels = np.zeros(_SIZE, np.uint8)
  labels[10:30, 20:45] = 3
  pictures.save_labels(root / "first.png", labels)
  labels[40:] = 5
  pictures.save_labels(root / "two.png", labels)
  return root


def _predict(*arguments):
  return commands.run(predict.main, "track", *arguments)


def _contents(out):
  return {p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")}


def _read(path):
  with Image.open(path) as picture:
    return np.asarray(picture)


def test_track_writes_masks_and_layers(run, world, tmp_path):
  common = (
    f"--workdir={run}",
    f"--video={world}/clip",
    f"--mask={world}/first.png",
  )
  done = _predict(*common, f"--out={tmp_path}")
  assert done.returncode == 0, done.stderr
  assert "masks, foreground, background, confidences and" in done.stdout
  average = _contents(tmp_path)
  assert len(average) == 3 * 4
  for i in range(4):
    frame = images.read_image(world / "clip" / f"f{i}.png")
    found = images.read_labels(tmp_path / "masks" / f"f{i}.png")
    assert found.shape == _SIZE and set(np.unique(found)) <= {0, 3}
    cut = _read(tmp_path / "foreground" / f"f{i}.png")
    np.testing.assert_array_equal(cut[..., :3], frame)
    np.testing.assert_array_equal(cut[..., 3] > 127, found == 3)
    plate = _read(tmp_path / "background" / f"f{i}.png")
    # The margin is at most 3 pixels of the network, each 50/32 of the video's.
    near = cv2.dilate(found, np.ones((13, 13), np.uint8)) > 0
    np.testing.assert_array_equal(plate[~near], frame[~near])
  # The red square and its border are removed from the given frame.
  plate = _read(tmp_path / "background" / "f0.png").astype(int)
  given = images.read_labels(world / "first.png") > 0
  np.testing.assert_array_equal(
    images.read_labels(tmp_path / "masks" / "f0.png") > 0, given
  )
  assert (np.abs(plate[given] - (255, 0, 0)).max(-1) > 50).all()
  # Another head in the same folder replaces the results.
  done = _predict(*common, "--head=segmenter", f"--out={tmp_path}")
  assert done.returncode == 0, done.stderr
  segmenter = _contents(tmp_path)
  assert segmenter.keys() == average.keys()
  assert any(average[name] != segmenter[name] for name in segmenter)
  # Without layers, earlier layers are removed. The default head is average.
  done = _predict(*common, "--no-layers", f"--out={tmp_path}")
  assert done.returncode == 0, done.stderr
  assert _contents(tmp_path) == {
    name: content
    for name, content in average.items()
    if name.parts[0] == "masks"
  }
  assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"masks"}


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("--head=segmentor", "heads are generator.* Did you mean 'segmenter'"),
    ("--scales=1", "--scales=1.0: .*run of foregan.*at one size"),
    ("--mask=2:{}/first.png", r"given for 2 frames \(0:.*accept several"),
    ("--mask={}/two.png", "two.png has the objects 3, 5, but.*0 and 255"),
  ],
)
def test_wrong_arguments_raise_one_sentence(
  run, world, arguments, message, tmp_path
):
  given = arguments.format(world)
  masks = [f"--mask={world}/first.png"] * ("two.png" not in given)
  done = _predict(
    f"--workdir={run}",
    f"--video={world}/clip",
    *masks,
    given,
    f"--out={tmp_path}/out",
  )
  assert done.returncode == 2
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
  assert re.search(message, done.stderr), done.stderr
  assert not (tmp_path / "out").exists()
