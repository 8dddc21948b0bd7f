"""Scores of pictures, from folders with and without masks and splits."""

import cv2
import jax
import numpy as np
import pytest

from configs import layered_gan
from foregan_jax import game, systems
from foregan_jax.data import sources
from foregan_jax.evaluators import stills


def _write(root, name, annotated=True):
  rng = np.random.default_rng(len(name))
  mask = np.zeros((20, 20), np.uint8)
  mask[5:15, 5:15] = 255
  image = rng.integers(0, 60, (20, 20, 3), np.uint8) + mask[..., None] // 2
  for folder, content in (("images", image), ("segmentations", mask)):
    if folder == "images" or annotated:
      path = root / folder / f"{name}.png"
      path.parent.mkdir(parents=True, exist_ok=True)
      cv2.imwrite(str(path), content)


@pytest.fixture(scope="module")
def system():
  return systems.build(layered_gan.get_config("smoke"))


def _assess(system, root, tmp_path):
  config = layered_gan.get_config("smoke")
  sources.point_at(config, str(root))
  nets = game.Nets(*jax.jit(system.init)(jax.random.key(0)))
  evaluator = stills.StillEvaluator(system, config, tmp_path)
  return evaluator.assess(nets, folder=tmp_path / "out", whole=True, write=True)


def test_threshold_is_chosen_on_training_pictures(system, tmp_path, capsys):
  root = tmp_path / "in"
  for name in ("a/1", "a/22", "b/333", "b/4444"):
    _write(root, name)
  (root / "train.txt").write_text("a/1\nb/333\n")
  (root / "val.txt").write_text("a/22\nb/4444\n")
  result = _assess(system, root, tmp_path)
  # A bright square on a dark background differs from the border's colour.
  assert result.scalars["border_colour/iou"] > 0.9
  assert result.scalars["everything/iou"] == pytest.approx(0.25, abs=0.05)
  assert 0 <= result.scalars["codes/nmi_max"] <= 1
  assert result.best is None  # the system has no best checkpoint
  result.show("title")
  printed = capsys.readouterr().out
  assert "2 pictures" in printed and "FID and KID: not measured" in printed
  assert (tmp_path / "out/masks/a/22.png").is_file()


def test_validation_pictures_alone_can_be_scored(system, tmp_path):
  root = tmp_path / "in"
  _write(root, "one")
  result = _assess(system, root, tmp_path)
  assert "segmenter/iou" in result.scalars
  # There are no training masks to choose a threshold on.
  assert "border_colour/iou" not in result.scalars
  assert "codes/nmi_max" not in result.scalars  # a single class


def test_pictures_without_masks_are_refused(system, tmp_path):
  root = tmp_path / "in"
  _write(root, "one", annotated=False)
  (root / "val.txt").write_text("one\n")
  with pytest.raises(ValueError, match="no picture of the evaluation split"):
    _assess(system, root, tmp_path)
