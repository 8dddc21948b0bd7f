"""Square boxes around parts of faces, and crops of them.

Boxes are float [b, 4]: top, left, bottom, right in pixels; bottom and right are
exclusive. A face's parts are [b, h, w, 4] in the order of `PARTS`, as soft
masks in [0, 1] or, if they are uint8, as coverage 0 to 255.

Source: MarcisTU/thesis_work: fer_preprocess_seg.py (region `all`) and
fer_preprocess_seg_sep.py (the others).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from foregan_jax.layers import ranges, resampling

PARTS = ("eyes", "brows", "mouth", "lips")
# The parts of each region, and the least sum of their masks (source: above).
REGIONS = {
  "all": (PARTS, 0.5),
  "eyes": (("eyes", "brows"), 0.95),
  "mouth": (("mouth", "lips"), 0.95),
}
PAD = 8  # pixels around the parts of a face of 256 x 256 pixels
SIDE = 256


def region_masks(
  parts: Num[Array, "b h w 4"], region: str
) -> Bool[Array, "b h w"]:
  """Return which pixels belong to a region.

  Raises:
    ValueError: if there is no such region.
  """
  if region not in REGIONS:
    raise ValueError(f"region {region!r} is none of {', '.join(REGIONS)}")
  names, threshold = REGIONS[region]
  if parts.dtype == jnp.uint8:
    parts = ranges.mask_to_float(parts)
  channels = jnp.array([PARTS.index(name) for name in names])
  return parts[..., channels].sum(-1) > threshold


def feature_box(
  mask: Bool[Array, "b h w"], pad: float | int, mode: str = "shift"
) -> Float[Array, "b 4"]:
  """Return a square box around the pixels of each mask.

  Args:
    mask: the pixels of a region. The box of an empty mask is the whole image.
    pad: pixels between the region and each side of the box.
    mode: "shift": an even side; a box that leaves the image is moved back
      inside, and only made smaller if it is larger than the image. "original":
      the source's rule, which drops the last row and column of the region and
      clips each side, so that the box may not be square.

  Raises:
    ValueError: if the mode is neither.
  """
  if mode not in ("shift", "original"):
    raise ValueError(
      f'the mode of boxes is "shift" or "original", not {mode!r}'
    )
  size = mask.shape[1:]
  (top, bottom), (left, right) = (_extent(mask.any(axis)) for axis in (2, 1))
  if mode == "original":
    sides = _original(top, bottom, left, right, pad, size)
  else:
    sides = _shifted(top, bottom + 1, left, right + 1, pad, size)
  whole = jnp.array([0, 0, *size], jnp.float32)
  filled = mask.any((1, 2))[:, None]
  return jnp.where(
    filled, jnp.stack(sides, -1).astype(jnp.float32), whole[None]
  )


def _extent(line: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return the first and last index of True values of lines [b, n]."""
  first = jnp.argmax(line, axis=1)
  return first, line.shape[1] - 1 - jnp.argmax(line[:, ::-1], axis=1)


def _shifted(top, bottom, left, right, pad, size):
  side = jnp.maximum(bottom - top, right - left) + 2 * pad
  side = jnp.minimum(2 * jnp.ceil(side / 2), min(size))
  start = lambda low, high, n: jnp.clip(
    jnp.floor((low + high - side) / 2), 0, n - side
  )
  y, x = start(top, bottom, size[0]), start(left, right, size[1])
  return y, x, y + side, x + side


def _original(top, bottom, left, right, pad, size):
  height, width = bottom - top, right - left
  tall = height > width
  grow = jnp.abs(height - width) // 2
  odd = jnp.abs(height - width) % 2
  grow_y, grow_x = jnp.where(tall, 0, grow), jnp.where(tall, grow, 0)
  # An odd difference shortens the longer side at its end.
  bottom = bottom - jnp.where(tall, odd, 0)
  right = right - jnp.where(tall, 0, odd)
  inside = lambda at, n: jnp.clip(at, 0, n - 1)
  return (
    inside(top - grow_y - pad, size[0]), inside(left - grow_x - pad, size[1]),
    inside(bottom + grow_y + pad, size[0]),
    inside(right + grow_x + pad, size[1]),
  )  # fmt: skip


def jitter(
  key: jax.Array,
  box: Float[Array, "b 4"],
  shift: float | int,
  size: tuple[int, int],
) -> Float[Array, "b 4"]:
  """Return boxes moved at random by whole pixels, inside images of `size`.

  Args:
    key: random key.
    box: the boxes.
    shift: the largest movement along each axis, pixels.
    size: (h, w) of the images.
  """
  moved = jax.random.uniform(key, (box.shape[0], 2), minval=-1.0, maxval=1.0)
  room = jnp.array(size, jnp.float32)[None] - box[:, 2:]
  moved = jnp.clip(jnp.round(moved * shift), -box[:, :2], room)
  return box + jnp.tile(moved, 2)


def crop(
  image: Float[Array, "b h w c"],
  box: Float[Array, "b 4"],
  size: int,
  mirrored: Bool[Array, " b"] | None = None,
) -> Float[Array, "b s s c"]:
  """Return the contents of the boxes, resized to squares of `size` pixels.

  Bilinear, with an antialiasing filter if the crop shrinks. Pixels outside the
  image repeat its border.

  Args:
    image: images of any range.
    box: one box per image.
    size: side of the crops.
    mirrored: which crops to mirror.
  """
  y = resampling.resize_matrix(box[:, 0], box[:, 2], image.shape[1], size)
  x = resampling.resize_matrix(box[:, 1], box[:, 3], image.shape[2], size)
  if mirrored is not None:
    x = jnp.where(mirrored[:, None, None], x[:, ::-1], x)
  return resampling.resample(image, y, x)
