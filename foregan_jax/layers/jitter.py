"""Random changes of colours and geometry per sample, on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import composite, warp

# Rec. 601 luma: the grey that PIL, and so VOS-ForeGAN's jitter, blends with.
_LUMA = (0.299, 0.587, 0.114)
# VOS-ForeGAN sec. 2.6: how a real mask or foreground is made from frame 0.
_REAL = {"degrees": 8.0, "scale": (0.75, 1.25)}
_REAL_MASK_SHIFT = 0.02
_REAL_MASK_PROBABILITY = 0.45
_REAL_FG_SHIFT = 0.025
_REAL_FG_COLOUR = {
  "brightness": 0.3, "contrast": 0.3, "saturation": 0.5, "hue": 0.05,
}  # fmt: skip


def colour(
  key: jax.Array,
  image: Float[Array, "b *t h w 3"],
  *,
  brightness: float,
  contrast: float,
  saturation: float,
  hue: float,
) -> Float[Array, "b *t h w 3"]:
  """Return images with random brightness, contrast, saturation and hue.

  Args:
    key: random key.
    image: images in [-1, 1]; all frames of a sample get the same change.
    brightness: half-width b; factors are drawn from [1 - b, 1 + b].
    contrast: as `brightness`.
    saturation: as `brightness`.
    hue: half-width of the hue's rotation, as a share of the full circle.

  Returns:
    Images in [-1, 1].
  """
  # One draw for all four: every draw costs compile time.
  shape = (4, image.shape[0]) + (1,) * (image.ndim - 1)
  drawn = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  factor = lambda i, width: 1.0 + width * drawn[i]
  luma = jnp.asarray(_LUMA).reshape((1,) * (image.ndim - 1) + (3,))
  grey = lambda x: (x * luma).sum(-1, keepdims=True)
  x = (image + 1.0) / 2.0
  x = jnp.clip(x * factor(0, brightness), 0.0, 1.0)
  level = grey(x).mean(tuple(range(1, x.ndim)), keepdims=True)
  x = jnp.clip((x - level) * factor(1, contrast) + level, 0.0, 1.0)
  x = jnp.clip((x - grey(x)) * factor(2, saturation) + grey(x), 0.0, 1.0)
  if hue:
    x = jnp.clip(_turn_hue(x, 2.0 * jnp.pi * hue * drawn[3]), 0.0, 1.0)
  return x * 2.0 - 1.0


def _turn_hue(rgb: jax.Array, angle: jax.Array) -> jax.Array:
  """Rotate the hue: turn RGB about the grey axis (Rodrigues), by radians."""
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  mean = rgb.mean(-1, keepdims=True)
  cross = (jnp.roll(rgb, 1, -1) - jnp.roll(rgb, -1, -1)) / jnp.sqrt(3.0)
  return rgb * cos + cross * sin + mean * (1.0 - cos)


def affine(
  key: jax.Array,
  image: Float[Array, "b h w c"],
  *,
  degrees: float,
  scale: tuple[float, float],
  shift: tuple[float, float],
  share: float,
) -> Float[Array, "b h w c"]:
  """Return randomly rotated, scaled, shifted and mirrored images.

  Args:
    key: random key.
    image: images of any range; pixels from outside are 0.
    degrees: half-width of the rotation.
    scale: bounds of the size factor.
    shift: half-widths of the shift, as shares of (height, width).
    share: probability of rotation, scale and shift; each sample is mirrored
      with probability 1/2, independently of them.
  """
  b, h, w, _ = image.shape
  drawn = jax.random.uniform(key, (6, b))
  between = lambda i, low, high: low + (high - low) * drawn[i]
  moved = drawn[0] < share
  angle = jnp.where(moved, between(1, -1.0, 1.0), 0.0) * jnp.deg2rad(degrees)
  size = jnp.where(moved, between(2, *scale), 1.0)
  down = jnp.where(moved, between(3, -shift[0], shift[0]), 0.0) * h
  right = jnp.where(moved, between(4, -shift[1], shift[1]), 0.0) * w
  side = jnp.where(drawn[5] < 0.5, -1.0, 1.0)
  # The source of a target pixel: undo shift, rotation, scale and mirror, about
  # the centre of the image.
  per_sample = lambda x: x[:, None, None]
  ys, xs = jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")
  dy = ys[None] - (h - 1) / 2.0 - per_sample(down)
  dx = xs[None] - (w - 1) / 2.0 - per_sample(right)
  cos, sin = (
    per_sample(jnp.cos(angle) / size),
    per_sample(jnp.sin(angle) / size),
  )
  from_x = per_sample(side) * (cos * dx + sin * dy) + (w - 1) / 2.0
  from_y = cos * dy - sin * dx + (h - 1) / 2.0
  return warp.sample(image, jnp.stack([from_x, from_y], -1), outside="zero")


def crop_and_flip(
  key: jax.Array, image: Float[Array, "b h w c"], size: tuple[int, int]
) -> Float[Array, "b h2 w2 c"]:
  """Return random crops of `size` = (h, w), half of them mirrored."""
  b, h, w, c = image.shape
  key_place, key_side = jax.random.split(key)
  room = jnp.array([h - size[0] + 1, w - size[1] + 1])
  corner = jax.random.randint(key_place, (b, 2), 0, room[None])
  crop = lambda x, yx: jax.lax.dynamic_slice(x, (*yx, 0), (*size, c))
  cropped = jax.vmap(crop)(image, corner)
  side = jax.random.bernoulli(key_side, 0.5, (b, 1, 1, 1))
  return jnp.where(side, cropped[:, :, ::-1], cropped)


def real_mask(
  key: jax.Array, mask: Float[Array, "b h w 1"]
) -> Float[Array, "b h w 1"]:
  """Return a plausible mask, made from that of frame 0.

  Source: VOS-ForeGAN sec. 2.6.
  """
  return affine(
    key,
    mask,
    shift=(_REAL_MASK_SHIFT, 0.0),
    share=_REAL_MASK_PROBABILITY,
    **_REAL,
  )


def real_foreground(
  key: jax.Array,
  frame: Float[Array, "b h w 3"],
  mask: Float[Array, "b h w 1"],
) -> Float[Array, "b h w 3"]:
  """Return a plausible foreground on black, made from frame 0.

  The mask is applied after the colour jitter, because the contrast jitter of
  the original code brightens the black around the object.

  Source: VOS-ForeGAN sec. 2.6.
  """
  key_colour, key_place = jax.random.split(key)
  changed = colour(key_colour, frame, **_REAL_FG_COLOUR)
  dark = composite.dark(changed, mask)
  # `affine` fills with 0, so add 1 to make the fill black, not grey.
  moved = affine(
    key_place, dark + 1.0, shift=(_REAL_FG_SHIFT, 0.0), share=1.0, **_REAL
  )
  return moved - 1.0
