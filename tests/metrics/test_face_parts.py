"""Scores of parts and expressions on cases with known values."""

import numpy as np

from foregan_jax.metrics import face_parts


def _masks():
  """Return two faces of 4 x 4 pixels; the second channel is always empty."""
  masks = np.zeros((2, 4, 4, 2), bool)
  masks[:, :2, :2, 0] = True
  return masks


def test_iou_is_pooled_and_leaves_out_absent_parts():
  truth, predicted = _masks(), _masks()
  predicted[0, ..., 0] = False
  predicted[1, 3, 3] = True
  scores = face_parts.iou(predicted, truth)
  assert scores[0] == 4 / 9 and np.isnan(scores[1])


def test_mean_mask_has_the_best_threshold():
  truth = np.zeros((5, 1, 3, 1), bool)
  truth[:, 0, 0] = True  # of all faces, of most, of one
  truth[:3, 0, 1] = True
  truth[0, 0, 2] = True
  guess = face_parts.mean_mask(truth)
  np.testing.assert_array_equal(guess[0, :, 0], [True, True, False])


def test_recall_is_not_that_of_the_most_frequent_label():
  labels = np.array([0, 0, 0, 1, 2])
  assert face_parts.most_frequent(labels) == 0
  scores = face_parts.accuracy(np.zeros(5, int), labels)
  np.testing.assert_allclose(scores["accuracy"], 0.6)
  np.testing.assert_allclose(scores["recall"], 1 / 3)
