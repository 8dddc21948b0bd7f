"""J, F and their statistics are equal to those of the official toolkit."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from foregan_jax.metrics import davis, toolkit
from tests.golden import masks

H, W = 480, 854


def box(y0, y1, x0, x1, size=(H, W)):
  mask = np.zeros(size, bool)
  mask[y0:y1, x0:x1] = True
  return mask


TRUTH = box(100, 200, 200, 400)


def fast_boundary(mask):
  """Return the boundary that `davis` uses, as an array."""
  (h, w), stride = mask.shape, mask.shape[1] + 1
  bits = davis._boundary(davis._to_bits(mask, stride), stride)
  places = np.arange(h)[:, None] * stride + np.arange(w)
  return np.array([[bits >> int(i) & 1 for i in row] for row in places])


def slow_boundary_accuracy(pred, truth, radius):
  """Return F from the distances of all pairs of boundary pixels."""
  p, g = (np.argwhere(toolkit.boundary(mask)) for mask in (pred, truth))
  if not len(p) or not len(g):
    return float(len(p) == len(g))
  near = ((p[:, None] - g[None]) ** 2).sum(-1) <= radius**2
  precision, recall = near.any(1).mean(), near.any(0).mean()
  if precision + recall == 0:
    return 0.0
  return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("method", ["rgmp", "osvos"])
@pytest.mark.parametrize("sequence", ["car-shadow", "motocross-jump"])
def test_scores_equal_the_official_toolkit(shared_data, method, sequence):
  root = shared_data / "davis_metric_small"
  golden = json.loads((root / "golden.json").read_text())
  golden = golden["methods"][method][sequence]
  annotations = shared_data / "DAVIS" / "Annotations" / "480p" / sequence
  num_frames = len(list(annotations.glob("*.png")))
  pred, truth = [], []
  for t in davis.scored_frames(num_frames):
    name = f"{t:05d}.png"
    pred.append(np.asarray(Image.open(root / method / sequence / name)) > 0)
    truth.append(np.asarray(Image.open(annotations / name)) > 0)
  pred, truth = np.stack(pred), np.stack(truth)
  j = davis.region_similarity(pred, truth)
  f = davis.boundary_accuracy(pred, truth)
  np.testing.assert_allclose(j, golden["J"], rtol=0, atol=1e-6)
  np.testing.assert_allclose(f, golden["F"], rtol=0, atol=1e-6)
  for values, name in ((j, "J_stat"), (f, "F_stat")):
    np.testing.assert_allclose(
      davis.statistics(values), golden[name], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("size", masks.SIZES)
def test_scores_equal_the_golden_ones(size):
  h, w = size
  expected = json.loads(masks.PATH.read_text())[f"{h}x{w}"]
  for got, stored in zip(masks.scores(size), expected, strict=True):
    assert got.keys() == stored.keys()
    for name, values in stored.items():
      np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
  "pred, j, f",
  [
    (TRUTH, 1, 1),
    (box(100, 200, 205, 405), 0.951220, 1),
    (box(100, 200, 209, 409), 0.913876, 0.693333),
    (box(120, 220, 220, 420), 0.562500, 0.056667),
    (box(90, 210, 190, 410), 0.757576, 0),
    (np.zeros((H, W), bool), 0, 0),
    (np.ones((H, W), bool), 0.048790, 0),
  ],
)
def test_scores_of_simple_masks(pred, j, f):
  assert davis.region_similarity(pred, TRUTH) == pytest.approx(j, abs=1e-6)
  assert davis.boundary_accuracy(pred, TRUTH) == pytest.approx(f, abs=1e-6)


def test_tolerance_of_a_small_frame_is_one_pixel():
  truth = box(10, 30, 20, 50, (48, 85))
  pred = box(12, 32, 21, 51, (48, 85))
  j = davis.region_similarity(pred, truth)
  f = davis.boundary_accuracy(pred, truth)
  assert j == pytest.approx(0.769912, abs=1e-6)
  assert f == pytest.approx(0.41, abs=1e-6)
  assert davis.boundary_accuracy(pred, truth, tolerance=1) == f
  assert davis.boundary_accuracy(pred, truth, tolerance=3) == 1


def test_two_empty_masks_agree():
  empty = np.zeros((48, 85), bool)
  assert davis.region_similarity(empty, empty) == 1
  assert davis.boundary_accuracy(empty, empty) == 1


def test_prediction_of_an_absent_object_scores_zero():
  empty, pred = np.zeros((48, 85), bool), box(10, 30, 20, 50, (48, 85))
  assert davis.region_similarity(pred, empty) == 0
  assert davis.boundary_accuracy(pred, empty) == 0


def test_boundary_lies_up_and_left():
  expected = np.zeros((5, 6), int)
  expected[[0, 3], 1:5] = 1
  expected[1:3, [1, 4]] = 1
  np.testing.assert_array_equal(
    fast_boundary(box(1, 4, 2, 5, (5, 6))), expected
  )


def test_boundary_at_the_image_border():
  # If all pixels are foreground, none differs from a neighbour. Pixels outside
  # of the image are no neighbours.
  assert not fast_boundary(np.ones((5, 6), bool)).any()
  # In the last row and column only neighbours along the edge count.
  expected = np.zeros((5, 6), int)
  expected[2, 3:] = 1
  expected[2:, 3] = 1
  np.testing.assert_array_equal(
    fast_boundary(box(3, 5, 4, 6, (5, 6))), expected
  )


def test_boundary_accuracy_equals_its_definition():
  rng = np.random.default_rng(0)
  for radius in (1, 2, 3):
    for density in (0.02, 0.3, 0.9):
      pred, truth = rng.random((2, 23, 31)) < density
      fast = davis.boundary_accuracy(pred, truth, tolerance=radius)
      slow = slow_boundary_accuracy(pred, truth, radius)
      assert fast == pytest.approx(slow, abs=1e-12)


def test_scores_of_a_stack_equal_those_of_its_frames():
  rng = np.random.default_rng(1)
  pred, truth, void = rng.random((3, 4, 20, 30)) < 0.3
  for metric in (davis.region_similarity, davis.boundary_accuracy):
    stacked = metric(pred, truth, void)
    single = [metric(*f) for f in zip(pred, truth, void, strict=True)]
    assert stacked.shape == (4,)
    np.testing.assert_array_equal(stacked, single)


def test_void_pixels_are_ignored():
  size = (48, 85)
  truth = box(10, 30, 20, 50, size)
  pred = box(10, 30, 20, 60, size)
  void = box(0, 48, 50, 85, size)
  assert davis.region_similarity(pred, truth) == 0.75
  assert davis.region_similarity(pred, truth, void) == 1
  assert davis.boundary_accuracy(pred, truth) < 1
  assert davis.boundary_accuracy(pred, truth, void) == 1
  all_void = np.ones(size, bool)
  assert davis.region_similarity(pred, truth, all_void) == 1
  assert davis.boundary_accuracy(pred, truth, all_void) == 1


def test_inputs_are_not_modified():
  rng = np.random.default_rng(2)
  arrays = list(rng.random((3, 20, 30)) < 0.5)
  copies = [a.copy() for a in arrays]
  davis.region_similarity(*arrays)
  davis.boundary_accuracy(*arrays)
  for array, copy in zip(arrays, copies, strict=True):
    np.testing.assert_array_equal(array, copy)


def test_views_are_accepted():
  mask = np.asfortranarray(box(3, 9, 4, 20, (20, 30)))
  assert davis.boundary_accuracy(mask, mask[::-1][::-1]) == 1


@pytest.mark.parametrize(
  "n, mean, recall, decay",
  [
    (3, 0.5, 0.333333, 0.75),
    (10, 0.5, 0.5, 0.777778),
    (23, 0.5, 0.478261, 0.75),
  ],
)
def test_statistics_of_a_ramp(n, mean, recall, decay):
  np.testing.assert_allclose(
    davis.statistics(np.linspace(1, 0, n)), (mean, recall, decay), atol=1e-6
  )


def test_decay_of_a_long_video():
  # 1 in the first half, 0 in the second. For these lengths the toolkit's uint8
  # indices wrap around and give NaN or wrong values.
  for n in (257, 300, 1000):
    values = np.repeat([1.0, 0.0], [n // 2, n - n // 2])
    assert davis.statistics(values)[2] == 1
  assert davis.statistics(np.linspace(1, 0, 1001))[2] == pytest.approx(0.75)


def test_statistics_of_nan_and_single_values():
  assert davis.statistics([0.6]) == (0.6, 1, 0)
  assert davis.statistics([0.5])[1] == 0  # strictly above
  mean, recall, _ = davis.statistics([1.0, float("nan")])
  assert (mean, recall) == (1, 0.5)


@pytest.mark.parametrize("values", [[], np.ones((1, 2))])
def test_statistics_refuses_other_shapes(values):
  with pytest.raises(ValueError, match="one value per frame"):
    davis.statistics(values)


@pytest.mark.parametrize(
  "metric", [davis.region_similarity, davis.boundary_accuracy]
)
def test_errors_name_the_wrong_array(metric):
  mask = np.zeros((4, 5), bool)
  with pytest.raises(ValueError, match="pred must be a boolean.*uint8"):
    metric(mask.astype(np.uint8), mask)
  with pytest.raises(ValueError, match="truth must be a boolean.*float"):
    metric(mask, mask.astype(np.float32))
  with pytest.raises(ValueError, match=r"truth has shape \(5, 4\)"):
    metric(mask, mask.T)
  with pytest.raises(ValueError, match=r"void has shape \(4, 6\)"):
    metric(mask, mask, np.zeros((4, 6), bool))
  with pytest.raises(ValueError, match=r"got \(4,\)"):
    metric(mask[:, 0], mask[:, 0])
  with pytest.raises(ValueError, match=r"got \(0, 5\)"):
    metric(mask[:0], mask[:0])


def test_negative_tolerance_is_refused():
  mask = np.zeros((4, 5), bool)
  with pytest.raises(ValueError, match="negative"):
    davis.boundary_accuracy(mask, mask, tolerance=-0.1)


@pytest.mark.parametrize("size", [(48, 85), (61, 64), (120, 214)])
def test_scores_equal_the_steps_of_the_toolkit(size):
  # Objects of all sizes, cut by all edges of the image, some missing.
  rng = np.random.default_rng(2)
  y, x = np.mgrid[: size[0], : size[1]]

  def labels():
    out = np.zeros(size, np.uint8)
    for k in rng.permutation([1, 2, 3, 7]):
      cy, cx = rng.uniform(-0.1, 1.1, 2) * size
      radius = rng.uniform(0, 0.5) * size[0]
      out[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = k
    return out

  pred, truth = ([labels() for _ in range(30)] for _ in range(2))
  truth[4] = pred[4]
  scores = davis.score_sequence(pred, truth, objects=[1, 2, 3, 7])
  for k, values in scores.items():
    pairs = [(pred[t] == k, truth[t] == k) for t in values["frames"]]
    j = [toolkit.region_similarity(*pair) for pair in pairs]
    f = [toolkit.boundary_accuracy(*pair) for pair in pairs]
    np.testing.assert_allclose(values["J"], j, atol=1e-12)
    np.testing.assert_allclose(values["F"], f, atol=1e-12)
    assert 0 < np.mean(j) < 1
    assert 0 < np.mean(f) < 1


def test_score_sequence():
  truth = [np.zeros((20, 30), np.uint8) for _ in range(6)]
  for labels in truth:
    labels[2:8, 2:8] = 1
    labels[10:18, 10:28] = 2
    labels[0, :] = davis.VOID  # background, as in the toolkit
  pred = [np.where(t == davis.VOID, 0, t).astype(np.uint8) for t in truth]
  pred[2][pred[2] == 2] = 0
  truth[3] = None  # not annotated
  pred[3] = None
  pred[0] = pred[5] = None  # not scored
  scores = davis.score_sequence(pred, truth, objects=[1, 2])
  assert list(scores) == [1, 2]
  np.testing.assert_array_equal(scores[1]["frames"], [1, 2, 4])
  np.testing.assert_array_equal(scores[1]["J"], [1, 1, 1])
  np.testing.assert_array_equal(scores[2]["J"], [1, 0, 1])
  np.testing.assert_array_equal(scores[2]["F"], [1, 0, 1])


def test_score_sequence_refuses_wrong_inputs():
  labels = [np.zeros((20, 30), np.uint8)] * 4
  with pytest.raises(ValueError, match="3 predicted frames, but 4"):
    davis.score_sequence(labels[:3], labels, objects=[1])
  with pytest.raises(ValueError, match="no frame to score"):
    davis.score_sequence(labels[:2], labels[:2], objects=[1])
  with pytest.raises(ValueError, match="frame 1 is scored but has no"):
    davis.score_sequence([labels[0], None, *labels[2:]], labels, objects=[1])
  wrong = [np.full((20, 30), 3, np.uint8)] * 4
  with pytest.raises(ValueError, match=r"labels \[3\].*objects are \[1\]"):
    davis.score_sequence(wrong, labels, objects=[1])
  with pytest.raises(ValueError, match="uint8, got int64"):
    davis.score_sequence([x.astype(int) for x in labels], labels, objects=[1])
  small = [np.zeros((10, 30), np.uint8)] * 4
  with pytest.raises(ValueError, match=r"shape \(10, 30\)"):
    davis.score_sequence(small, labels, objects=[1])


def test_importable_without_jax():
  code = (
    "import sys; from foregan_jax.metrics import davis; "
    "bad = {'jax', 'flax', 'PIL', 'jaxtyping'} & set(sys.modules); "
    "sys.exit(str(bad) if bad else 0)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
