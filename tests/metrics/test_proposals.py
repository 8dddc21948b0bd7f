"""Proposals and their scores, by hand and by brute force."""

import itertools

import numpy as np
import pytest

from foregan_jax.metrics import davis, proposals


def _flood(mask):
  """Numbers the parts of [t, h, w] by walking from pixel to pixel."""
  steps = list(itertools.product((-1, 0, 1), repeat=3))
  todo, parts = {tuple(i) for i in np.argwhere(mask).tolist()}, []
  while todo:
    edge = [todo.pop()]
    part = set(edge)
    while edge:
      at = edge.pop()
      near = {tuple(a + d for a, d in zip(at, s, strict=True)) for s in steps}
      edge += near & todo
      part |= near & todo
      todo -= near
    parts.append(part)
  return parts


def test_neighbours_touch_across_corners_of_space_and_time():
  mask = np.zeros((4, 6, 6), bool)
  mask[0, 0, 0] = mask[1, 1, 1] = True  # one step in t, y and x
  mask[1, 4, 4] = True
  mask[3, 4, 4] = True  # a frame later it is another object
  parts = proposals.connected(mask)
  assert parts.dtype == np.uint8
  assert parts[0, 0, 0] == parts[1, 1, 1] == 1
  assert (parts[1, 4, 4], parts[3, 4, 4]) == (2, 3)
  assert not parts[~mask].any()


def test_parts_are_numbered_by_size_and_the_smallest_go():
  mask = np.zeros((2, 3, 12), bool)
  mask[0, 0, 0] = True
  mask[:, 0, 3:5] = True  # four pixels
  mask[1, 0, 7:10] = True  # three
  parts = proposals.connected(mask)
  assert [parts[0, 0, 0], parts[0, 0, 3], parts[1, 0, 7]] == [3, 1, 2]
  parts = proposals.connected(mask, limit=2)
  assert [parts[0, 0, 0], parts[0, 0, 3], parts[1, 0, 7]] == [0, 1, 2]
  assert proposals.connected(np.zeros((1, 2, 2), bool)).sum() == 0


def test_the_limit_is_the_tasks():
  mask = np.zeros((1, 1, 60), bool)
  mask[..., ::2] = True
  assert proposals.connected(mask).max() == 20


@pytest.mark.parametrize("seed", range(4))
def test_parts_are_those_of_a_flood(seed):
  mask = np.random.default_rng(seed).random((4, 6, 7)) < 0.12
  flooded = _flood(mask)
  parts = proposals.connected(mask)
  assert parts.max() == len(flooded) > 1
  for part in flooded:
    numbers = {int(parts[at]) for at in part}
    assert len(numbers) == 1
    assert (parts == numbers.pop()).sum() == len(part)
  sizes = np.bincount(parts.ravel())[1:]
  assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("mask", [np.zeros((2, 2), bool), np.zeros((1, 2, 2))])
def test_other_arrays_are_refused(mask):
  with pytest.raises(ValueError, match="boolean mask"):
    proposals.connected(mask)


def _boxes(count, *boxes):
  """Draws (label, top, left, bottom, right) in each of `count` frames."""
  frame = np.zeros((20, 30), np.uint8)
  for label, top, left, bottom, right in boxes:
    frame[top:bottom, left:right] = label
  return [frame.copy() for _ in range(count)]


def test_one_object_gets_the_best_proposal():
  truth = _boxes(5, (1, 2, 2, 12, 12))
  # The larger proposal covers more of it, the second one fits better.
  pred = _boxes(5, (1, 0, 0, 20, 12), (2, 2, 2, 10, 12))
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.8)
  assert scores[1]["frames"].tolist() == [1, 2, 3]
  alone = [(p == 2).astype(np.uint8) for p in pred]
  wanted = davis.score_sequence(alone, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["F"], wanted[1]["F"])


def test_the_match_looks_at_scored_frames_only():
  truth = _boxes(5, (1, 2, 2, 12, 12))
  pred = _boxes(5, (1, 2, 2, 12, 11), (2, 12, 2, 14, 12))
  for t in (0, 4):  # neither the first nor the last frame counts
    pred[t] = np.where(truth[t] == 1, 2, 0).astype(np.uint8)
  truth[2] = None
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.9)
  assert scores[1]["frames"].tolist() == [1, 3]


def test_no_proposal_serves_two_objects():
  truth = _boxes(4, (1, 0, 0, 10, 10), (2, 0, 10, 10, 12))
  pred = _boxes(4, (1, 0, 0, 10, 12))
  scores = proposals.score_sequence(pred, truth, objects=(1, 2))
  np.testing.assert_allclose(scores[1]["J"], 10 / 12)
  np.testing.assert_allclose(scores[2]["J"], 0.0)  # 2 / 12 if it had it too


def test_empty_masks_without_proposals():
  truth = _boxes(4, (1, 0, 0, 10, 10))
  truth[2][:] = 0  # nothing where nothing is: right
  pred = _boxes(4)
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_array_equal(scores[1]["J"], [0, 1])
  np.testing.assert_array_equal(scores[1]["F"], [0, 1])


def test_void_is_background_as_for_other_heads():
  truth = _boxes(4, (1, 0, 0, 10, 10), (255, 10, 0, 20, 10))
  pred = _boxes(4, (1, 0, 0, 20, 10))
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_proposals", [1, 3, 4])
def test_the_assignment_is_the_best_of_all(seed, num_proposals):
  rng = np.random.default_rng(seed)
  objects = (1, 2, 3)

  def blobs(count):
    frames = []
    for _ in range(4):
      labels = rng.integers(0, count + 1, (4, 5), np.uint8)
      frames.append(np.kron(labels, np.ones((4, 4), np.uint8)))
    return frames

  truth, pred = blobs(len(objects)), blobs(num_proposals)
  candidates = range(1, 1 + max(num_proposals, len(objects)))
  quality = {}
  for p in candidates:
    for k in objects:
      moved = [np.where(f == p, k, 0).astype(np.uint8) for f in pred]
      one = davis.score_sequence(moved, truth, objects=(k,))[k]
      quality[p, k] = (one["J"].mean() + one["F"].mean()) / 2
  best = max(
    sum(quality[p, k] for p, k in zip(chosen, objects, strict=True))
    for chosen in itertools.permutations(candidates, len(objects))
  )
  scores = proposals.score_sequence(pred, truth, objects=objects)
  assert list(scores) == [1, 2, 3]
  got = sum((s["J"].mean() + s["F"].mean()) / 2 for s in scores.values())
  assert got == pytest.approx(best)


def test_too_many_proposals_are_refused():
  pred = _boxes(4, *((p, 0, p, 2, p + 1) for p in range(1, 22)))
  with pytest.raises(ValueError, match="21 proposals, but the task allows 20"):
    proposals.score_sequence(pred, _boxes(4), objects=(1,))
  with pytest.raises(ValueError, match="3 predicted frames, but 4"):
    proposals.score_sequence(_boxes(3), _boxes(4), objects=(1,))
