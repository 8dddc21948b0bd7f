"""Pasting of edited regions into whole faces.

A region `roi` is [b, s, s, c] in [-1, 1]; its box is one of `face_boxes`. Its
`alpha` is [b, s, s, 1] (or one per channel) in [0, 1].

Source: MarcisTU/thesis_work, insert_roi_to_image; it blends by "self" alpha.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from foregan_jax.layers import face_boxes, resampling

ALPHAS = ("feature", "window", "self")
BLENDS = ("replace", "add")
# In pixels of a face of 256 x 256 pixels.
_BLUR = 4
_WINDOW = 8
_REACH = 3  # standard deviations at which the blur ends
# Pixels with less alpha show the original.
_RING_ALPHA = 0.05
# A smaller ring has no reliable statistics. For a region of 64 x 64 pixels.
_RING_PIXELS = 64
_RING_SIDE = 64
_GAINS = (0.7, 1.4)
_MIN_STD = 1e-6


def make_alpha(
  mode: str,
  *,
  grow: float | int,
  mask: Bool[Array, "b h w"],
  box: Float[Array, "b 4"],
  roi: Float[Array, "b s s c"],
) -> Float[Array, "b s s _"]:
  """Return the alpha of a region.

  Args:
    mode: "feature": the parts, grown and blurred, inside a window; "window":
      the whole box, fading out at its border; "self": the brightness of each
      channel, as in the source. With it a black pixel changes nothing, and the
      border of the box stays visible.
    grow: how far the parts grow, for "feature"; pixels of 256x256.
    mask: the region's pixels in the whole face, for "feature".
    box: boxes in that face.
    roi: the edited region.

  Raises:
    ValueError: if there is no such mode.
  """
  if mode not in ALPHAS:
    raise ValueError(f"alpha {mode!r} is none of {', '.join(ALPHAS)}")
  if mode == "self":
    return (roi + 1) / 2
  scale = min(mask.shape[1:]) / face_boxes.SIDE
  alpha = window(box, roi.shape[1], _WINDOW * scale)
  if mode == "feature":
    grown = dilate(mask, grow * scale, _BLUR * scale)
    alpha = alpha * face_boxes.crop(grown[..., None], box, roi.shape[1])
  return jnp.clip(alpha, 0, 1)


def dilate(
  mask: Bool[Array, "b h w"], pixels: float | int, blur: float | int
) -> Float[Array, "b h w"]:
  """Dilate masks by a square, then blur them.

  Args:
    mask: the masks.
    pixels: of the dilation; rounded.
    blur: standard deviation of the Gaussian, pixels.
  """
  side = 2 * round(pixels) + 1
  wide = nn.max_pool(
    mask[..., None].astype(jnp.float32), (side, side), padding="SAME"
  )
  reach = max(1, math.ceil(_REACH * blur))
  offsets = jnp.arange(-reach, reach + 1) / blur
  weights = jnp.exp(-(offsets**2) / 2)
  weights = weights / weights.sum()
  for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
    wide = jax.lax.conv_general_dilated(
      wide, weights.reshape(shape), (1, 1), "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      precision=jax.lax.Precision.HIGHEST,
    )  # fmt: skip
  return wide[..., 0]


def window(
  box: Float[Array, "b 4"], size: int, width: float | int
) -> Float[Array, "b s s 1"]:
  """Return 1 inside each box, falling to 0 at its border.

  Args:
    box: the boxes.
    size: side of the result.
    width: of the falling part, pixels of the box's image.
  """
  middles = (jnp.arange(size) + 0.5) / size
  to_border = jnp.minimum(middles, 1 - middles)[None]
  height, breadth = (box[:, 2:] - box[:, :2]).T
  fall = lambda side: jnp.minimum(to_border * side[:, None] / width, 1)
  return (fall(height)[:, :, None] * fall(breadth)[:, None])[..., None]


def paste_back(
  image: Float[Array, "b h w c"],
  roi: Float[Array, "b s s c"],
  box: Float[Array, "b 4"],
  alpha: Float[Array, "b s s _"],
  before: Float[Array, "b s s c"] | None = None,
) -> Float[Array, "b h w c"]:
  """Blend each region into its image: alpha * roi + (1 - alpha) * image.

  The images may have any size, with boxes in their own pixels. Parts of a box
  outside its image are dropped. A pixel whose alpha is 0 stays as it is.

  Args:
    image: the images; with `before` in [-1, 1].
    roi: the edited regions.
    box: where they are.
    alpha: their weights.
    before: the regions before the edit; if given, the change is added, image +
      alpha * (roi - before), so that the image keeps the detail that a region
      with fewer pixels has lost.
  """
  y = _place(box[:, 0], box[:, 2], image.shape[1], roi.shape[1])
  x = _place(box[:, 1], box[:, 3], image.shape[2], roi.shape[2])
  weight = resampling.resample(alpha, y, x)
  if before is None:
    new = resampling.resample(roi, y, x)
    blended = weight * new + (1 - weight) * image
  else:
    change = resampling.resample(roi - before, y, x)
    blended = jnp.clip(image + weight * change, -1, 1)
  return jnp.where(weight > 0, blended, image)


def _place(
  start: jax.Array, stop: jax.Array, length: int, size: int
) -> jax.Array:
  """Return the weights [b, n, s] of an axis of a region for n pixels.

  Pixels whose centres are outside the box have no weights.
  """
  per_pixel = size / jnp.maximum(stop - start, 1)
  weights = resampling.resize_matrix(
    -start * per_pixel, (length - start) * per_pixel, size, length
  )
  centres = (jnp.arange(length) + 0.5)[None]
  inside = (centres > start[:, None]) & (centres < stop[:, None])
  return jnp.where(inside[..., None], weights, 0)


def ring(alpha: Float[Array, "b s s 1"]) -> Bool[Array, "b s s 1"]:
  """Return which pixels of a region show the original."""
  return alpha < _RING_ALPHA


def ring_match(
  generated: Float[Array, "b s s c"],
  source: Float[Array, "b s s c"],
  ring: Bool[Array, "b s s 1"],
) -> Float[Array, "b s s c"]:
  """Match the mean and contrast of generated regions to the source.

  They are measured on the ring, for each channel. A gain within 0.7 to 1.4 and
  any offset of a whole region vanish. A region whose ring is too small stays as
  it is.
  """
  weights = ring.astype(jnp.float32)
  count = weights.sum((1, 2), keepdims=True)
  average = lambda x: (
    (x * weights).sum((1, 2), keepdims=True) / jnp.maximum(count, 1)
  )
  mean_new, mean_old = average(generated), average(source)
  std_new = jnp.sqrt(average((generated - mean_new) ** 2))
  std_old = jnp.sqrt(average((source - mean_old) ** 2))
  gain = jnp.clip(std_old / jnp.maximum(std_new, _MIN_STD), *_GAINS)
  matched = (generated - mean_new) * gain + mean_old
  enough = count >= _RING_PIXELS * ring.shape[1] * ring.shape[2] / _RING_SIDE**2
  return jnp.where(enough, jnp.clip(matched, -1, 1), generated)
