"""The inputs of the networks of `nets.animation`, in the published order.

Images are float32 in [0, 1] at full size, masks soft at 1 / `times` of it. In
names, `image` is the picture that is animated, or the one with the background.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import mask_motion, warp

Image = Float[Array, "b h w 3"]
Mask = Float[Array, "b y x 1"]
_WHITE = 255.0


def resize(x: Float[Array, "b h w c"], size: tuple[int, int]) -> jax.Array:
  """Resize bilinearly without antialiasing, as the networks expect."""
  return warp.resize(x, size, align_corners=False)


def binarise(mask: Mask, threshold: int | float) -> Mask:
  """Return 1 where the mask is above a threshold of 0 to 255, else 0."""
  return (mask > threshold / _WHITE).astype(jnp.float32)


def low_input(
  image: Image, mask_of_image: Mask, mask: Mask
) -> Float[Array, "b y x 5"]:
  """Return the input of L, and of r: the small image and two masks."""
  small = resize(image, mask.shape[1:3])
  return jnp.concatenate([small, mask_of_image, mask], axis=-1)


def high_input(
  image: Image, mask_of_image: Mask, low: Image, mask: Mask
) -> Float[Array, "b h w 8"]:
  """Return the input of H; `low` is the output of L."""
  large = lambda x: resize(x, image.shape[1:3])
  return jnp.concatenate(
    [image, large(mask_of_image), low, large(mask)], axis=-1
  )


def background_low_input(
  image: Image,
  actor: Image,
  mask_of_image: Mask,
  mask: Mask,
  threshold: int | float,
) -> Float[Array, "b y x 8"]:
  """Return the input of BGBase.

  The binary masks, the *background* of the image and the foreground of the
  actor. The published equations have the foreground of both; but a foreign
  picture has an empty mask, and then it could not enter at all.

  Args:
    image: the picture whose background is used.
    actor: the picture whose foreground is used.
    mask_of_image: of the objects in `image`.
    mask: of `actor`.
    threshold: of the masks, 0 to 255.
  """
  size = mask.shape[1:3]
  return _cut(
    resize(image, size),
    resize(actor, size),
    binarise(mask_of_image, threshold),
    binarise(mask, threshold),
  )


def background_high_input(
  image: Image,
  actor: Image,
  mask_of_image: Mask,
  mask: Mask,
  low: Image,
  threshold: int | float,
) -> Float[Array, "b h w 11"]:
  """Return the input of BGRefine; `low` is the output of BGBase.

  Masks are enlarged before they become binary: their outlines are smooth.
  """
  large = lambda x: binary_at(x, image.shape[1:3], threshold)
  parts = _cut(image, actor, large(mask_of_image), large(mask))
  return jnp.concatenate([parts, low], axis=-1)


def images_of(x: Float[Array, "b h w c"]) -> Float[Array, "b h w 6"]:
  """Return the image in the input of L or H, as it is and moved.

  It is moved such that its own mask lies on the other one.
  """
  image, mask_of_image, mask = x[..., :3], x[..., 3:4], x[..., -1:]
  moved = mask_motion.align(image, mask_of_image, mask)
  return jnp.concatenate([image, moved], axis=-1)


def pasted_of(x: Float[Array, "b h w c"]) -> Image:
  """Return foreground over background, of the input of BGBase or BGRefine."""
  figure, background, actor = x[..., 1:2], x[..., 2:5], x[..., 5:8]
  return background * (1.0 - figure) + actor


def paste(
  image: Image, actor: Image, mask: Mask, threshold: int | float
) -> Image:
  """Return the actor in front of an image, cut out by its binary mask.

  No network does this; it is what the background nets have to improve.
  """
  figure = binary_at(mask, image.shape[1:3], threshold)
  return actor * figure + image * (1.0 - figure)


def binary_at(
  mask: Mask, size: tuple[int, int], threshold: int | float
) -> Float[Array, "b h w 1"]:
  """Return a mask at another size, enlarged before it becomes binary."""
  return binarise(resize(mask, size), threshold)


def _cut(image, actor, hole, figure) -> jax.Array:
  parts = [hole, figure, image * (1.0 - hole), actor * figure]
  return jnp.concatenate(parts, axis=-1)
