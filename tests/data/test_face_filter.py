"""The filter of faces by the size of their parts."""

import numpy as np
import pytest

from foregan_jax.data import face_filter, face_labels


def test_filter_counts_pixels_strictly():
  counts = {"eyes": 201, "brows": 201, "mouth": 0, "lips": 201}
  required = ("eyes", "brows", "lips")

  def keep(changes, value=1.0, names=face_labels.PARTS):
    parts = np.zeros((256 * 256, 4), np.float32)
    for i, name in enumerate(names):
      parts[: (counts | changes)[name], i] = value
    return face_filter.filter_parts(parts.reshape(256, 256, 4), names, required)

  assert keep({})[0]  # without an inner mouth
  for name in required:
    kept, found = keep({name: 200})
    assert not kept and found[face_labels.PARTS.index(name)] == 200
  assert not keep({}, value=0.5)[0] and keep({}, value=0.51)[0]
  moved = ("lips", "mouth", "eyes", "brows")
  assert keep({"mouth": 0}, names=moved)[0]
  assert not keep({"brows": 0}, names=moved)[0]
  with pytest.raises(ValueError, match="no mask of nose"):
    face_filter.filter_parts(np.zeros((8, 8, 4)), moved, ("nose",))


def test_filter_scales_with_the_area_and_reads_coverage():
  parts = np.zeros((2, 128, 128, 1), np.uint8)
  parts[0, :5, :10] = 255  # 50 pixels: 200 at 256 x 256
  parts[1, :3, :17] = 128  # 51 pixels
  kept, counts = face_filter.filter_parts(parts, ("eyes",), ("eyes",))
  np.testing.assert_array_equal(kept, [False, True])
  np.testing.assert_array_equal(counts, [[50], [51]])
