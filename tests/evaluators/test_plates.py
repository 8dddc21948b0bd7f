"""Errors of backgrounds inside true masks, and their sheets."""

import numpy as np
import pytest

from foregan_jax.evaluators import plates
from foregan_jax.media import images

SIZE = (16, 24)
# Grey level of the true background of each frame.
LEVEL = [100 + 10 * t for t in range(5)]


def _hole(t):
  return np.s_[4:8, 6 + t : 10 + t]


def sequence(count=5):
  """Return a square of 200 that moves right over a brightening grey."""
  frames = np.stack([np.full((*SIZE, 3), g, np.uint8) for g in LEVEL[:count]])
  truth, labels = frames.copy(), []
  for t in range(count):
    frames[t][_hole(t)] = 200
    label = np.zeros((2 * SIZE[0], 2 * SIZE[1]), np.uint8)
    label[8:16, 2 * (6 + t) : 2 * (10 + t)] = 1
    labels.append(label)
  ref_mask = np.zeros((*SIZE, 1), np.uint8)
  ref_mask[_hole(0)] = 255
  return {
    "name": "square", "frames": frames, "labels": labels,
    "ref_mask": ref_mask, "background": lambda t: truth[t],
  }  # fmt: skip


def test_errors_equal_values_computed_by_hand():
  known = plates.read(sequence())
  assert known.frames == (1, 2, 3)
  drawn = np.zeros((4, *SIZE, 3), np.uint8)
  for i in range(4):
    drawn[i] = 255  # only the hole counts
    drawn[i][_hole(i + 1)] = LEVEL[i + 1]
  drawn[1][_hole(2)] += np.array([3, 0, 9], np.uint8)  # off by 4
  drawn[2][_hole(3)] -= 5
  errors = plates.measure(known, {plates.GENERATOR: drawn})
  assert errors == {
    "generator": pytest.approx((0 + 4 + 5) / 3),
    "rows": 0.0,  # the frame has the true grey beside the hole
    "first_rows": pytest.approx((10 + 20 + 30) / 3),
  }


def test_frames_have_equal_weight_with_any_hole_size():
  video = sequence()
  video["labels"][1][:] = 1  # the whole frame
  video["labels"][2][:] = 0  # no object: the frame does not count
  known = plates.read(video)
  assert known.frames == (1, 3)
  assert known.holes[0].all() and known.holes[1].sum() == 16
  drawn = known.truth[[0, 0, 1, 1]].copy()
  drawn[0] += 8
  assert plates.error(known, drawn[[0, 2]]) == pytest.approx(4)


def test_partly_covered_pixels_count():
  video = sequence()
  for label in video["labels"]:
    label[:] = 0
    label[9, 13] = 1  # a quarter of one pixel at network size
    label[0, 0] = images.VOID
  known = plates.read(video)
  assert np.argwhere(known.holes[0]).tolist() == [[4, 6]]


def test_frames_without_truth_or_label_are_skipped():
  video = sequence()
  behind = video["background"]
  video["labels"][2] = None
  video["background"] = lambda t: None if t == 3 else behind(t)
  assert plates.read(video).frames == (1,)
  video["background"] = lambda t: None
  assert plates.read(video) is None
  assert plates.read(sequence(2)) is None  # no inner frame


def test_batched_row_filling_equals_that_of_single_frames():
  """The padding of the last batch changes nothing."""
  rng = np.random.default_rng(0)
  count = 2 * plates._BATCH + 3
  frames = rng.integers(0, 256, (count, *SIZE, 3), np.uint8)
  holes = rng.random((count, *SIZE)) < 0.1
  filled = plates._fill_rows(frames, holes)
  assert filled.shape == frames.shape and filled.dtype == np.uint8
  np.testing.assert_array_equal(filled[~holes], frames[~holes])
  for i in (0, plates._BATCH, count - 1):
    alone = plates._fill_rows(frames[i : i + 1], holes[i : i + 1])
    np.testing.assert_array_equal(filled[i], alone[0])


def test_sheet_shows_all_frames_and_rows(tmp_path):
  known = plates.read(sequence())
  drawn = np.repeat(np.full((1, *SIZE, 3), 7, np.uint8), 4, axis=0)
  path = tmp_path / "plates" / "square.png"
  plates.measure(known, {plates.GENERATOR: drawn}, path)
  written = images.read_image(path)
  # Three rows of five pictures, enlarged from 16 x 24 to 64 x 96.
  assert written.shape[0] > 3 * 64 and written.shape[1] > 5 * 96
  assert (written == 7).all(-1).sum() >= 3 * 64 * 96


def test_scalars_and_table_have_the_mean_errors(capsys):
  errors = {"generator": {"a": 2.0, "b": 4.0}, "rows": {"a": 3.5, "b": 3.5}}
  assert plates.scalars(errors) == {
    "background/generator_mae": 3.0,
    "background/rows_mae": 3.5,
  }
  plates.show(errors)
  lines = capsys.readouterr().out.splitlines()
  assert lines[1].split()[:3] == ["generator", "*", "3.00"]
  assert lines[2].split()[:2] == ["rows", "3.50"]
  plates.show({})
  assert capsys.readouterr().out == ""
