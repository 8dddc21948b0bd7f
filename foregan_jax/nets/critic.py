"""Wasserstein critics of frames, masks and patches (VOS-ForeGAN sec. 5)."""

import functools
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs

# PyTorch's default negative slope of LeakyReLU; VOS-ForeGAN uses it.
_NEGATIVE_SLOPE = 0.01


class Critic(nn.Module):
  """A patch critic without norms and without a final activation.

  Attributes:
    width: channels of the first convolution; each later one doubles them.
    num_down: number of convolutions of stride 2.
    arch: layers after these convolutions. "M": two unpadded convolutions of
      (2, 4) and (2, 2), and a (1, 3) head; with `width` 64 and `num_down` 4, a
      patch of 60x112 gives one score. "Ga": a 3x3 head.
    heads: names of the heads; all heads share the trunk.
    dtype: compute dtype of the trunk.
  """

  width: int = 64
  num_down: int = 4
  arch: Literal["M", "Ga"] = "M"
  heads: tuple[str, ...] = ("fg",)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], head: str
  ) -> Float[Array, "b h2 w2 1"]:
    """Return a float32 map of scores from one head.

    Args:
      x: image of 3 channels, or mask of 1 channel. The mask is repeated to 3.
      head: one of `heads`.

    Raises:
      ValueError: if `heads` lacks `head`.
    """
    if head not in self.heads:
      raise ValueError(
        f"critic has no head {head!r}; its heads are {self.heads}"
      )
    conv = functools.partial(convs.Conv, dtype=self.dtype)
    leaky_relu = functools.partial(
      nn.leaky_relu, negative_slope=_NEGATIVE_SLOPE
    )
    x = jnp.broadcast_to(x, (*x.shape[:-1], 3))
    features = self.width
    for i in range(self.num_down):
      down = conv(features, (4, 4), 2, (1, 1), use_bias=True, name=f"down_{i}")
      x = leaky_relu(down(x))
      features *= 2
    head_conv = functools.partial(convs.Conv, 1, (3, 3), padding=(1, 1))
    if self.arch == "M":
      x = leaky_relu(conv(features, (2, 4), name="valid_0")(x))
      x = leaky_relu(conv(2 * features, (2, 2), name="valid_1")(x))
      head_conv = functools.partial(convs.Conv, 1, (1, 3), use_bias=True)
    # Initialisation must create the parameters of all heads.
    names = self.heads if self.is_initializing() else (head,)
    scores = {name: head_conv(name=f"head_{name}")(x) for name in names}
    return scores[head]
