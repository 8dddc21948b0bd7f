"""The consensus of two masks, against values computed by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.losses import consensus


def _mask(*values):
  return jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1)


def test_trust_equals_the_formula():
  one, two = _mask(1.0, 1.0, 0.0, 0.5), _mask(1.0, 0.0, 0.0, 0.5)
  result = consensus.combine_masks(one, two)
  # Overlap 1 + 1/4; union 1 + 1 + 3/4, plus one pixel.
  consistency = 1.25 / 3.75
  assert float(result.consistency[0]) == pytest.approx(consistency)
  np.testing.assert_allclose(result.target.ravel(), [1, 0.5, 0, 0.5])
  trust = np.float32([1, 0, 1, 0]) * np.float32(consistency)
  np.testing.assert_allclose(result.trust.ravel(), trust, rtol=1e-6)


def test_two_empty_masks_have_no_trust():
  """As a target, two empty masks would empty the generator's masks."""
  empty = jnp.zeros((2, 3, 8, 8, 1))
  assert not consensus.combine_masks(empty, empty).trust.any()


def test_consistency_is_computed_per_frame():
  one = jnp.zeros((1, 2, 8, 8, 1)).at[:, 0, :4].set(1.0)
  result = consensus.combine_masks(one, one.at[:, 1, 4:].set(1.0))
  assert float(result.consistency[0, 0]) > 0.9
  assert float(result.consistency[0, 1]) == 0.0
  assert not result.trust[0, 1].any()


def test_consensus_loss_is_a_mean_over_pixels():
  target = _mask(1.0, 0.0, 0.0, 0.0)
  goal = consensus.Consensus(target, _mask(0.5, 1.0, 0.0, 0.0), jnp.ones(1))
  loss = consensus.consensus_loss(_mask(0.2, 0.1, 1.0, 0.0), goal)
  assert float(loss) == pytest.approx((0.5 * 0.8 + 0.1) / 4)
  assert float(consensus.consensus_loss(target, goal)) == 0.0
