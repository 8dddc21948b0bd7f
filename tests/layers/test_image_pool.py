"""The image pool: order of storing, share of replacements, independence."""

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import image_pool

_SIZE = 50
_EXCHANGE = jax.jit(image_pool.exchange)


def _images(start, count, pools=1):
  """Return images [pools, count, 1, 1, 1] with the numbers from `start`."""
  numbers = start + np.arange(count, dtype=np.float32)
  return jnp.asarray(np.tile(numbers, (pools, 1))[..., None, None, None])


def _numbers(images):
  return np.asarray(images)[..., 0, 0, 0]


def test_a_pool_that_is_not_full_returns_what_it_stores():
  pool = image_pool.empty(1, _SIZE, (1, 1, 1))
  for start in range(0, _SIZE, 10):
    pool, out = _EXCHANGE(pool, _images(start, 10), jax.random.key(start))
    np.testing.assert_array_equal(_numbers(out), _numbers(_images(start, 10)))
  np.testing.assert_array_equal(_numbers(pool["images"])[0], np.arange(_SIZE))
  assert pool["count"].tolist() == [_SIZE]


def test_a_full_pool_exchanges_half_of_the_images():
  pool = image_pool.empty(1, _SIZE, (1, 1, 1))
  pool, _ = _EXCHANGE(pool, _images(0, _SIZE), jax.random.key(0))
  new = _images(1000, 400)
  before = set(_numbers(pool["images"])[0])
  pool, out = _EXCHANGE(pool, new, jax.random.key(1))
  returned, given = _numbers(out)[0], _numbers(new)[0]
  same = returned == given
  assert 160 <= same.sum() <= 240
  # Nothing is lost and nothing is copied: an image is stored or returned.
  after = set(_numbers(pool["images"])[0])
  assert sorted([*returned, *after]) == sorted([*given, *before])
  # Each image that was kept replaced one that was returned in its place.
  assert not after & set(given[same])
  # Several images of one call may have been stored and returned again.
  assert (returned[~same] >= 1000).any()


def test_half_filled_pool_fills_up_within_a_batch():
  pool = image_pool.empty(1, 4, (1, 1, 1))
  pool, out = _EXCHANGE(pool, _images(0, 3), jax.random.key(0))
  pool, out = _EXCHANGE(pool, _images(3, 1), jax.random.key(1))
  assert _numbers(out).tolist() == [[3]] and pool["count"].tolist() == [4]


def test_pools_of_regions_draw_differently():
  pool = image_pool.empty(2, 4, (1, 1, 1))
  pool, _ = _EXCHANGE(pool, _images(0, 4, pools=2), jax.random.key(0))
  pool, out = _EXCHANGE(pool, _images(4, 64, pools=2), jax.random.key(1))
  one, two = _numbers(out)
  assert (one != two).any()
  assert (_numbers(pool["images"])[0] != _numbers(pool["images"])[1]).any()
