"""Putting layers together and taking them apart (VOS-ForeGAN sec. 4)."""

from jaxtyping import Array, Float


def alpha(
  fg: Float[Array, "*b h w 3"],
  bg: Float[Array, "*b h w 3"],
  mask: Float[Array, "*b h w 1"],
) -> Float[Array, "*b h w 3"]:
  """Compose `mask fg + (1 - mask) bg`: images in [-1, 1] stay there."""
  return bg + mask * (fg - bg)


def additive(
  fg: Float[Array, "*b h w 3"],
  bg: Float[Array, "*b h w 3"],
  mask: Float[Array, "*b h w 1"],
) -> Float[Array, "*b h w 3"]:
  """Compose `fg + (1 - mask) bg`, the original code's form.

  It is a picture only where the foreground is 0 (mid-grey) outside the mask.
  """
  return fg + (1 - mask) * bg


def dark(
  fg: Float[Array, "*b h w 3"], mask: Float[Array, "*b h w 1"]
) -> Float[Array, "*b h w 3"]:
  """Set the outside of the mask to black: `mask fg - (1 - mask)`."""
  return mask * (fg + 1) - 1


def grey(
  fg: Float[Array, "*b h w 3"], mask: Float[Array, "*b h w 1"]
) -> Float[Array, "*b h w 3"]:
  """Set the outside of the mask to mid-grey: `mask fg`."""
  return mask * fg
