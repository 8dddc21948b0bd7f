"""Outputs of our networks equal stored ones; see tests/golden/make.py."""

import pytest

from tests.golden import cases


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_outputs_equal_the_golden_ones(name):
  cases.check(name)
