"""A stand-in for a system of animation, whose images are known."""

import jax.numpy as jnp

SIDE = 16


class Puppets:
  """Makes the mean of source and driving frame; the mask is the latter's red.

  Another background is used where the mask is below a half; what is cut out of
  it is black.
  """

  task = "animation"
  name = "puppets"
  heads = ("high", "low")
  nets: dict = {}
  size = SIDE
  threshold = 100.0

  def __init__(self, *, swaps_backgrounds=True):
    self.swaps_backgrounds = swaps_backgrounds

  def animate(self, nets, source, driving):
    del nets
    one, two = (x.astype(jnp.float32) / 255 for x in (source, driving))
    mask = two[:, ::2, ::2, :1]
    return {
      "high": (one + two) / 2, "low": 0 * one, "mask": mask, "mask_raw": mask,
    }  # fmt: skip

  def swap_background(self, nets, image, actor, mask, *, hole):
    del nets
    third = image.astype(jnp.float32) / 255 * (1.0 if hole == "none" else 0.5)
    large = mask.repeat(2, 1).repeat(2, 2)
    return jnp.where(large > 0.5, actor, third)
