"""Where the background critic looks (VOS-ForeGAN sec. 2.7)."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from foregan_jax.layers import patches

# Coverage below which a box counts as free of the object (the source's sum).
_FREE = 1e-3


@dataclasses.dataclass(frozen=True)
class Sampler:
  """Draws patches, with replacement, from a grid of positions.

  Attributes:
    size: height and width of a patch.
    stride: rows and columns between neighbouring positions.
    count: patches per picture.
    where: `uniform` over the grid; `free` of the object; touching the `mask`;
      `mixed`: half touching the mask, half uniform.
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
    """Cuts patches.

    Args:
      key: where the draw comes from.
      image: pictures to cut from.
      mask: the object in them, [0, 1].

    Returns:
      The patches, and per picture whether the grid had a position of the kind
      asked for (if not, its patches are from anywhere).
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

  def possible(self, mask: Float[Array, "b h w 1"]) -> Bool[Array, " b"]:
    """Says which pictures have a position free of the object."""
    coverage = patches.box_sum(mask, self.size, self.stride)
    return (coverage <= _FREE).any((1, 2))
