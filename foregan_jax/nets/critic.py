"""Wasserstein critics of frames, masks and patches (VOS-ForeGAN sec. 5)."""

import functools
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs

# PyTorch's default slope of LeakyReLU, which VOS-ForeGAN keeps.
_LEAK = 0.01


class Critic(nn.Module):
  """Score patches of an image: no norm, no final activation.

  `arch` "M": `num_down` convolutions of stride 2, then two valid ones of
  (2, 4) and (2, 2) that keep doubling the channels, and a (1, 3) head; at
  64 channels and `num_down` 4 a patch of 60x112 gives one score. "Ga": the
  convolutions of stride 2, and a 3x3 head. Every name in `heads` has a head
  of its own on the shared trunk.
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
    """Return a map of scores, float32, of one of `heads`.

    Masks (one channel) are broadcast to three.

    Raises:
      ValueError: if there is no such head.
    """
    if head not in self.heads:
      raise ValueError(f"no head {head!r} in a critic with {self.heads}")
    conv = functools.partial(convs.Conv, dtype=self.dtype)
    leak = functools.partial(nn.leaky_relu, negative_slope=_LEAK)
    x = jnp.broadcast_to(x, (*x.shape[:-1], 3))
    features = self.width
    for i in range(self.num_down):
      down = conv(features, (4, 4), 2, (1, 1), use_bias=True, name=f"down_{i}")
      x = leak(down(x))
      features *= 2
    last = functools.partial(convs.Conv, 1, (3, 3), padding=(1, 1))
    if self.arch == "M":
      x = leak(conv(features, (2, 4), name="valid_0")(x))
      x = leak(conv(2 * features, (2, 2), name="valid_1")(x))
      last = functools.partial(convs.Conv, 1, (1, 3), use_bias=True)
    # Initialisation creates every head, whichever is called.
    names = self.heads if self.is_initializing() else (head,)
    return {name: last(name=f"head_{name}")(x) for name in names}[head]
