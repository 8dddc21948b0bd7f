"""Scores of videos: several objects, unguided heads, backgrounds."""

import collections
import json
import threading
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game
from foregan_jax.evaluators import heads as heads_lib
from foregan_jax.evaluators import (
  label_maps,
  thresholds,
  video_files,
  videos,
)
from foregan_jax.media import images
from foregan_jax.metrics import report

SIZE = (24, 32)
_NETS = game.Nets({})


class _RepeatFirst:
  """A system that repeats the first mask."""

  name, task, heads, unguided = "repeats", "videos", ("head",), ()
  tracking = "objects"

  def begin(self, nets, frame, mask):
    return mask / 255.0

  def advance(self, nets, carry, frames, flow):
    times = frames.shape[1]
    return carry, {"head": jnp.repeat(carry[:, None], times, axis=1)}, None

  def segment(self, nets, frames):
    return {}


class _TwoObjects:
  """A source of one video: object 1 stays, object 2 leaves after frame 0."""

  names = ("pair",)

  def sequence(self, name, *, num_frames=None, fit=None):
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
      "background": lambda t: None,
      "paths": [f"{t:05d}.jpg" for t in range(count)],
    }  # fmt: skip


_Layers = collections.namedtuple("_Layers", ("bg", "plate"))


class _BlackBackground(_RepeatFirst):
  """A system with a black background, which segments red pixels."""

  unguided = ("head",)

  def advance(self, nets, carry, frames, flow):
    carry, heads, _ = super().advance(nets, carry, frames, flow)
    black = jnp.full((*frames.shape[:-1], 3), -1.0)
    return carry, heads, _Layers(black, None)

  def segment(self, nets, frames):
    return {"head": frames[..., :1] / 255.0}


class _KnownBackgrounds:
  """A source of videos of a fixed red square on a known grey level."""

  def __init__(self, **levels):
    self.names = tuple(levels)
    self._levels = levels

  def sequence(self, name, *, num_frames=None, fit=None):
    video = _TwoObjects().sequence(name, num_frames=num_frames)
    video["ref_mask"] = video["ref_mask"][..., :1]
    grey = np.full((*SIZE, 3), self._levels[name], np.uint8)
    for frame, labels in zip(video["frames"], video["labels"], strict=True):
      frame[:] = grey
      labels[labels != 1] = 0
      frame[labels == 1] = (255, 0, 0)
    video["frames"][:, 15:18, 20:28] = (255, 0, 0)  # of no object
    return video | {"background": lambda t: grey}


def _evaluator(monkeypatch, folder, system, source):
  monkeypatch.setattr(videos.sources, "evaluation", lambda *_: source)
  config = types.SimpleNamespace(
    data=types.SimpleNamespace(
      clip_len=3, eval_split="val", height=SIZE[0], width=SIZE[1]
    ),
    eval=types.SimpleNamespace(limit=0),
  )
  return videos.VideoEvaluator(system, config, folder)


@pytest.fixture
def evaluator(monkeypatch, tmp_path):
  return _evaluator(monkeypatch, tmp_path, _RepeatFirst(), _TwoObjects())


def test_objects_are_scored_separately(evaluator, tmp_path):
  heads, errors, _ = evaluator.run(
    game.Nets({}), folder=tmp_path, limit=0, write=True
  )
  assert errors == {} and not (tmp_path / "plates").exists()
  for head in heads:
    scores = head.scores["pair"]
    assert set(scores) == {1, 2}
    np.testing.assert_allclose(scores[1]["J"], 1.0)
    np.testing.assert_allclose(scores[2]["J"], 0.0)
    assert report.global_results(head.scores)["J-Mean"] == 0.5
  written = images.read_labels(tmp_path / "head" / "pair" / "00003.png")
  assert set(np.unique(written)) == {0, 1, 2}


def test_unguided_heads_find_the_object(monkeypatch, tmp_path):
  source = _KnownBackgrounds(dark=40)
  evaluator = _evaluator(monkeypatch, tmp_path, _BlackBackground(), source)
  heads, _, _ = evaluator.run(_NETS, folder=tmp_path, limit=0, write=True)
  assert [(h.name, h.learned) for h in heads][-2:] == [
    ("head", True), ("head_unsup", True),
  ]  # fmt: skip
  found = heads[-1].scores["dark"]
  # The head also proposes the red patch that is no object.
  np.testing.assert_allclose(found[1]["J"], 1.0)
  assert found[1]["frames"] == heads[0].scores["dark"][1]["frames"]
  for t in (0, 5):
    stem = tmp_path / "head_unsup" / "dark" / f"{t:05d}"
    written = images.read_labels(stem.with_suffix(".png"))
    assert written[4, 4] == 1 and written[16, 24] == 2
  assert (tmp_path / "overlays" / "dark.webp").is_file()


