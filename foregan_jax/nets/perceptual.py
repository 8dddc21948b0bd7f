"""Features that compare images: VGG-19, a random VGG-19, or an ImageNet trunk.

No function downloads weights. Values of a loss with other features cannot be
compared, so logs and tables name the kind.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.nets import efficientnet, vgg

KINDS = ("vgg", "random", "trunk")
_TRUNK_TAPS = 4  # at strides 4, 8, 16 and 32


@dataclasses.dataclass(frozen=True)
class Features:
  """A frozen net that returns the features of images at several depths.

  Attributes:
    kind: one of `KINDS`.
    net: the module.
    divisors: of the features, so that they weigh equally.
    source: a weight file, or ""; of the trunk also `random` and `tiny`.
  """

  kind: str
  net: nn.Module
  divisors: tuple[float, ...]
  source: str

  def __call__(
    self, collections: Mapping[str, Any], image: Float[Array, "b h w 3"]
  ) -> list[jax.Array]:
    """Return the float32 features of images in [0, 1]."""
    if self.kind == "trunk":
      found = self.net.apply(collections, 2.0 * image - 1.0)
      found = efficientnet.normalise(found, jnp.float32)
      found = [found.f4, found.f8, found.f16, found.f32]
      return found[: len(self.divisors)]
    found = self.net.apply(collections, image)
    return [
      x.astype(jnp.float32) / divisor
      for x, divisor in zip(found, self.divisors, strict=True)
    ]

  @property
  def smallest(self) -> int:
    """Return the smallest side of images whose features are not empty."""
    return 1 if self.kind == "trunk" else 2 ** (len(self.divisors) - 1)

  def frozen(self) -> tuple[str, Callable[[], dict[str, Any]]]:
    """Return the arguments of `game.FrozenNet`: name and loader."""
    if self.kind == "trunk":
      return efficientnet.frozen(self.source)
    taps = len(self.divisors)
    if self.kind == "vgg":
      return self.source, lambda: {"params": vgg.load(self.source, taps)}
    width = self.net.width  # type: ignore[attr-defined]
    return "random VGG-19", lambda: {"params": vgg.random(taps, width)}


def build(
  kind: str, *, source: str, width: int, taps: int, dtype: Any
) -> Features:
  """Return the features of a config.

  Args:
    kind: `vgg` (weights of a file), `random` (fixed random weights), or `trunk`
      (EfficientNet-Lite0 of the extra `pretrained`).
    source: the file of `vgg`; for `trunk` see `efficientnet.load`.
    width: channels of the first convolution of `random`.
    taps: number of features: up to 5, of the trunk up to 4.
    dtype: of the convolutions.

  Raises:
    ValueError: for an unknown kind, a missing file name, or too many taps.
  """
  if kind not in KINDS:
    raise ValueError(
      f"perceptual.kind is {kind!r}, but must be one of {', '.join(KINDS)}."
    )
  most = _TRUNK_TAPS if kind == "trunk" else vgg.NUM_TAPS
  if not 1 <= taps <= most:
    raise ValueError(
      f"perceptual.weights has {taps} features, but {kind} has 1 to {most}."
    )
  if kind == "trunk":
    net: nn.Module = efficientnet.build(source, dtype)
    return Features(kind, net, (1.0,) * taps, source)
  if kind == "random":
    net = vgg.Vgg19(taps, width, dtype)
    return Features(kind, net, vgg.random_scales(taps), "")
  if not source:
    raise ValueError(
      "perceptual.kind is 'vgg', but perceptual.file is empty: give "
      "torchvision's vgg19-dcbb9e9d.pth, or use perceptual.kind=random."
    )
  return Features(
    kind, vgg.Vgg19(taps, vgg.WIDTH, dtype), (1.0,) * taps, source
  )
