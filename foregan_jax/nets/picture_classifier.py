"""A small classifier of pictures: halving convolutions, mean, logits."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms

_GROUP = 8  # channels per group of the norms
_MAX_WIDTHS = 8  # most channels of a layer, in units of `width`


class PictureClassifier(nn.Module):
  """A classifier of whole pictures, or of soft masks.

  Each layer halves the picture: a 3x3 convolution of stride 2, group norm,
  ReLU. Channels double from `width` up to 8 `width`.

  Attributes:
    num_classes: number of logits.
    width: channels of the first layer.
    depth: number of layers.
    dtype: of the computation; logits are float32.
  """

  num_classes: int
  width: int = 32
  depth: int = 5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b n"]:
    """Return float32 logits; pictures are in [-1, 1], masks in [0, 1]."""
    x = x.astype(self.dtype)
    for i in range(self.depth):
      features = self.width * min(2**i, _MAX_WIDTHS)
      x = convs.Conv(
        features,
        (3, 3),
        2,
        (1, 1),
        dtype=self.dtype,
        kernel_init=nn.initializers.he_normal(),
        name=f"conv_{i}",
      )(x)
      groups = max(1, features // _GROUP)
      x = norms.GroupNorm(groups, name=f"norm_{i}")(x)
      x = nn.relu(x)
    x = x.astype(jnp.float32).mean(axis=(1, 2))
    return nn.Dense(self.num_classes, name="head")(x)
