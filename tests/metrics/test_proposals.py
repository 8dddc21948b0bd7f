"""Proposals and their scores, against brute force and simple cases."""

import itertools

import numpy as np
import pytest

from foregan_jax.metrics import davis, proposals


def _flood_fill(mask):
  """Return the connected components of [t, h, w] by flood fill."""
  offsets = list(itertools.product((-1, 0, 1), repeat=3))
  remaining, components = {tuple(i) for i in np.argwhere(mask).tolist()}, []
  while remaining:
    frontier = [remaining.pop()]
    component = set(frontier)
    while frontier:
      at = frontier.pop()
      near = {tuple(a + d for a, d in zip(at, o, strict=True)) for o in offsets}
      frontier += near & remaining
      component |= near & remaining
      remaining -= near
    components.append(component)
  return components


def test_components_connect_across_corners_of_space_and_time():
  mask = np.zeros((4, 6, 6), bool)
  mask[0, 0, 0] = mask[1, 1, 1] = True  # one step in t, y and x
  mask[1, 4, 4] = True
  mask[3, 4, 4] = True  # a gap of one frame: another component
  components = proposals.connected_components(mask)
  assert components.dtype == np.uint8
  assert components[0, 0, 0] == components[1, 1, 1] == 1
  assert (components[1, 4, 4], components[3, 4, 4]) == (2, 3)
  assert not components[~mask].any()


def test_components_are_numbered_by_size_up_to_the_limit():
  mask = np.zeros((2, 3, 12), bool)
  mask[0, 0, 0] = True
  mask[:, 0, 3:5] = True  # four pixels
  mask[1, 0, 7:10] = True  # three
  numbers = lambda c: (c[0, 0, 0], c[0, 0, 3], c[1, 0, 7])
  assert numbers(proposals.connected_components(mask)) == (3, 1, 2)
  assert numbers(proposals.connected_components(mask, limit=2)) == (0, 1, 2)
  assert proposals.connected_components(np.zeros((1, 2, 2), bool)).sum() == 0


def test_default_limit_is_that_of_the_task():
  mask = np.zeros((1, 1, 60), bool)
  mask[..., ::2] = True
  assert proposals.connected_components(mask).max() == 20


@pytest.mark.parametrize("seed", range(4))
def test_components_equal_a_flood_fill(seed):
  mask = np.random.default_rng(seed).random((4, 6, 7)) < 0.12
  flooded = _flood_fill(mask)
  components = proposals.connected_components(mask)
  assert components.max() == len(flooded) > 1
  for component in flooded:
    numbers = {int(components[at]) for at in component}
    assert len(numbers) == 1
    assert (components == numbers.pop()).sum() == len(component)
  sizes = np.bincount(components.ravel())[1:]
  assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("mask", [np.zeros((2, 2), bool), np.zeros((1, 2, 2))])
def test_other_masks_are_refused(mask):
  with pytest.raises(ValueError, match="boolean mask"):
    proposals.connected_components(mask)


def _boxes(count, *boxes):
  """Return `count` frames with boxes (label, top, left, bottom, right)."""
  frame = np.zeros((20, 30), np.uint8)
  for label, top, left, bottom, right in boxes:
    frame[top:bottom, left:right] = label
  return [frame.copy() for _ in range(count)]


def test_one_object_gets_the_best_proposal():
  truth = _boxes(5, (1, 2, 2, 12, 12))
  # Proposal 1 covers more of the object, proposal 2 has the higher J and F.
  pred = _boxes(5, (1, 0, 0, 20, 12), (2, 2, 2, 10, 12))
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.8)
  assert scores[1]["frames"].tolist() == [1, 2, 3]
  best = [(p == 2).astype(np.uint8) for p in pred]
  expected = davis.score_sequence(best, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["F"], expected[1]["F"])


def test_assignment_uses_scored_frames_only():
  truth = _boxes(5, (1, 2, 2, 12, 12))
  pred = _boxes(5, (1, 2, 2, 12, 11), (2, 12, 2, 14, 12))
  for t in (0, 4):  # the first and the last frame are not scored
    pred[t] = np.where(truth[t] == 1, 2, 0).astype(np.uint8)
  truth[2] = None
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.9)
  assert scores[1]["frames"].tolist() == [1, 3]


def test_proposals_match_at_most_one_object():
  truth = _boxes(4, (1, 0, 0, 10, 10), (2, 0, 10, 10, 12))
  pred = _boxes(4, (1, 0, 0, 10, 12))
  scores = proposals.score_sequence(pred, truth, objects=(1, 2))
  np.testing.assert_allclose(scores[1]["J"], 10 / 12)
  # J of object 2 would be 2 / 12 if the proposal could match both.
  np.testing.assert_allclose(scores[2]["J"], 0.0)


def test_objects_without_proposals_get_empty_masks():
  truth = _boxes(4, (1, 0, 0, 10, 10))
  truth[2][:] = 0  # an empty prediction is correct here
  pred = _boxes(4)
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_array_equal(scores[1]["J"], [0, 1])
  np.testing.assert_array_equal(scores[1]["F"], [0, 1])


def test_void_pixels_are_background():
  truth = _boxes(4, (1, 0, 0, 10, 10), (255, 10, 0, 20, 10))
  pred = _boxes(4, (1, 0, 0, 20, 10))
  scores = proposals.score_sequence(pred, truth, objects=(1,))
  np.testing.assert_allclose(scores[1]["J"], 0.5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_proposals", [1, 3, 4])
def test_assignment_is_optimal(seed, num_proposals):
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
      relabelled = [np.where(f == p, k, 0).astype(np.uint8) for f in pred]
      one = davis.score_sequence(relabelled, truth, objects=(k,))[k]
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
