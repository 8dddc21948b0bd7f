"""Pairs of frames of one video as training samples, made on the device."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, PRNGKeyArray, UInt8

from foregan_jax.layers import jitter, ranges


class Views(struct.PyTreeNode):
  """The images of a sample, float32 [b, s, s, 3] in [0, 1].

  Attributes:
    source: shows the appearance.
    driving: shows the pose, in other colours.
    target: the driving frame in the colours of the source.
  """

  source: Any
  driving: Any
  target: Any


@dataclasses.dataclass(frozen=True)
class FramePairs:
  """Reverse the time, or mirror, and change the colours.

  Half of the pairs run backwards; half of the others are mirrored. Source and
  target share one change of colours; the driving frame gets another one, so
  that its mask cannot carry colours. Unlike in the published code, brightness,
  contrast, saturation and hue change in this order, and contrast is relative to
  the common mean of source and target.

  Source: Shalev and Wolf (CVPR 2022), their code.

  Attributes:
    colour: maximum changes of brightness, contrast, saturation and hue.
  """

  colour: tuple[float, float, float, float]

  def __call__(
    self, key: PRNGKeyArray, frames: UInt8[Array, "b 2 s s 3"]
  ) -> Views:
    """Return the views of pairs, the earlier frame first."""
    key_flip, key_one, key_two = jax.random.split(key, 3)
    drawn = jax.random.uniform(key_flip, (2, frames.shape[0], 1, 1, 1, 1))
    backward = drawn[0] < 0.5
    mirrored = ~backward & (drawn[1] < 0.5)
    x = jnp.where(backward, frames[:, ::-1], frames)
    x = ranges.image_to_float(jnp.where(mirrored, x[..., ::-1, :], x))
    brightness, contrast, saturation, hue = self.colour
    change = lambda key, x: (
      jitter.colour(
        key, x, brightness=brightness, contrast=contrast,
        saturation=saturation, hue=hue,
      ) + 1.0
    ) / 2.0  # fmt: skip
    same, other = change(key_one, x), change(key_two, x[:, 1])
    return Views(same[:, 0], other, same[:, 1])
