"""The discriminator of layered images and the code estimators.

Figure A.1 b and c of Yang et al. (WACV 2022): a DCGAN trunk halves the image
down to 4x4. The real/fake head and the private code's head share the trunk.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms
from foregan_jax.nets import image_layers

_NEGATIVE_SLOPE = 0.2  # as in DCGAN and FineGAN
_LAST_SIDE = 4  # height and width of the smallest map
_MAX_WIDTHS = 16  # most channels of a halving layer, in units of `width`
_MAX_LAST_WIDTHS = 8  # most channels of the last layer, in units of `width`


class Logits(struct.PyTreeNode):
  """Output of the discriminator.

  Attributes:
    real: [b], logit of "the image is real".
    code: [b, num_classes], logits of the private code; None without classes.
  """

  real: Any
  code: Any


class ImageCritic(nn.Module):
  """A discriminator that also classifies the private code of an image."""

  width: int = 64
  num_classes: int = 200
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: Float[Array, "b h w 3"]) -> Logits:
    """Return float32 logits for images in [-1, 1]."""
    x = DownTrunk(self.width, self.dtype, name="trunk")(image)
    real = _dense_head(x, 1, "real")[:, 0]
    code = None
    if self.num_classes:
      y = _conv_block(x, x.shape[-1], "code_conv", self.dtype)
      code = _dense_head(y, self.num_classes, "code")
    return Logits(real, code)


class MaskCodeEstimator(nn.Module):
  """A classifier of the private code's superclass; it sees only the mask."""

  width: int = 64
  num_classes: int = 20
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, mask: Float[Array, "b h w 1"]) -> Float[Array, "b s"]:
    """Return float32 logits; repeat the mask in [0, 1] to three channels."""
    x = jnp.broadcast_to(mask, (*mask.shape[:-1], 3))
    x = DownTrunk(self.width, self.dtype, name="trunk")(x)
    x = _conv_block(x, x.shape[-1], "code_conv", self.dtype)
    return _dense_head(x, self.num_classes, "code")


class DownTrunk(nn.Module):
  """A trunk that halves an image down to 4x4; its first layer has no norm."""

  width: int
  dtype: Any

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """Return features [b, 4, 4, c] with c <= 8 width."""
    x = image.astype(self.dtype)
    halvings = (image.shape[1] // _LAST_SIDE).bit_length() - 1
    for i in range(halvings):
      features = min(2**i, _MAX_WIDTHS) * self.width
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
      x = nn.leaky_relu(x, _NEGATIVE_SLOPE)
    features = min(features, _MAX_LAST_WIDTHS * self.width)
    return _conv_block(x, features, "last", self.dtype)


def _conv_block(x, features: int, name: str, dtype) -> jax.Array:
  """Apply a 3x3 convolution, batch norm and a leaky ReLU."""
  x = convs.Conv(
    features, (3, 3), padding=(1, 1), dtype=dtype,
    kernel_init=image_layers.orthogonal, name=name,
  )(x)  # fmt: skip
  x = norms.BatchNorm(dtype=dtype, name=f"{name}_norm")(x)
  return nn.leaky_relu(x, _NEGATIVE_SLOPE)


def _dense_head(x: jax.Array, features: int, name: str) -> jax.Array:
  flat = x.astype(jnp.float32).reshape(x.shape[0], -1)
  head = nn.Dense(features, kernel_init=image_layers.orthogonal, name=name)
  return head(flat)
