"""Random changes of colour and place, drawn per sample, on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import composite, warp

# Rec. 601 luma, the grey that PIL (and so the source's jitter) blends with.
_LUMA = (0.299, 0.587, 0.114)
# VOS-ForeGAN sec. 2.6: what makes a real mask or foreground out of frame 0.
_REAL = {"degrees": 8.0, "scale": (0.75, 1.25)}
_REAL_MASK_SHIFT = 0.02
_REAL_MASK_SHARE = 0.45
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
  """Jitters brightness, contrast, saturation and hue of each sample.

  Args:
    key: where the draw comes from.
    image: [-1, 1]; frames of one sample are changed alike.
    brightness: factors are drawn from [1 - b, 1 + b]; likewise contrast and
      saturation.
    contrast: see brightness.
    saturation: see brightness.
    hue: half-width of the hue's turn, as a share of the full circle.
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
  """Rotates colours about the grey axis (Rodrigues), a linear hue turn."""
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  mean = rgb.mean(-1, keepdims=True)
  cross = (jnp.roll(rgb, 1, -1) - jnp.roll(rgb, -1, -1)) / jnp.sqrt(3.0)
  return rgb * cos + cross * sin + mean * (1.0 - cos)


def place(
  key: jax.Array,
  image: Float[Array, "b h w c"],
  *,
  degrees: float,
  scale: tuple[float, float],
  shift: tuple[float, float],
  share: float,
) -> Float[Array, "b h w c"]:
  """Rotates, scales, shifts and mirrors each sample; outside becomes 0.

  Args:
    key: where the draw comes from.
    image: any range; what comes in from outside is 0.
    degrees: half-width of the rotation.
    scale: bounds of the size factor.
    shift: half-widths of the shift, as shares of (height, width).
    share: probability that a sample is moved at all; the mirror is drawn for
      each sample by itself, with probability one half.
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
  # Where a target pixel comes from: undo shift, rotation, size and mirror,
  # about the picture's centre.
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
  """Cuts a window of `size` = (h, w) anywhere; half of them are mirrored."""
  b, h, w, c = image.shape
  key_place, key_side = jax.random.split(key)
  room = jnp.array([h - size[0] + 1, w - size[1] + 1])
  corner = jax.random.randint(key_place, (b, 2), 0, room[None])
  cut = lambda x, yx: jax.lax.dynamic_slice(x, (*yx, 0), (*size, c))
  cut = jax.vmap(cut)(image, corner)
  side = jax.random.bernoulli(key_side, 0.5, (b, 1, 1, 1))
  return jnp.where(side, cut[:, :, ::-1], cut)


def real_mask(
  key: jax.Array, mask: Float[Array, "b h w 1"]
) -> Float[Array, "b h w 1"]:
  """Returns a plausible mask made from that of frame 0 (sec. 2.6)."""
  return place(
    key, mask, shift=(_REAL_MASK_SHIFT, 0.0), share=_REAL_MASK_SHARE, **_REAL
  )


def real_foreground(
  key: jax.Array,
  frame: Float[Array, "b h w 3"],
  mask: Float[Array, "b h w 1"],
) -> Float[Array, "b h w 3"]:
  """Returns a plausible foreground on black made from frame 0 (sec. 2.6).

  The mask is applied after the colours change: the source's contrast jitter
  lifted the black around the object.
  """
  key_colour, key_place = jax.random.split(key)
  changed = colour(key_colour, frame, **_REAL_FG_COLOUR)
  dark = composite.dark(changed, mask)
  # Shifted so that what comes in from outside is black, not grey.
  moved = place(
    key_place, dark + 1.0, shift=(_REAL_FG_SHIFT, 0.0), share=1.0, **_REAL
  )
  return moved - 1.0
