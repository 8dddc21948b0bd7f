import math

import pytest

from foregan_jax.metrics import clusters


def test_nmi_ignores_the_names_of_clusters():
  scores = clusters.nmi([5, 5, 2, 2, 9], ["a", "a", "b", "b", "c"])
  assert scores["nmi_max"] == pytest.approx(1)
  assert scores["nmi_mean"] == pytest.approx(1)


def test_nmi_of_independent_labellings_is_zero():
  scores = clusters.nmi([0, 0, 1, 1], [0, 1, 0, 1])
  assert scores == pytest.approx({"nmi_max": 0, "nmi_mean": 0}, abs=1e-12)
  assert clusters.nmi([0, 0], [0, 1]) == {"nmi_max": 0, "nmi_mean": 0}


def test_nmi_of_split_classes():
  # Two clusters per class: I = H(class) = ln 2, H(cluster) = ln 4.
  scores = clusters.nmi([0, 1, 2, 3], [0, 0, 1, 1])
  assert scores["nmi_max"] == pytest.approx(math.log(2) / math.log(4))
  assert scores["nmi_mean"] == pytest.approx(2 / 3)


def test_different_lengths_are_refused():
  with pytest.raises(ValueError, match="2 clusters for 1 classes"):
    clusters.nmi([0, 1], [0])
