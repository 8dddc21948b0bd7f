"""The bump at the centre of an image."""

import numpy as np

from foregan_jax.layers import bumps


def test_bump_is_one_at_the_centre_and_falls_to_the_sides():
  bump = np.asarray(bumps.bump(9, 17))
  assert bump.shape == (9, 17, 1)
  assert bump.max() == bump[4, 8, 0] == 1.0
  np.testing.assert_allclose(bump, bump[::-1, ::-1], rtol=1e-5)
  # Two deviations from the centre to each side.
  np.testing.assert_allclose(bump[[0, 4], [8, 0], 0], np.exp(-2), rtol=1e-5)
