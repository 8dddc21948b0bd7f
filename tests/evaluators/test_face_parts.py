"""The evaluation of parts and expressions, with a stand-in for the system."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from configs import face_parts as config_file
from foregan_jax import game
from foregan_jax.data import fake
from foregan_jax.evaluators import face_parts as evaluator_lib


class _System:
  """Predicts the fake faces' parts; sees anger in each face."""

  heads = ("parts",)
  best = game.Metric("iou")

  def __init__(self, size, classifies):
    self.classifies = classifies
    self._parts = fake.FakeFaces(size=size, seed=0).face(0)["parts"]

  def predict_parts(self, nets, image):
    del nets
    masks = jnp.asarray(self._parts / 255.0)
    return jnp.broadcast_to(masks[None], (*image.shape[:3], 4))

  def classify(self, nets, image, parts):
    del nets, parts
    anger = jnp.arange(7) == 0
    same = jnp.broadcast_to(anger[None], (len(image), 7)).astype(jnp.float32)
    return {"masks": same, "images": same}


@pytest.mark.parametrize("classifies", [True, False])
def test_scores_of_known_predictions(tmp_path, capsys, classifies):
  config = config_file.get_config("smoke")
  system = _System(config.data.face_size, classifies)
  evaluator = evaluator_lib.FacePartsEvaluator(system, config, tmp_path)
  folder = tmp_path / "eval"
  result = evaluator.assess(
    game.Nets({}), folder=folder, whole=True, write=True
  )
  assert result.best == 1.0
  assert result.scalars["parts/iou_mouth"] == 1.0
  # All fake faces have the same parts.
  assert result.scalars["mean_mask/iou"] == 1.0
  assert (folder / "sheet.png").is_file()
  table = json.loads((folder / "scores.json").read_text())
  result.show("title")
  text = capsys.readouterr().out
  if classifies:
    # Each emotion once, and anger twice.
    np.testing.assert_allclose(table["expression_masks"]["accuracy"], 2 / 8)
    np.testing.assert_allclose(table["expression_masks"]["recall"], 1 / 7)
    assert table["expression_most_frequent"] == table["expression_images"]
    assert "8 faces; recall" in text
  else:
    assert "expression_masks" not in table and "recall" not in text
  evaluator.prepare_samples()
  assert evaluator.samples(game.Nets({}))["parts"].dtype == np.uint8
