"""Composition and separation of image layers (VOS-ForeGAN sec. 4)."""

from jaxtyping import Array, Float


def alpha(
  fg: Float[Array, "*b h w 3"],
  bg: Float[Array, "*b h w 3"],
  mask: Float[Array, "*b h w 1"],
) -> Float[Array, "*b h w 3"]:
  """Return `mask fg + (1 - mask) bg`, in [-1, 1] like both images."""
  return bg + mask * (fg - bg)


def additive(
  fg: Float[Array, "*b h w 3"],
  bg: Float[Array, "*b h w 3"],
  mask: Float[Array, "*b h w 1"],
) -> Float[Array, "*b h w 3"]:
  """Return `fg + (1 - mask) bg`, the form in the original code.

  The result is a valid image only if the foreground is 0 (mid-grey) outside the
  mask.
  """
  return fg + (1 - mask) * bg


def dark(
  fg: Float[Array, "*b h w 3"], mask: Float[Array, "*b h w 1"]
) -> Float[Array, "*b h w 3"]:
  """Return `fg` on black: `mask fg - (1 - mask)`, in [-1, 1]."""
  return mask * (fg + 1) - 1


def grey(
  fg: Float[Array, "*b h w 3"], mask: Float[Array, "*b h w 1"]
) -> Float[Array, "*b h w 3"]:
  """Return `fg` on mid-grey: `mask fg`, in [-1, 1]."""
  return mask * fg
