"""Crops of the regions of faces, for training and prediction."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, UInt8

from foregan_jax.layers import face_boxes, ranges


class Crops(struct.PyTreeNode):
  """Crops of r regions of b faces.

  Attributes:
    image: [r, b, s, s, c] in [-1, 1].
    mask: soft masks of the features, [r, b, s, s, 1] in [0, 1].
    box: [r, b, 4], see `face_boxes`.
  """

  image: Any
  mask: Any
  box: Any


@dataclasses.dataclass(frozen=True)
class Regions:
  """Cuts regions out of faces.

  Attributes:
    names: of the regions, of `face_boxes.REGIONS`.
    size: side of the crops, pixels.
    shift: largest random shift of a box in training, in pixels of a face of
      256 x 256 pixels.
  """

  names: tuple[str, ...]
  size: int
  shift: float = 2.0

  def __call__(
    self,
    image: UInt8[Array, "b h w c"],
    parts: UInt8[Array, "b h w 4"],
    key: jax.Array | None = None,
  ) -> Crops:
    """Return the regions; with a key, shifted and mirrored at random."""
    x = ranges.image_to_float(image)
    keys = [None] * len(self.names)
    if key is not None:
      keys = jax.random.split(key, len(self.names))
    each = [
      self._cut(x, face_boxes.region_masks(parts, name), key)
      for name, key in zip(self.names, keys, strict=True)
    ]
    return Crops(*map(jnp.stack, zip(*each, strict=True)))

  def _cut(
    self,
    image: Float[Array, "b h w c"],
    mask: Bool[Array, "b h w"],
    key: jax.Array | None,
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return image, mask and box of one region."""
    scale = image.shape[1] / face_boxes.SIDE
    box = face_boxes.feature_box(mask, face_boxes.PAD * scale)
    mirrored = None
    if key is not None:
      key_shift, key_side = jax.random.split(key)
      shift = self.shift * scale
      box = face_boxes.jitter(key_shift, box, shift, image.shape[1:3])
      mirrored = jax.random.bernoulli(key_side, 0.5, mask.shape[:1])
    both = jnp.concatenate([image, mask[..., None].astype(jnp.float32)], -1)
    both = face_boxes.crop(both, box, self.size, mirrored)
    return both[..., :-1], both[..., -1:], box
