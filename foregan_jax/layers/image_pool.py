"""The image pool: a history of generated images for a discriminator.

Shrivastava et al. (CVPR 2017), as in CycleGAN.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Pool = dict[str, Any]


def empty(pools: int, size: int, shape: tuple[int, ...]) -> Pool:
  """Return empty pools.

  Args:
    pools: number of independent pools n.
    size: images in each.
    shape: (h, w, c) of an image.

  Returns:
    `images`, float32 [n, size, h, w, c], and `count`, int32 [n]: how many
    images each pool has.
  """
  return {
    "images": jnp.zeros((pools, size, *shape)),
    "count": jnp.zeros(pools, jnp.int32),
  }


def exchange(
  pool: Pool, images: Float[Array, "n b h w c"], key: jax.Array
) -> tuple[Pool, Float[Array, "n b h w c"]]:
  """Exchange half of the images for those of earlier calls, one by one.

  A pool that is not full stores an image and returns it. A full one returns,
  with probability 1/2, one of its images at random and stores the new one in
  its place; otherwise it returns the new one and does not store it.

  Args:
    pool: of `empty` or an earlier call.
    images: b new images for each pool.
    key: random key.

  Returns:
    The pool afterwards, and the images for the discriminator.
  """
  key_coin, key_place = jax.random.split(key)
  coins = jax.random.bernoulli(key_coin, 0.5, images.shape[:2])
  size = pool["images"].shape[1]
  places = jax.random.randint(key_place, images.shape[:2], 0, size)

  def step(pool, inputs):
    image, coin, place = inputs
    stored, count = pool["images"], pool["count"]
    full = count >= size
    place = jnp.where(full, place, count)
    old = stored[place]
    kept = jnp.where(full & ~coin, old, image)
    result = jnp.where(full & coin, old, image)
    pool = {
      "images": stored.at[place].set(kept),
      "count": jnp.minimum(count + 1, size),
    }
    return pool, result

  each = lambda pool, *inputs: jax.lax.scan(step, pool, inputs)
  return jax.vmap(each)(pool, images, coins, places)
