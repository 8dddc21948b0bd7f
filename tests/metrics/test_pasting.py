"""Metrics of pasted regions, on pictures with known changes."""

import numpy as np
import pytest

from foregan_jax.metrics import pasting

_BOX = (2, 3, 6, 8)


@pytest.fixture
def source():
  rng = np.random.default_rng(0)
  return rng.integers(50, 100, (8, 10, 3)).astype(np.uint8)


def _where():
  where = np.zeros((8, 10), bool)
  where[2:6, 3:8] = True
  return where


def test_change_is_the_mean_of_the_given_pixels(source):
  edited = source.copy()
  edited[2:6, 3:8, 0] -= 30
  assert pasting.change(edited, source, _where()) == pytest.approx(10)
  assert pasting.change(edited, source, ~_where()) == 0
  assert pasting.change(edited, source, np.zeros((8, 10), bool)) == 0


def test_drift_is_that_of_the_mean(source):
  edited = source.copy()
  edited[2:6, 3:8, 1] += 12
  assert pasting.drift(edited, source, _where()) == pytest.approx(4)
  # Changes that cancel do not move the mean.
  edited = source.copy()
  edited[2:4, 3:8] += 9
  edited[4:6, 3:8] -= 9
  assert pasting.drift(edited, source, _where()) == pytest.approx(0, abs=1e-4)


def test_edge_is_the_added_jump_across_the_border():
  flat = np.full((8, 10, 3), 60, np.uint8)
  edited = flat.copy()
  edited[2:6, 3:8] = 85
  assert pasting.edge(edited, flat, _BOX) == pytest.approx(25)
  assert pasting.edge(flat, edited, _BOX) == pytest.approx(-25)
  # A change inside the box does not count.
  edited = flat.copy()
  edited[3:5, 4:7] = 200
  assert pasting.edge(edited, flat, _BOX) == 0


def test_borders_of_the_picture_are_no_edges():
  flat = np.full((8, 10, 3), 60, np.uint8)
  assert pasting.edge(flat + np.uint8(9), flat, (0, 0, 8, 10)) == 0
  edited = flat.copy()
  edited[:, 5:] = 90
  assert pasting.edge(edited, flat, (0, 5, 8, 10)) == pytest.approx(30)
