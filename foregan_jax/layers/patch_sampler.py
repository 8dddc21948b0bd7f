"""Sampling of patches for the background critic (VOS-ForeGAN sec. 2.7)."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from foregan_jax.layers import patches

# Largest sum of the mask in a patch that counts as free of the object:
# VOS-ForeGAN's value.
_FREE = 1e-3


@dataclasses.dataclass(frozen=True)
class Sampler:
  """A sampler of patches, with replacement, from a grid of positions.

  Attributes:
    size: height and width of a patch.
    stride: rows and columns between neighbouring positions.
    count: patches per image.
    where: the allowed positions. `uniform`: all; `free`: free of the object;
      `mask`: overlapping the mask; `mixed`: half of the patches as `mask`, half
      as `uniform`.
  """

  size: tuple[int, int]
  stride: tuple[int, int]
  count: int
  where: Literal["uniform", "free", "mask", "mixed"]

  def __call__(
    self,
    key: jax.Array,
    image: Float[Array, "b h w c"],
    mask: Float[Array, "b h w 1"],
  ) -> tuple[Float[Array, "b n kh kw c"], Bool[Array, " b"]]:
    """Return random patches.

    Args:
      key: random key.
      image: images to sample from.
      mask: masks of the object in [0, 1].

    Returns:
      The patches, and for each image whether the grid has an allowed position.
      If not, all patches of that image are its top-left one.
    """
    coverage = patches.box_sum(mask, self.size, self.stride)
    anywhere = jnp.ones_like(coverage, dtype=bool)
    if self.where == "mixed":
      half = self.count // 2
      key_near, key_any = jax.random.split(key)
      near, _ = patches.sample_positions(key_near, coverage > _FREE, half)
      rest, _ = patches.sample_positions(key_any, anywhere, self.count - half)
      grid = jnp.concatenate([near, rest], axis=1)
      valid = jnp.ones(image.shape[0], bool)
    else:
      allowed = {
        "uniform": anywhere,
        "free": coverage <= _FREE,
        "mask": coverage > _FREE,
      }[self.where]
      grid, valid = patches.sample_positions(key, allowed, self.count)
    corners = grid * jnp.asarray(self.stride).reshape(1, 1, 2)
    return patches.gather(image, corners, self.size), valid

  def has_free_position(
    self, mask: Float[Array, "b h w 1"]
  ) -> Bool[Array, " b"]:
    """Return whether each image has a position free of the object."""
    coverage = patches.box_sum(mask, self.size, self.stride)
    return (coverage <= _FREE).any((1, 2))
