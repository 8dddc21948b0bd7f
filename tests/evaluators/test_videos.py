"""Videos with several objects: who wins a pixel, what is scored."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.data import images
from foregan_jax.evaluators import videos
from foregan_jax.metrics import report

SIZE = (24, 32)


class _Repeats:
  """A system that repeats what it was given."""

  name, task, heads = "repeats", "videos", ("head",)

  def begin(self, params, frame, mask):
    return mask / 255.0

  def advance(self, params, carry, frames, flow):
    times = frames.shape[1]
    return carry, {"head": jnp.repeat(carry[:, None], times, axis=1)}, None

  def predict(self, params, batch):
    carry = self.begin(params, None, batch["ref_mask"])
    return self.advance(params, carry, batch["video"][:, 1:], None)[1]


class _Two:
  """A source of one video: object 1 stays, object 2 leaves at once."""

  names = ("pair",)

  def sequence(self, name, *, num_frames=None):
    count = 6 if num_frames is None else num_frames
    labels = []
    for t in range(count):
      truth = np.zeros(SIZE, np.uint8)
      truth[2:10, 2:10] = 1
      truth[0] = images.VOID
      if t == 0:
        truth[12:20, 12:20] = 2
      labels.append(truth)
    masks = [(labels[0] == k).astype(np.uint8) * 255 for k in (1, 2)]
    flow = np.zeros((count - 1, *SIZE, 2), np.float32)
    frames = np.zeros((count, *SIZE, 3), np.uint8)
    return {
      "name": name, "frames": frames, "ref_mask": np.stack(masks, -1),
      "flow_fwd": flow, "flow_bwd": flow, "labels": labels,
      "native_size": SIZE, "native_frame": frames.__getitem__,
      "paths": [f"{t:05d}.jpg" for t in range(count)],
    }  # fmt: skip


@pytest.fixture
def evaluator(monkeypatch, tmp_path):
  monkeypatch.setattr(videos.sources, "evaluation", lambda *_: _Two())
  config = types.SimpleNamespace(
    data=types.SimpleNamespace(clip_len=3, eval_split="val"),
    eval=types.SimpleNamespace(sequences=0),
  )
  return videos.VideoEvaluator(_Repeats(), config, tmp_path)


def test_every_object_is_scored_by_itself(evaluator, tmp_path):
  heads = evaluator.run({}, folder=tmp_path, limit=0, write=True)
  for head in heads:
    scores = head.scores["pair"]
    assert set(scores) == {1, 2}
    np.testing.assert_allclose(scores[1]["J"], 1.0)
    np.testing.assert_allclose(scores[2]["J"], 0.0)
    assert report.global_results(head.scores)["J-Mean"] == 0.5
  written = images.read_labels(tmp_path / "head" / "pair" / "00003.png")
  assert set(np.unique(written)) == {0, 1, 2}


def test_samples_need_no_layers(evaluator):
  evaluator.prepare_samples()
  (sheet,) = evaluator.samples({}).values()
  assert sheet.dtype == np.uint8 and sheet.ndim == 3


def test_the_largest_soft_mask_wins():
  soft = np.zeros((2, 3, 2), np.float32)
  soft[0, 0] = 0.3, 0.3  # background keeps .4
  soft[0, 1] = 0.2, 0.6
  soft[1, 2] = 0.55, 0.0
  labels = videos._to_labels(soft, (2, 3))
  np.testing.assert_array_equal(labels, [[0, 2, 0], [0, 0, 1]])
