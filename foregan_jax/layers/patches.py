"""Patches of images: grid of positions, sampling and cropping."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


def grid_size(
  size: tuple[int, int], patch: tuple[int, int], stride: tuple[int, int]
) -> tuple[int, int]:
  """Return the number of patch positions of an image along y and x.

  Raises:
    ValueError: if the patch is larger than the image.
  """
  if patch[0] > size[0] or patch[1] > size[1]:
    raise ValueError(f"a patch of {patch} does not fit in an image of {size}")
  y, x = ((n - k) // s + 1 for n, k, s in zip(size, patch, stride, strict=True))
  return y, x


def box_sum(
  image: Float[Array, "b h w 1"],
  patch: tuple[int, int],
  stride: tuple[int, int],
) -> Float[Array, "b gh gw"]:
  """Return the sum of `image` inside the patch at each grid position."""
  sums = image[..., 0]
  # One axis after the other takes kh + kw additions instead of kh kw. A
  # summed-area table would lose small sums to rounding.
  for axis in (0, 1):
    window, strides = [1, 1, 1], [1, 1, 1]
    window[axis + 1], strides[axis + 1] = patch[axis], stride[axis]
    sums = jax.lax.reduce_window(
      sums, 0.0, jax.lax.add, window, strides, "VALID"
    )
  return sums


def sample_positions(
  key: PRNGKeyArray, allowed: Bool[Array, "b gh gw"], n: int
) -> tuple[Int[Array, "b n 2"], Bool[Array, " b"]]:
  """Sample `n` allowed positions per image, uniformly, with replacement.

  Returns:
    Indices (y, x) into the grid (times the stride: pixels), and for each image
    whether any position is allowed. If none is, its indices are 0.
  """
  b, gh, gw = allowed.shape
  count = jnp.cumsum(allowed.reshape(b, -1), axis=1, dtype=jnp.int32)
  total = count[:, -1:]
  rank = jax.random.randint(key, (b, n), 0, jnp.maximum(total, 1))
  find = lambda c, r: jnp.searchsorted(c, r, side="right")
  index = jnp.where(total > 0, jax.vmap(find)(count, rank), 0)
  return jnp.stack([index // gw, index % gw], axis=-1), total[:, 0] > 0


def gather(
  image: Float[Array, "b h w c"],
  yx: Int[Array, "b n 2"],
  patch: tuple[int, int],
) -> Float[Array, "b n kh kw c"]:
  """Return the patches whose top-left pixels are `yx`."""
  size = (*patch, image.shape[-1])
  cut = lambda im, p: jax.lax.dynamic_slice(im, (p[0], p[1], 0), size)
  return jax.vmap(jax.vmap(cut, in_axes=(None, 0)))(image, yx)
