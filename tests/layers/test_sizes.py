"""Frames and smaller layers: means, whole factors, flow in pixels."""

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import sizes


def test_shrunk_pixels_are_means_of_squares():
  x = jnp.arange(2 * 3 * 4 * 6 * 1, dtype=jnp.float32).reshape(2, 3, 4, 6, 1)
  got = sizes.shrink(x, 2)
  want = np.asarray(x).reshape(2, 3, 2, 2, 3, 2, 1).mean((3, 5))
  np.testing.assert_allclose(got, want)


def test_enlarging_keeps_linear_images_and_shrinking_undoes_it():
  ramp = jnp.linspace(0.0, 1.0, 8)[None, :, None, None] * jnp.ones((1, 8, 6, 2))
  large = sizes.enlarge(ramp[:, None], 4)
  assert large.shape == (1, 1, 32, 24, 2)
  # Away from the border, where the ramp ends.
  again = sizes.shrink(large, 4)[:, 0]
  np.testing.assert_allclose(again[:, 1:-1], ramp[:, 1:-1], atol=1e-6)


def test_batch_is_shrunk_and_its_flow_counts_large_pixels():
  rng = np.random.default_rng(0)
  batch = {
    "video": rng.integers(0, 256, (2, 3, 8, 12, 3), np.uint8),
    "ref_mask": np.full((2, 8, 12, 1), 255, np.uint8),
    "flow_fwd": np.full((2, 2, 8, 12, 2), 6.0, np.float32),
    "step": 4,
  }
  small = sizes.shrink_batch(batch, 2)
  assert small["video"].shape == (2, 3, 4, 6, 3)
  assert small["video"].dtype == small["ref_mask"].dtype == np.uint8
  means = batch["video"].reshape(2, 3, 4, 2, 6, 2, 3).mean((3, 5))
  np.testing.assert_allclose(small["video"], means, atol=0.51)
  assert (np.asarray(small["ref_mask"]) == 255).all()
  np.testing.assert_allclose(small["flow_fwd"], 3.0)
  assert small["step"] == 4
  same = sizes.shrink_batch(batch, 1)
  for name in batch:
    np.testing.assert_array_equal(same[name], batch[name])


@pytest.mark.parametrize("times", [2, 3])
def test_constant_stays_constant(times):
  x = jnp.full((1, 6, 6, 1), 0.3)
  np.testing.assert_allclose(sizes.enlarge(x, times), 0.3, rtol=1e-6)
  np.testing.assert_allclose(sizes.shrink(x, times), 0.3, rtol=1e-6)
