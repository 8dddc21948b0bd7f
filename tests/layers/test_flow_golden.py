"""Warps equal stored ones; the warp error of a real flow and image pair."""

import json

import jax.numpy as jnp
import numpy as np

from foregan_jax.data import flow
from foregan_jax.layers import warp
from foregan_jax.media import images
from tests.golden import cases


def test_warps_equal_the_golden_ones():
  cases.check("warp")


def test_warp_error_equals_the_golden_error(shared_data):
  folder = shared_data / "flow"
  golden = json.loads((folder / "flow_golden.json").read_text())
  first, second = (
    images.read_image(folder / f"chairs_0000000-img{i}.ppm").astype(np.float32)
    for i in (0, 1)
  )
  unwarped = np.abs(first - second).mean(dtype=np.float64)
  np.testing.assert_allclose(
    unwarped, golden["mean_abs_img0_minus_img1"], rtol=1e-5
  )
  vectors = flow.read_flo(folder / golden["chairs"]["file"])
  errors = []
  for outside in ("border", "zero"):
    warped = warp.backward(
      jnp.asarray(second)[None], jnp.asarray(vectors)[None], outside=outside
    )
    errors.append(np.abs(first - np.asarray(warped[0])).mean(dtype=np.float64))
  np.testing.assert_allclose(
    errors[0], golden["mean_abs_img0_minus_warped_img1"], rtol=1e-3
  )
  # With zeros outside, the warped image is black at its border.
  assert errors[1] > errors[0]
