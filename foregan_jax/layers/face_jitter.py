"""Random changes of faces and the masks of their parts."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import jitter


@dataclasses.dataclass(frozen=True)
class FaceJitter:
  """Changes colours, and rotates, scales, shifts and mirrors faces.

  Attributes:
    colour: maximum changes of brightness, contrast, saturation and hue.
    degrees: maximum rotation, degrees.
    scale: smallest and largest size factor.
    shift: maximum shift, as fractions of (height, width).
  """

  colour: tuple[float, float, float, float]
  degrees: float
  scale: tuple[float, float]
  shift: tuple[float, float]

  def __call__(
    self,
    key: jax.Array,
    image: Float[Array, "b h w 3"],
    masks: Float[Array, "b h w n"],
  ) -> tuple[Float[Array, "b h w 3"], Float[Array, "b h w n"]]:
    """Return changed images in [-1, 1], and their masks.

    Pixels from outside the image are grey; they belong to no mask.
    """
    key_colour, key_place = jax.random.split(key)
    brightness, contrast, saturation, hue = self.colour
    image = jitter.colour(
      key_colour, image, brightness=brightness, contrast=contrast,
      saturation=saturation, hue=hue,
    )  # fmt: skip
    moved = jitter.affine(
      key_place, jnp.concatenate([image, masks], axis=-1),
      degrees=self.degrees, scale=self.scale, shift=self.shift, share=1.0,
    )  # fmt: skip
    return moved[..., :3], moved[..., 3:]
