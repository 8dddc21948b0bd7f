"""Scores of edited faces, with a system whose edits are known."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import face_transfer
from foregan_jax import game
from foregan_jax.evaluators import face_edits
from foregan_jax.layers import ranges

_SIDE = 32


class _System:
  """Brightens the lower half of one region, and calls bright faces happy.

  Alpha is 1 in the middle of the box.
  """

  source, target = "neutral", "happiness"

  def edit(self, nets, image, parts, direction):
    del nets, parts
    face = ranges.image_to_float(image)
    step = 0.5 if direction == "ab" else -0.5
    raw = jnp.clip(face[:, 16:, 8:24] + step, -1, 1)[None]
    box = jnp.tile(jnp.array([16.0, 8.0, 32.0, 24.0]), (1, len(image), 1))
    alpha = jnp.zeros((*raw.shape[:-1], 1)).at[:, :, 4:12, 4:12].set(1.0)
    edited = face.at[:, 20:28, 12:20].set(raw[0, :, 4:12, 4:12])
    return {
      "image": edited, "raw": raw, "regions": raw, "boxes": box,
      "alphas": alpha, "crops": raw,
    }  # fmt: skip

  def classify(self, nets, image):
    del nets
    level = ranges.image_to_float(image) if image.dtype == jnp.uint8 else image
    return jax.nn.sigmoid(100 * level[:, 20:28, 12:20].mean((1, 2, 3)))


class _Faces:
  """Flat faces of one shade."""

  def __init__(self, shade, count):
    self._shade, self._count = shade, count

  def __len__(self):
    return self._count

  def face(self, index):
    shade = self._shade + (index == 0) * 100  # the first one is called happy
    return {
      "image": np.full((_SIDE, _SIDE, 3), shade, np.uint8),
      "parts": np.zeros((_SIDE, _SIDE, 4), np.uint8),
    }


class _Pairs:
  source, target = _Faces(100, 10), _Faces(150, 3)


@pytest.fixture
def evaluator(tmp_path, monkeypatch):
  monkeypatch.setattr(
    face_edits.sources, "evaluation", lambda config, workdir: _Pairs()
  )
  config = face_transfer.get_config("smoke")
  return face_edits.FaceEditEvaluator(_System(), config, tmp_path)


def test_scores_of_known_edits(evaluator, tmp_path, capsys):
  out = tmp_path / "out"
  result = evaluator.assess(game.Nets({}), folder=out, whole=True, write=True)
  s = result.scalars
  # Neutral faces have the shade 100, one of ten has 200; happy ones 150.
  assert s["ab_before/called"] == pytest.approx(0.1)
  assert s["ab/called"] == s["ab_rectangle/called"] == 1
  assert s["ba_before/called"] == 0 and s["ba/called"] == pytest.approx(2 / 3)
  assert s["ab_real/called"] == 1
  assert s["ba_real/called"] == pytest.approx(0.9)
  assert s["classifier/accuracy"] == pytest.approx((0.9 + 1) / 2)
  # Only the middle of the box changes, so neither its ring nor its border.
  assert s["ab/outside"] == s["ab/drift"] == s["ab/edge"] == 0
  # A whole rectangle is 64 levels brighter, or 55 for the brightest face.
  gain = (9 * 64 + 55) / 10
  near = lambda x: pytest.approx(x, abs=0.2)
  assert s["ab_rectangle/drift"] == s["ab_rectangle/edge"] == near(gain)
  outside = gain * (16 * 16 - 8 * 8) / (_SIDE * _SIDE - 8 * 8)
  assert s["ab_rectangle/outside"] == near(outside)
  # By its own brightness r of 164, or 255: r (r - d) / 255 are added.
  added = (9 * 64 * 164 / 255 + 55) / 10
  assert s["ab_self/drift"] == near(added)
  assert result.best is None
  content = json.loads((out / "scores.json").read_text())
  assert content["directions"]["ab"]["edit"]["called"] == 1
  names = {"neutral_to_happiness.png", "happiness_to_neutral.png"}
  assert {p.name for p in out.glob("*.png")} == names
  result.show("title")
  shown = capsys.readouterr().out
  assert "10 neutral and 3 happiness faces" in shown and "0.950" in shown


def test_evaluation_during_training_uses_some_faces(evaluator, tmp_path):
  result = evaluator.assess(
    game.Nets({}), folder=tmp_path / "out", whole=False, write=False
  )
  # The first and the last face of either emotion.
  assert result.scalars["ab_before/called"] == 0.5
  assert not list((tmp_path / "out").glob("*.png"))


def test_samples_are_sheets_of_both_directions(evaluator):
  evaluator.prepare_samples()
  sheets = evaluator.samples(game.Nets({}))
  assert set(sheets) == {"neutral_to_happiness", "happiness_to_neutral"}
  one = sheets["neutral_to_happiness"]
  assert one.dtype == np.uint8 and one.shape[1] > one.shape[0]