def test_backgrounds_are_compared_with_true_ones(monkeypatch, tmp_path, capsys):
  source = _KnownBackgrounds(dark=40, bright=100)
  evaluator = _evaluator(monkeypatch, tmp_path, _BlackBackground(), source)
  result = evaluator.assess(
    game.Nets({}), folder=tmp_path, whole=True, write=True
  )
  errors = {k: v for k, v in result.scalars.items() if "background" in k}
  assert errors == {
    "background/generator_mae": 70.0,  # errors of black: 40 and 100
    "background/rows_mae": 0.0,
    "background/first_rows_mae": 0.0,
  }
  assert result.scalars["head_unsup/J_mean"] == 1.0
  saved = json.loads((tmp_path / "plates.json").read_text())
  assert saved["generator"] == {"dark": 40.0, "bright": 100.0}
  assert sorted(p.name for p in (tmp_path / "plates").iterdir()) == [
    "bright.png", "dark.png",
  ]  # fmt: skip
  capsys.readouterr()
  result.show("title")
  printed = capsys.readouterr().out
  assert printed.index("head_unsup") < printed.index("first_rows")


def test_processes_share_the_videos(monkeypatch, tmp_path):
  """Two threads simulate two processes; both return all scores."""
  source = _KnownBackgrounds(a=40, b=100, c=10)
  make = lambda: _evaluator(monkeypatch, tmp_path, _BlackBackground(), source)
  evaluators, local = [make(), make()], threading.local()
  barrier = threading.Barrier(2, timeout=60)
  monkeypatch.setattr(jax, "process_index", lambda: local.index)
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  sent = {}

  def gather(value, unused_name):
    sent[local.index] = json.dumps(value, default=lambda x: x.tolist())
    barrier.wait()
    return [json.loads(sent[i]) for i in range(2)]

  monkeypatch.setattr(video_files.mesh_lib, "gather", gather)
  results = {}

  def run(index):
    local.index = index
    results[index] = evaluators[index].run(
      _NETS, folder=tmp_path, limit=0, write=False
    )

  threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert set(results) == {0, 1}
  for heads, errors, _ in results.values():
    assert errors["generator"] == {"a": 40.0, "b": 100.0, "c": 10.0}
    assert list(errors["rows"]) == ["a", "b", "c"]
    for head in heads:
      assert list(head.scores) == ["a", "b", "c"]
      assert set(head.scores["c"]) == {1}


def test_all_local_devices_take_videos(monkeypatch, tmp_path):
  source = _KnownBackgrounds(a=40, b=100, c=10, d=70)
  evaluator = _evaluator(monkeypatch, tmp_path, _BlackBackground(), source)
  devices, run = [], evaluator._runner.run
  barrier = threading.Barrier(4, timeout=60)

  def spy(nets, sequence):
    barrier.wait()  # four videos at the same time
    devices.append(jax.numpy.zeros(()).devices().pop())
    return run(nets, sequence)

  monkeypatch.setattr(evaluator._runner, "run", spy)
  _, errors, _ = evaluator.run(_NETS, folder=tmp_path, limit=0, write=False)
  assert set(devices) == set(jax.local_devices()) and len(devices) == 4
  assert errors["generator"] == {"a": 40.0, "b": 100.0, "c": 10.0, "d": 70.0}


def test_baselines_are_scored_once(monkeypatch, tmp_path):
  source = _KnownBackgrounds(dark=40)
  evaluator = _evaluator(monkeypatch, tmp_path, _RepeatFirst(), source)
  scored = []
  make = evaluator._baselines._labels
  monkeypatch.setattr(
    evaluator._baselines, "_labels", lambda s: scored.append(s) or make(s)
  )

  def scores(step):
    rows, _, _ = evaluator.run(
      _NETS, folder=tmp_path / step, limit=0, write=False
    )
    return [row.scores for row in rows if not row.learned]

  first = scores("step-1")
  assert scores("step-2") == first and len(scored) == 1
  (kept,) = (tmp_path / "baselines").iterdir()
  kept.write_text("{")
  assert scores("step-3") == first and len(scored) == 2
  # Other masks are other data.
  sequence = source.sequence
  monkeypatch.setattr(
    source, "sequence", lambda name, **kw: _moved(sequence(name, **kw))
  )
  assert scores("step-4") != first and len(scored) == 3


