"""Indices of a few of many."""

import pytest

from foregan_jax.media import selection


@pytest.mark.parametrize(
  "length, count, expected",
  [
    (0, 4, []),
    (3, 4, [0, 1, 2]),
    (9, 1, [0]),
    (9, 3, [0, 4, 8]),
    (1000, 2, [0, 999]),
  ],
)
def test_indices_are_spread_from_first_to_last(length, count, expected):
  assert selection.evenly_spaced(length, count) == expected


def test_indices_differ():
  for length in range(1, 60):
    for count in range(1, length + 1):
      chosen = selection.evenly_spaced(length, count)
      assert len(set(chosen)) == count
