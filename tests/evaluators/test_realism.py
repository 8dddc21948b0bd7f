"""FID of generated and real pictures, with a small net for Inception."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.evaluators import realism


class FlatGenerator:
  """A system that generates flat pictures with brightness N(level, .01)."""

  def __init__(self, level):
    self._level = level

  def sample(self, params, key, count):
    del params
    noise = 0.01 * jax.random.normal(key, (count, 1, 1, 3))
    frame = jnp.broadcast_to(self._level + noise, (count, 8, 8, 3))
    return types.SimpleNamespace(frame=frame), None


class FlatPictures:
  """A source of flat pictures with brightness N(0, .01)."""

  def __len__(self):
    return 100

  def picture(self, index):
    rng = np.random.default_rng(index)
    colour = 127.5 * (1 + 0.01 * rng.standard_normal(3))
    return np.broadcast_to(np.round(colour), (8, 8, 3)).astype(np.uint8)


@pytest.fixture
def evaluator(monkeypatch, tmp_path):
  monkeypatch.setattr(realism.inception, "names_and_shapes", dict)
  monkeypatch.setattr(realism.inception, "from_state_dict", lambda x: x)
  monkeypatch.setattr(realism.state_dicts, "read", lambda path: {})
  brightness = lambda params, x: x.astype(jnp.float32).mean((1, 2)) / 127.5
  monkeypatch.setattr(realism.inception, "features", brightness)
  return realism.Realism(str(tmp_path / "weights.pth"), num_drawn=150)


def test_similar_pictures_have_lower_scores(evaluator):
  similar = evaluator.scores(FlatGenerator(0.0), {}, FlatPictures())
  other = evaluator.scores(FlatGenerator(0.5), {}, FlatPictures())
  assert similar["fid"] < 1e-3
  # The means differ by half in each of three channels.
  assert other["fid"] == pytest.approx(3 * 0.5**2, rel=0.05)
  assert abs(similar["kid"]) < 0.01 < other["kid"]


def test_weight_file_of_another_network_is_refused(tmp_path):
  header = b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
  path = tmp_path / "other.safetensors"
  path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
  with pytest.raises(ValueError, match="other.safetensors"):
    realism.Realism(str(path), num_drawn=4)