def _moved(video):
  for labels in video["labels"][1:]:
    labels[:] = np.roll(labels, 3, axis=1)
  return video


class _OneObject(_RepeatFirst):
  """A system of layers: it accepts one mask per video."""

  tracking = "layers"

  def begin(self, nets, frame, mask):
    assert mask.shape[-1] == 1 and len(mask) == len(frame)
    return super().begin(nets, frame, mask)


def test_systems_of_layers_run_once_per_object(monkeypatch, tmp_path):
  evaluator = _evaluator(monkeypatch, tmp_path, _OneObject(), _TwoObjects())
  rows, _, _ = evaluator.run(_NETS, folder=tmp_path, limit=0, write=False)
  (head,) = (row for row in rows if row.name == "head")
  assert head.scores["pair"][1]["J"] == [1.0] * 4  # stays
  assert head.scores["pair"][2]["J"] == [0.0] * 4  # leaves


def test_another_side_enlarges_small_videos():
  system = _RepeatFirst()
  system.tracking = "objects"
  runner = lambda **side: heads_lib.Runner(system, (24, 32), 3, **side)
  fit = lambda native, **side: runner(**side).fit(native)
  assert fit((12, 40)) == (12, 40)
  assert fit((12, 40), side=36) == (36, 120)
  assert fit((480, 854), side=36) == (36, 64)


@pytest.mark.parametrize(
  ("tracking", "native", "size"),
  [
    ("objects", (480, 854), (24, 43)),  # the aspect of the video
    ("objects", (12, 40), (12, 40)),  # never larger than the video
    ("layers", (480, 640), (24, 32)),  # the same aspect
    ("layers", (480, 700), (24, 32)),  # almost the same
    ("layers", (480, 1152), (24, 56)),  # wide: 57.6, to a multiple of 8
    ("layers", (900, 480), (48, 24)),  # 45; 8 divides the size of training
  ],
)
def test_wide_videos_keep_their_aspect(
  monkeypatch, tmp_path, tracking, native, size
):
  system = _RepeatFirst()
  system.tracking = tracking
  evaluator = _evaluator(monkeypatch, tmp_path, system, _TwoObjects())
  assert evaluator._runner.fit(native) == size


def test_sweep_measures_j_at_each_threshold():
  soft = np.zeros((3, *SIZE, 1), np.float32)
  soft[:, 2:10, 2:10] = 0.6  # the object
  soft[:, 2:10, 10:18] = 0.3  # as large, beside it
  video = _KnownBackgrounds(a=1).sequence("a", num_frames=4)
  j = thresholds.measure(video, soft)
  assert j["55"] == j["75"] == 0.5  # 75.5 / 254 = .297
  assert j["85"] == j["138"] == 1.0
  assert j["180"] == 0.0


def test_samples_work_without_layers(evaluator):
  evaluator.prepare_samples()
  (sheet,) = evaluator.samples(_NETS).values()
  assert sheet.dtype == np.uint8 and sheet.ndim == 3


def test_labels_are_those_of_the_largest_soft_mask():
  soft = np.zeros((2, 3, 2), np.float32)
  soft[0, 0] = 0.3, 0.3  # background has .4
  soft[0, 1] = 0.2, 0.6
  soft[1, 2] = 0.55, 0.0
  labels = label_maps.cut(soft)
  np.testing.assert_array_equal(labels, [[0, 2, 0], [0, 0, 1]])


def test_video_of_one_frame_is_skipped(monkeypatch, tmp_path, caplog):
  class OneFrame(_TwoObjects):
    names = ("pair", "one")

    def sequence(self, name, *, num_frames=None, fit=None):
      count = 1 if name == "one" else num_frames
      return super().sequence(name, num_frames=count) | {"name": name}

  evaluator = _evaluator(monkeypatch, tmp_path, _RepeatFirst(), OneFrame())
  heads, _, _ = evaluator.run(_NETS, folder=tmp_path, limit=0, write=True)
  assert "one has one frame only: not scored" in caplog.text
  assert all(set(head.scores) == {"pair"} for head in heads)
