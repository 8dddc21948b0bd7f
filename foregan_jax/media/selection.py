"""A few of many: frames or pictures to show or to measure."""

import numpy as np


def evenly_spaced(length: int, count: int) -> list[int]:
  """Return at most `count` different indices, from the first to the last.

  Args:
    length: number of items.
    count: largest number of indices; of one, it is the first item.
  """
  places = np.linspace(0, length - 1, min(length, count))
  return places.round().astype(int).tolist()
