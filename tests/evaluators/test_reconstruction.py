"""Scores of painted frames, with nets that give known images."""

import json

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from configs import animation
from foregan_jax import game
from foregan_jax.data import sources
from foregan_jax.evaluators import reconstruction

_SIDE = 16


class _System:
  """Paints every frame as a copy of the driving one, a tenth brighter.

  The mask is the frame's red. Another background is used as it is.
  """

  heads = ("high", "low")
  best = game.Metric("l1", higher_is_better=False)
  threshold = 100.0

  def __init__(self, *, swaps):
    self.swaps_backgrounds = swaps

  def reconstruct(self, nets, source, driving):
    del nets
    x = driving.astype(jnp.float32) / 255
    mask = x[..., :1]
    return {
      "high": x + 0.1, "low": 0 * x, "mask_source": mask, "mask": mask,
    }  # fmt: skip

  def animate(self, nets, source, driving):
    made = self.reconstruct(nets, source, driving)
    # The refined mask has the upper half of the object only.
    half = made["mask"].at[:, _SIDE // 2 :].set(0.0)
    return made | {"mask": half, "mask_raw": made["mask"]}

  def swap_background(self, nets, image, actor, mask, *, hole):
    del nets, actor, mask
    return image.astype(jnp.float32) / 255 * (1.0 if hole == "none" else 0.5)

  def compare(self, nets, image, truth):
    del nets
    return 2 * jnp.abs(image - truth).mean((1, 2, 3))


@pytest.fixture
def evaluator(tmp_path):
  # One video of 3 frames and one of 12, more than one batch.
  for split, name, count, shade in (
    ("val", "a", 3, 0), ("val", "b", 12, 0), ("train", "c", 12, 1),
  ):  # fmt: skip
    folder = tmp_path / "in" / split / name
    folder.mkdir(parents=True)
    for t in range(count):
      frame = np.full((_SIDE, _SIDE, 3), 5 * t + shade, np.uint8)
      cv2.imwrite(str(folder / f"{t:02d}.png"), frame)
  config = animation.get_config("smoke")
  sources.point_at(config, str(tmp_path / "in"))
  return reconstruction.ReconstructionEvaluator(
    _System(swaps=False), config, tmp_path
  )


def test_scores_are_means_over_all_frames_but_the_first(evaluator, tmp_path):
  out = tmp_path / "out"
  result = evaluator.assess(game.Nets({}), folder=out, whole=True, write=True)
  levels = [5 * t / 255 for count in (3, 12) for t in range(1, count)]
  near = lambda value: pytest.approx(value, abs=1e-5)
  assert result.scalars["high/l1"] == near(0.1)
  assert result.scalars["high/perceptual"] == near(0.2)
  assert result.scalars["high/psnr"] == near(20.0)
  assert result.scalars["high/ssim"] < 1
  for head in ("low", "copy_source"):
    assert result.scalars[f"{head}/l1"] == near(np.mean(levels))
  # The nearest frame of another video is 1 of 255 brighter.
  assert result.scalars["copy_nearest/l1"] == near(1 / 255)
  assert result.scalars["copy_nearest/psnr"] == near(20 * np.log10(255))
  assert result.best == result.scalars["high/l1"]
  content = json.loads((out / "scores.json").read_text())
  assert content["perceptual"] == "random"
  assert content["videos"]["a"]["low"]["l1"] == pytest.approx(7.5 / 255)
  assert {p.name for p in out.glob("*.png")} == {"a.png", "b.png"}


def test_evaluation_during_training_uses_some_videos(
  evaluator, tmp_path, capsys
):
  result = evaluator.assess(
    game.Nets({}), folder=tmp_path / "out", whole=False, write=False
  )
  assert not list((tmp_path / "out").glob("*.png"))
  result.show("title")
  shown = capsys.readouterr().out
  assert "1 videos" in shown and "random features" in shown
  assert "AKD and AED are absent" in shown
  for name in ("high", "low", "copy_source", "psnr", "ssim"):
    assert name in shown
  assert "copy_nearest" not in shown and "masks:" not in shown


def test_data_without_training_frames_have_no_nearest_one(
  evaluator, tmp_path, caplog
):
  (tmp_path / "in" / "train").rename(tmp_path / "in" / "other")
  result = evaluator.assess(
    game.Nets({}), folder=tmp_path / "out", whole=True, write=False
  )
  assert "copy_nearest/l1" not in result.scalars
  assert "no row copy_nearest" in caplog.text


def test_samples_show_first_and_last_frames(evaluator):
  evaluator.prepare_samples()
  source, driving = evaluator._shown
  assert source.shape == (2, _SIDE, _SIDE, 3)
  assert [int(x.mean()) for x in driving] == [10, 55]
  sheets = evaluator.samples(game.Nets({}))
  assert set(sheets) == {"reconstructed", "animated"}
  assert sheets["animated"].dtype == np.uint8


@pytest.fixture
def annotated(tmp_path):
  """Return an evaluator of two videos with masks and backgrounds.

  Objects are red squares of 8 pixels, on a green place or a blue one.
  """
  root = tmp_path / "davis"
  colours = {"ant": (0, 200, 0), "bee": (200, 0, 0)}  # in OpenCV's order
  for name, colour in colours.items():
    place = np.full((_SIDE, _SIDE, 3), colour, np.uint8)
    for t in range(4):
      frame, mask = place.copy(), np.zeros((_SIDE, _SIDE), np.uint8)
      frame[4:12, 2 + t : 10 + t] = (0, 0, 255)
      mask[4:12, 2 + t : 10 + t] = 255
      for top, picture in (
        ("JPEGImages", frame), ("Annotations", mask), ("Background", place),
      ):  # fmt: skip
        folder = root / top / "tiny" / name
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{t:05d}.png"), picture)
  (root / "ImageSets" / "2016").mkdir(parents=True)
  for split in ("train", "val"):
    lines = [
      f"/JPEGImages/tiny/{n}/{t:05d}.png x" for n in colours for t in range(4)
    ]
    path = root / "ImageSets" / "2016" / f"{split}.txt"
    path.write_text("\n".join(lines))
  config = animation.get_config("smoke")
  sources.point_at(config, str(root))
  return reconstruction.ReconstructionEvaluator(
    _System(swaps=True), config, tmp_path
  )


def test_masks_and_backgrounds_are_compared_with_the_truth(
  annotated, tmp_path, capsys
):
  out = tmp_path / "out"
  result = annotated.assess(game.Nets({}), folder=out, whole=True, write=True)
  scalars = result.scalars
  # The mask of the stand-in is the red object; its refined mask the upper half.
  assert scalars["mask/iou"] == 1.0
  assert scalars["mask/iou_all_pixels"] == 0.25
  assert scalars["mask/overlap"] == 0.5
  near = lambda value: pytest.approx(value, abs=1e-4)
  # The pasted object is a tenth too bright. Without the other object, the
  # background is perfect.
  assert scalars["paste_plain/l1"] == near(0.25 * 0.1)
  # Against the middle frame, whose object is 2 pixels to the right of frame 0:
  # what is not covered of it stays.
  red = np.mean([0.25 * abs(t - 2) / 8 for t in (1, 2, 3)])
  wrong = (255 + 200) / 255 / 3
  assert scalars["paste/l1"] == near(0.25 * 0.1 + red * wrong)
  # The stand-in's swap is the picture itself, so the object is missing.
  assert scalars["swap_plain/l1"] == near(0.25 * wrong)
  assert scalars["swap/l1"] > scalars["swap_plain/l1"]
  content = json.loads((out / "scores.json").read_text())
  assert set(content["swapped"]) == {
    "paste", "swap", "paste_plain", "swap_plain",
  }  # fmt: skip
  assert (out / "swapped" / "ant.png").is_file()
  result.show("title")
  shown = capsys.readouterr().out
  assert "swap_plain" in shown
  assert "IoU with the true objects 1.000 (of all pixels 0.250)" in shown
