"""Random changes of colours, brightness, blur and noise."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

_LUMA = np.tile(np.float32([0.299, 0.587, 0.114]), (3, 1))  # Rec. 601
_IDENTITY = np.eye(3, dtype=np.float32)
# Rodrigues: the generator of rotations of colours about the grey axis.
_TURN = np.roll(_IDENTITY, 1, 0) - np.roll(_IDENTITY, -1, 0)
_TURN = _TURN / np.float32(3**0.5)
_BLUR = 0.25  # largest weight of a neighbour: the binomial kernel 1 2 1


class Filter(struct.PyTreeNode):
  """An affine change of colours: `matrix (colour, 1)`, one per image.

  Attributes:
    matrix: [.. 4 4]; its last row is (0, 0, 0, 1).
  """

  matrix: Any

  def __call__(
    self, image: Float[Array, "*n h w 3"]
  ) -> Float[Array, "*n h w 3"]:
    """Return the changed images, clipped to [-1, 1].

    The leading axes of `matrix` are the first ones of `image`.
    """
    missing = (1,) * (image.ndim + 1 - self.matrix.ndim)
    shape = self.matrix.shape[:-2]
    column = lambda c: self.matrix[..., :3, c].reshape(*shape, *missing, 3)
    out = column(3)
    for c in range(3):
      out = out + image[..., c, None] * column(c)
    return jnp.clip(out, -1.0, 1.0)

  def then(self, other: "Filter") -> "Filter":
    """Return the filter that applies this one and then `other`."""
    exact = jax.lax.Precision.HIGHEST
    return Filter(jnp.matmul(other.matrix, self.matrix, precision=exact))


def gain_filter(gain: Float[Array, "*n 3"]) -> Filter:
  """Return the filter that multiplies the brightness; black is -1."""
  matrix = gain[..., None] * _expand(_IDENTITY, gain.ndim + 1)
  return _filter(matrix, gain - 1.0)


@dataclasses.dataclass(frozen=True)
class Colour:
  """A random change of brightness, contrast, saturation and hue.

  It does the same as `layers.jitter.colour` in one pass over the pixels, except
  that contrast is about mid-grey and only the result is clipped.

  Attributes:
    brightness: half-width of the factor, whose mean is 1.
    contrast: as `brightness`.
    saturation: as `brightness`.
    hue: half-width of the hue's rotation, as a share of the full circle.
  """

  brightness: float = 0.0
  contrast: float = 0.0
  saturation: float = 0.0
  hue: float = 0.0

  def draw(
    self, key: PRNGKeyArray, shape: tuple[int, ...], grey: float = 0.0
  ) -> Filter:
    """Draw filters; they remove the colours with probability `grey`."""
    drawn = jax.random.uniform(key, (5, *shape, 1, 1))
    between = lambda i, width: width * (2.0 * drawn[i] - 1.0)
    bright = 1.0 + between(0, self.brightness)
    contrast = 1.0 + between(1, self.contrast)
    saturation = 1.0 + between(2, self.saturation)
    saturation = jnp.where(drawn[4] < grey, 0.0, saturation)
    angle = 2.0 * math.pi * between(3, self.hue)
    expand = lambda x: _expand(x, len(shape) + 2)
    hue = jnp.cos(angle) * expand(_IDENTITY - 1 / 3)
    hue = hue + jnp.sin(angle) * expand(_TURN) + 1 / 3
    mixed = saturation * hue + (1.0 - saturation) * expand(_LUMA)
    offset = (contrast * (bright - 1.0))[..., 0]
    return _filter(
      contrast * bright * mixed, jnp.broadcast_to(offset, (*shape, 3))
    )


@dataclasses.dataclass(frozen=True)
class Optics:
  """Random changes of images in [-1, 1] without motion.

  Attributes:
    still: change of colours of a still; the same in all frames of its clip.
    grey: probability that a still becomes grey.
    blur: probability that a still is slightly blurred.
    frame: change of colours of each frame, independent of other frames.
    drift: half-width of a change of gain over a clip. The gain of each channel
      changes linearly in time, so brightness and hue drift.
    noise: maximum amplitude of the noise, as a share of full white.
  """

  still: Colour
  grey: float
  blur: float
  frame: Colour
  drift: float
  noise: float

  def change_stills(
    self, key: PRNGKeyArray, stills: Float[Array, "b *t h w 3"]
  ) -> Float[Array, "b *t h w 3"]:
    """Return stills, or clips, with a random change of colours and blur.

    All frames of a clip get the same change.
    """
    key_colour, key_blur = jax.random.split(key)
    if self.blur:
      stills = _blur(key_blur, stills, self.blur)
    return self.still.draw(key_colour, (len(stills),), self.grey)(stills)

  def change_frames(
    self, key: PRNGKeyArray, video: Float[Array, "b t h w 3"]
  ) -> Float[Array, "b t h w 3"]:
    """Return clips with random changes per frame: colours, drift, noise."""
    key_frame, key_drift, key_noise = jax.random.split(key, 3)
    b, t, *_ = video.shape
    gain = self.drift * jax.random.uniform(key_drift, (b, 1, 3), minval=-1.0)
    time = np.linspace(0, 1, t, dtype=np.float32)[None, :, None]
    colours = self.frame.draw(key_frame, (b, t))
    video = colours.then(gain_filter(1.0 + gain * time))(video)
    return _noise(key_noise, video, self.noise) if self.noise else video


def _filter(matrix: jax.Array, offset: jax.Array) -> Filter:
  """Return the filter of a matrix [.. 3 3] and an offset [.. 3]."""
  top = jnp.concatenate([matrix, offset[..., None]], axis=-1)
  last = jnp.broadcast_to(
    _expand(np.float32([[0, 0, 0, 1]]), top.ndim), (*top.shape[:-2], 1, 4)
  )
  return Filter(jnp.concatenate([top, last], axis=-2))


def _expand(matrix: np.ndarray, ndim: int) -> np.ndarray:
  """Return the matrix with leading axes of length 1, `ndim` axes in all."""
  return matrix.reshape((1,) * (ndim - 2) + matrix.shape)


def _blur(key: jax.Array, image: jax.Array, share: float) -> jax.Array:
  """Blur samples along rows and columns, with probability `share`."""
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


def _noise(key: jax.Array, video: jax.Array, maximum: float) -> jax.Array:
  """Add uniform noise; its amplitude is constant in a clip."""
  key_bits, key_level = jax.random.split(key)
  # One random word per pixel, one byte of it per channel: sampling takes longer
  # than all other operations here.
  word = jax.random.bits(key_bits, (*video.shape[:-1], 1), jnp.uint32)
  channels = np.uint32([0, 8, 16]).reshape(1, 1, 1, 1, 3)
  byte = jnp.right_shift(word, channels) & 0xFF
  # The range [-1, 1] is twice as wide as [0, 1].
  level = (
    2.0 * maximum * jax.random.uniform(key_level, (len(video), 1, 1, 1, 1))
  )
  noise = (byte.astype(jnp.float32) / 127.5 - 1.0) * level
  return jnp.clip(video + noise, -1.0, 1.0)
