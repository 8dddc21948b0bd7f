"""What light and camera do to pictures: colour, drift, blur and noise."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

_LUMA = np.tile(np.float32([0.299, 0.587, 0.114]), (3, 1))  # Rec. 601
_SAME = np.eye(3, dtype=np.float32)
# Rodrigues: what turns colours about the axis of the greys.
_TURN = (np.roll(_SAME, 1, 0) - np.roll(_SAME, -1, 0)) / np.float32(3**0.5)
_BLUR = 0.25  # the most that each neighbour gets: the binomial kernel 1 2 1


@struct.dataclass
class Filter:
  """A linear change of colours, one per picture: `(colour, 1) -> matrix ..`.

  Attributes:
    matrix: [.. 4 4], whose last row is (0, 0, 0, 1).
  """

  matrix: Any

  def __call__(
    self, image: Float[Array, "*n h w 3"]
  ) -> Float[Array, "*n h w 3"]:
    """Change pictures in [-1, 1]; leading axes may be missing in `matrix`."""
    missing = (1,) * (image.ndim + 1 - self.matrix.ndim)
    shape = self.matrix.shape[:-2]
    column = lambda c: self.matrix[..., :3, c].reshape(*shape, *missing, 3)
    out = column(3)
    for c in range(3):
      out = out + image[..., c, None] * column(c)
    return jnp.clip(out, -1.0, 1.0)

  def then(self, other: "Filter") -> "Filter":
    """Return the filter that does both."""
    exact = jax.lax.Precision.HIGHEST
    return Filter(jnp.matmul(other.matrix, self.matrix, precision=exact))


def light(gain: Float[Array, "*n 3"]) -> Filter:
  """Return the filter that multiplies the light, whose absence is -1."""
  return _filter(gain[..., None] * _along(_SAME, gain.ndim + 1), gain - 1.0)


@dataclasses.dataclass(frozen=True)
class Colour:
  """A random change of colours.

  `layers.jitter.colour` with one pass over the pixels for all of it: contrast
  is about mid-grey, and only the result is clipped.

  Attributes:
    brightness: half-width of a factor about 1; so are contrast and saturation.
    contrast: see brightness.
    saturation: see brightness.
    hue: half-width of the hue's turn, as a share of the full circle.
  """

  brightness: float = 0.0
  contrast: float = 0.0
  saturation: float = 0.0
  hue: float = 0.0

  def draw(
    self, key: PRNGKeyArray, shape: tuple[int, ...], grey: float = 0.0
  ) -> Filter:
    """Draw filters; a share `grey` of them takes the colours away."""
    drawn = jax.random.uniform(key, (5, *shape, 1, 1))
    between = lambda i, width: width * (2.0 * drawn[i] - 1.0)
    bright = 1.0 + between(0, self.brightness)
    contrast = 1.0 + between(1, self.contrast)
    saturation = 1.0 + between(2, self.saturation)
    saturation = jnp.where(drawn[4] < grey, 0.0, saturation)
    angle = 2.0 * math.pi * between(3, self.hue)
    along = lambda x: _along(x, len(shape) + 2)
    hue = jnp.cos(angle) * along(_SAME - 1 / 3) + jnp.sin(angle) * along(_TURN)
    hue = hue + 1 / 3
    mixed = saturation * hue + (1.0 - saturation) * along(_LUMA)
    offset = (contrast * (bright - 1.0))[..., 0]
    return _filter(
      contrast * bright * mixed, jnp.broadcast_to(offset, (*shape, 3))
    )


@dataclasses.dataclass(frozen=True)
class Optics:
  """Changes of pictures in [-1, 1] that leave everything in its place.

  Attributes:
    still: the colours of a whole still, and so of a whole clip.
    grey: probability that a still has no colours.
    blur: probability that a still is a little out of focus.
    frame: the colours of every frame by itself.
    drift: half-width of the gain that each channel gains or loses evenly over
      a clip: the light changes in strength and in hue.
    noise: the strongest noise, as a share of full white.
  """

  still: Colour
  grey: float
  blur: float
  frame: Colour
  drift: float
  noise: float

  def develop(
    self, key: PRNGKeyArray, stills: Float[Array, "b *t h w 3"]
  ) -> Float[Array, "b *t h w 3"]:
    """Change stills, or clips as wholes, before anything is cut out."""
    key_colour, key_blur = jax.random.split(key)
    if self.blur:
      stills = _blur(key_blur, stills, self.blur)
    return self.still.draw(key_colour, (len(stills),), self.grey)(stills)

  def film(
    self, key: PRNGKeyArray, video: Float[Array, "b t h w 3"]
  ) -> Float[Array, "b t h w 3"]:
    """Change frames, as the camera that took them would."""
    key_frame, key_drift, key_noise = jax.random.split(key, 3)
    b, t, *_ = video.shape
    gain = self.drift * jax.random.uniform(key_drift, (b, 1, 3), minval=-1.0)
    passed = np.linspace(0, 1, t, dtype=np.float32)[None, :, None]
    colours = self.frame.draw(key_frame, (b, t))
    video = colours.then(light(1.0 + gain * passed))(video)
    return _noise(key_noise, video, self.noise) if self.noise else video


def _filter(matrix: jax.Array, offset: jax.Array) -> Filter:
  """Put a matrix [.. 3 3] and an offset [.. 3] together."""
  top = jnp.concatenate([matrix, offset[..., None]], axis=-1)
  last = jnp.broadcast_to(
    _along(np.float32([[0, 0, 0, 1]]), top.ndim), (*top.shape[:-2], 1, 4)
  )
  return Filter(jnp.concatenate([top, last], axis=-2))


def _along(matrix: np.ndarray, ndim: int) -> np.ndarray:
  """Put ones before the shape of a matrix."""
  return matrix.reshape((1,) * (ndim - 2) + matrix.shape)


def _blur(key: jax.Array, image: jax.Array, share: float) -> jax.Array:
  """Mix neighbours along rows and along columns, alike in all of a sample."""
  shape = (2, len(image)) + (1,) * (image.ndim - 1)
  chosen, strength = jax.random.uniform(key, shape)
  side = jnp.where(chosen < share, _BLUR * strength, 0.0)
  for axis in (image.ndim - 3, image.ndim - 2):
    pad = [(0, 0)] * image.ndim
    pad[axis] = (1, 1)
    wide = jnp.pad(image, pad, mode="edge")
    shift = lambda i, n, axis=axis, wide=wide: jax.lax.slice_in_dim(
      wide, i, i + n, axis=axis
    )
    n = image.shape[axis]
    image = image + side * (shift(0, n) + shift(2, n) - 2.0 * image)
  return image


def _noise(key: jax.Array, video: jax.Array, most: float) -> jax.Array:
  key_bits, key_level = jax.random.split(key)
  # One word per pixel, one byte of it per channel: drawing costs more than
  # all that is done with it.
  word = jax.random.bits(key_bits, (*video.shape[:-1], 1), jnp.uint32)
  channels = np.uint32([0, 8, 16]).reshape(1, 1, 1, 1, 3)
  byte = jnp.right_shift(word, channels) & 0xFF
  # The range [-1, 1] is twice as wide as full white.
  level = 2.0 * most * jax.random.uniform(key_level, (len(video), 1, 1, 1, 1))
  noise = (byte.astype(jnp.float32) / 127.5 - 1.0) * level
  return jnp.clip(video + noise, -1.0, 1.0)
