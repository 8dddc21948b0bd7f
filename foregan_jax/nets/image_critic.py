"""The discriminator of layered images and the code estimators.

Figure A.1 b and c of Yang et al. (WACV 2022): a DCGAN trunk down to 4x4; the
estimator of the private code shares it with the real/fake score.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms
from foregan_jax.nets import image_layers

_LEAK = 0.2  # DCGAN's and FineGAN's slope
_LAST = 4  # side of the smallest map
_WIDEST = 16  # channels there, in units of `width`
_ENDS = 8  # channels after it at most, in the same units


class Verdict(struct.PyTreeNode):
  """Output of the discriminator; `code` is None without code classes.

  Attributes:
    real: [b] Logit that the image is real.
    code: [b, num_classes] Logits of the private code.
  """

  real: Any
  code: Any


class ImageCritic(nn.Module):
  """Score whether an image is real, and classify its private code."""

  width: int = 64
  num_classes: int = 200
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w 3"]) -> Verdict:
    """Return logits, float32."""
    x = DownTrunk(self.width, self.dtype, name="trunk")(image)
    real = _flat_head(x, 1, "real")[:, 0]
    code = None
    if self.num_classes:
      y = _unit(x, x.shape[-1], "code_conv", self.dtype)
      code = _flat_head(y, self.num_classes, "code")
    return Verdict(real, code)


class MaskCodeEstimator(nn.Module):
  """Guess the superclass of the private code from the mask alone."""

  width: int = 64
  num_classes: int = 20
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, mask: Float[Array, "b h w 1"]) -> Float[Array, "b s"]:
    """Return logits, float32. The mask enters as three equal channels."""
    x = jnp.broadcast_to(mask, (*mask.shape[:-1], 3))
    x = DownTrunk(self.width, self.dtype, name="trunk")(x)
    x = _unit(x, x.shape[-1], "code_conv", self.dtype)
    return _flat_head(x, self.num_classes, "code")


class DownTrunk(nn.Module):
  """Halve an image down to 4x4; the first unit has no norm."""

  width: int
  dtype: Any

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """Return features [b, 4, 4, c], c at most 8 width."""
    x = image.astype(self.dtype)
    halvings = (image.shape[1] // _LAST).bit_length() - 1
    for i in range(halvings):
      features = min(2**i, _WIDEST) * self.width
      x = convs.Conv(
        features,
        (4, 4),
        2,
        (1, 1),
        dtype=self.dtype,
        kernel_init=image_layers.orthogonal,
        name=f"down_{i}",
      )(x)
      if i:
        x = norms.BatchNorm(dtype=self.dtype, name=f"down_{i}_norm")(x)
      x = nn.leaky_relu(x, _LEAK)
    ends = min(features, _ENDS * self.width)
    return _unit(x, ends, "last", self.dtype)


def _unit(x, features: int, name: str, dtype) -> jax.Array:
  """Convolve 3x3, normalise, rectify leakily."""
  x = convs.Conv(
    features, (3, 3), padding=(1, 1), dtype=dtype,
    kernel_init=image_layers.orthogonal, name=name,
  )(x)  # fmt: skip
  x = norms.BatchNorm(dtype=dtype, name=f"{name}_norm")(x)
  return nn.leaky_relu(x, _LEAK)


def _flat_head(x: jax.Array, features: int, name: str) -> jax.Array:
  flat = x.astype(jnp.float32).reshape(x.shape[0], -1)
  head = nn.Dense(features, kernel_init=image_layers.orthogonal, name=name)
  return head(flat)
