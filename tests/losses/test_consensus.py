"""What two judges agree on, worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.losses import consensus


def _mask(*values):
  return jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1)


def test_trust_by_hand():
  one, two = _mask(1.0, 1.0, 0.0, 0.5), _mask(1.0, 0.0, 0.0, 0.5)
  made = consensus.agree(one, two)
  # Overlap 1 + 1/4, union 1 + 1 + 3/4, and one pixel more.
  consistency = 1.25 / 3.75
  assert float(made.consistency[0]) == pytest.approx(consistency)
  np.testing.assert_allclose(made.target.ravel(), [1, 0.5, 0, 0.5])
  trust = np.float32([1, 0, 1, 0]) * np.float32(consistency)
  np.testing.assert_allclose(made.trust.ravel(), trust, rtol=1e-6)


def test_nothing_is_no_agreement():
  """Two judges who see nothing must not empty the generator's masks."""
  nothing = jnp.zeros((2, 3, 8, 8, 1))
  assert not consensus.agree(nothing, nothing).trust.any()


def test_frames_are_judged_one_by_one():
  one = jnp.zeros((1, 2, 8, 8, 1)).at[:, 0, :4].set(1.0)
  made = consensus.agree(one, one.at[:, 1, 4:].set(1.0))
  assert float(made.consistency[0, 0]) > 0.9
  assert float(made.consistency[0, 1]) == 0.0
  assert not made.trust[0, 1].any()


def test_following_is_a_mean_over_pixels():
  target = _mask(1.0, 0.0, 0.0, 0.0)
  made = consensus.Consensus(target, _mask(0.5, 1.0, 0.0, 0.0), jnp.ones(1))
  gap = consensus.follow(_mask(0.2, 0.1, 1.0, 0.0), made)
  assert float(gap) == pytest.approx((0.5 * 0.8 + 0.1) / 4)
  assert float(consensus.follow(target, made)) == 0.0
