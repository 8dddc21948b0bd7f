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
  """Paints every frame as a copy of the driving one, a tenth brighter."""

  heads = ("high", "low")
  best = game.Metric("l1", higher_is_better=False)

  def reconstruct(self, nets, source, driving):
    del nets
    x = driving.astype(jnp.float32) / 255
    mask = x[..., :1]
    return {
      "high": x + 0.1, "low": 0 * x, "mask_source": mask, "mask": mask,
    }  # fmt: skip

  animate = reconstruct

  def compare(self, nets, image, truth):
    del nets
    return 2 * jnp.abs(image - truth).mean((1, 2, 3))


@pytest.fixture
def evaluator(tmp_path):
  # One video of 3 frames and one of 12, more than one batch.
  for name, count in (("a", 3), ("b", 12)):
    folder = tmp_path / "in" / "val" / name
    folder.mkdir(parents=True)
    for t in range(count):
      frame = np.full((_SIDE, _SIDE, 3), 5 * t, np.uint8)
      cv2.imwrite(str(folder / f"{t:02d}.png"), frame)
  config = animation.get_config("smoke")
  sources.point_at(config, str(tmp_path / "in"))
  return reconstruction.ReconstructionEvaluator(_System(), config, tmp_path)


def test_scores_are_means_over_all_frames_but_the_first(evaluator, tmp_path):
  out = tmp_path / "out"
  result = evaluator.assess(game.Nets({}), folder=out, whole=True, write=True)
  levels = [5 * t / 255 for count in (3, 12) for t in range(1, count)]
  assert result.scalars["high/l1"] == pytest.approx(0.1, abs=1e-6)
  assert result.scalars["high/perceptual"] == pytest.approx(0.2, abs=1e-6)
  for head in ("low", "copy_source"):
    expected = pytest.approx(np.mean(levels), abs=1e-6)
    assert result.scalars[f"{head}/l1"] == expected
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
  for name in ("high", "low", "copy_source"):
    assert name in shown


def test_samples_show_first_and_last_frames(evaluator):
  evaluator.prepare_samples()
  source, driving = evaluator._shown
  assert source.shape == (2, _SIDE, _SIDE, 3)
  assert [int(x.mean()) for x in driving] == [10, 55]
  sheets = evaluator.samples(game.Nets({}))
  assert set(sheets) == {"reconstructed", "animated"}
  assert sheets["animated"].dtype == np.uint8
