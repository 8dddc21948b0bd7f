import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import strips

_SIDE = 64


def _still(count, side=_SIDE):
  """Return the numbers that change nothing."""
  cuts = jnp.tile(jnp.arange(1, 6)[None] * (side // 8) + 3, (count, 1))
  return strips.Draw(cuts, jnp.ones((count, 6)), jnp.ones(count))


def _interpolate(line, first, end, centre, scale, target):
  """Return one value of a stretched line, as in the specification."""
  source = centre + (target - centre) / scale
  below = int(np.floor(source))
  value = 0.0
  for place, weight in (
    (below, 1 - (source - below)), (below + 1, source - below),
  ):  # fmt: skip
    if first <= place < end:
      value += weight * line[place]
  return value


def _stretch_lines(image, bounds, scales):
  """Stretch the strips of the last axis in a plain loop."""
  made = np.zeros_like(image)
  for row, line in enumerate(image):
    for (first, end), scale in zip(bounds, scales, strict=True):
      centre = (first + end - 1) / 2
      for target in range(first, end):
        made[row, target] = _interpolate(
          line, first, end, centre, scale, target
        )
  return made


def _loop(image, rows, columns, i):
  """Apply the four steps in the order of the original code."""
  side = len(image)
  whole = [(0, side)]
  parts = lambda d: list(
    zip([0, *map(int, d.cuts[i])], [*map(int, d.cuts[i]), side], strict=True)
  )
  image = _stretch_lines(image, parts(columns), np.asarray(columns.scales[i]))
  image = _stretch_lines(image.T, whole, [float(rows.whole[i])]).T
  image = _stretch_lines(image.T, parts(rows), np.asarray(rows.scales[i])).T
  return _stretch_lines(image, whole, [float(columns.whole[i])])


def test_matrices_equal_a_loop_over_pixels():
  count, side = 2, 16
  keys = jax.random.split(jax.random.key(0))
  rows, columns = (strips.draw(key, count, side) for key in keys)
  image = jax.random.uniform(jax.random.key(1), (count, side, side, 1))
  found = np.asarray(strips.stretch(image, rows, columns))
  for i in range(count):
    expected = _loop(np.asarray(image[i, ..., 0], np.float64), rows, columns, i)
    np.testing.assert_allclose(found[i, ..., 0], expected, atol=1e-5)


def test_draws_have_the_published_ranges():
  numbers = strips.draw(jax.random.key(0), 400, _SIDE)
  cuts = np.asarray(numbers.cuts)
  assert cuts.min() == 15 and cuts.max() == 45
  assert (np.diff(cuts, axis=1) > 0).all()
  # The whole sets differ: not one set for the batch.
  assert len({tuple(row) for row in cuts}) > 300
  widths = np.diff(cuts, axis=1, prepend=0, append=_SIDE).mean(0)
  np.testing.assert_allclose(widths, [19.2, *[5.2] * 4, 24.2], atol=1.3)
  for scales in (numbers.scales, numbers.whole):
    assert 0.75 <= scales.min() < 0.78 and 1.22 < scales.max() <= 1.25


def test_neutral_numbers_change_nothing():
  image = jax.random.uniform(jax.random.key(1), (2, _SIDE, _SIDE, 1))
  made = strips.stretch(image, _still(2), _still(2))
  np.testing.assert_allclose(made, image, atol=1e-6)


def test_strips_exchange_no_mass():
  still = _still(1)
  large = strips.Draw(still.cuts, 1.25 * still.scales, still.whole)
  first, end = map(int, still.cuts[0, 1:3])
  image = jnp.zeros((1, _SIDE, _SIDE, 1)).at[:, :, first:end].set(1.0)
  made = np.asarray(strips.stretch(image, still, large))
  assert made[:, :, first:end].min() > 0.5
  assert made[:, :, :first].max() == 0 and made[:, :, end:].max() == 0


def test_deformed_masks_have_the_published_noise_and_no_gradient():
  deform = strips.Deformation(60.0)
  mask = jnp.zeros((4, _SIDE, _SIDE, 1)).at[:, 20:44, 20:44].set(0.9)
  run = jax.jit(lambda m: deform(jax.random.key(2), m))
  made = np.asarray(run(mask))
  assert made.min() >= 0 and made.max() <= 1
  corner = made[:, :6, :6]  # black before the noise
  lit = corner[corner > 0]
  assert 0.4 < lit.size / corner.size < 0.6
  assert abs(255 * lit.mean() - 20) < 2
  gradient = jax.grad(lambda m: run(m).sum())(mask)
  assert not gradient.any()


def test_threshold_is_strict_and_on_truncated_levels():
  deform = strips.Deformation(60.0, noisy=False)
  value = jnp.full((1, _SIDE, _SIDE, 1), 60.9 / 255)
  assert not deform(jax.random.key(0), value).any()
  assert deform(jax.random.key(0), value * 1.05).any()


def test_noise_is_poisson_with_random_signs():
  drawn = np.asarray(strips.noise(jax.random.key(3), (40_000,)))
  assert abs(drawn.mean()) < 0.5
  size = np.abs(drawn)
  assert abs(size.mean() - 20) < 0.2 and abs(size.var() - 20) < 1
  assert (size == np.round(size)).all()


def test_small_masks_are_refused():
  with pytest.raises(ValueError, match="masks of 4 pixels are too small"):
    strips.draw(jax.random.key(0), 1, 4)


def test_prediction_only_removes_pixels_unless_it_scales():
  mask = jnp.full((1, _SIDE, _SIDE, 1), 0.5).at[:, :32].set(0.2)
  same = strips.scale_and_cut(mask, threshold=60.0, scale=1.0)
  np.testing.assert_array_equal(same[:, :32], 0)
  np.testing.assert_allclose(same[:, 32:], 127 / 255, atol=1e-6)
  small = strips.scale_and_cut(mask, threshold=0.0, scale=0.75)
  assert not small[:, :8].any() and not small[:, :, -8:].any()
  assert small[:, 9:-9, 9:-9].all()
