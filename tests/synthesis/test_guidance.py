import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.synthesis import guidance, trajectories

_IDENTITY = {
  "degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0,
  "soft": 0.0, "softness": 0.0, "empty": 0.0, "misplaced": 0.0, "far": 0.25,
}  # fmt: skip


def _deform(key, mask, **changes):
  return jax.jit(guidance.Deformation(**_IDENTITY | changes))(key, mask)


@pytest.fixture
def mask():
  """Return eight L-shaped masks, off the centre and far from the border."""
  one = np.zeros((48, 64, 1), np.float32)
  one[18:34, 20:26] = one[28:34, 20:40] = 1
  return jnp.asarray(np.stack([one] * 8))


def test_identity_does_not_change_the_mask(key, mask):
  np.testing.assert_allclose(_deform(key, mask), mask, atol=1e-5)


@pytest.mark.parametrize(
  "change",
  [{"shear": 0.3}, {"degrees": 30.0}, {"scale": (0.7, 1.3)}],
  ids=lambda c: next(iter(c)),
)
def test_deformations_keep_the_centroid(key, mask, change):
  deformed = _deform(key, mask, **change)
  assert np.abs(deformed - mask).sum() > 8 * 5
  np.testing.assert_allclose(
    trajectories.centroid(deformed), trajectories.centroid(mask), atol=0.2
  )


def test_shift_is_a_share_of_the_box(key, mask):
  moved = trajectories.centroid(_deform(key, mask, shift=0.5))
  off = np.abs(moved - trajectories.centroid(mask))
  assert (off <= np.array([10.0, 8.0]) + 1e-3).all()  # the box is 20 x 16
  assert off.max() > 3


def test_area_grows_with_the_scale_squared(key, mask):
  grown = _deform(key, mask, scale=(1.2, 1.2))
  np.testing.assert_allclose(
    grown.sum((1, 2, 3)), 1.44 * mask.sum((1, 2, 3)), rtol=0.02
  )


def test_soft_masks_are_in_range(key, mask):
  soft = _deform(key, mask, soft=1.0, softness=0.05)
  assert float(soft.min()) >= 0 and float(soft.max()) <= 1 + 1e-6
  between = lambda x: ((x > 0.1) & (x < 0.9)).mean()
  assert between(soft) > 0.05 and between(mask) == 0
  np.testing.assert_allclose(soft.sum(), mask.sum(), rtol=1e-3)


def test_empty_is_the_probability_of_an_empty_mask(key, mask):
  assert not _deform(key, mask, empty=1.0).any()
  kept = _deform(key, mask, empty=0.5, misplaced=0.5).any((1, 2, 3))
  assert 0 < kept.sum() < 8


def test_misplaced_mask_is_far_away(key, mask):
  moved = _deform(key, mask, misplaced=1.0, far=0.3)
  peak = lambda x: np.stack(
    [np.asarray(x).sum((1, 3)).argmax(1), np.asarray(x).sum((2, 3)).argmax(1)]
  )
  assert (moved.sum((1, 2, 3)) > 10).all()
  assert (np.abs(peak(moved) - peak(mask)) >= 0.3 * 48 - 8).all()


def test_empty_masks_stay_empty(key):
  empty = jnp.zeros((3, 24, 24, 1))
  strong = {"degrees": 20.0, "shear": 0.2, "shift": 0.3, "misplaced": 0.5}
  deformed = _deform(key, empty, soft=0.5, softness=0.05, **strong)
  np.testing.assert_array_equal(deformed, empty)
