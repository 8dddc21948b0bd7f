"""The RGMP network: a mask from the previous mask and a reference frame.

Oh et al., "Fast Video Object Segmentation by Reference-Guided Mask
Propagation", CVPR 2018. A shared encoder reads two streams: the reference frame
with its mask, and the current frame with the previous mask. A decoder compares
both and refines the result.

The reference enters the decoder through convolutions that are linear in the
concatenation of both streams. `encode_reference` computes its half once per
video, and the decoder adds it to the other half. The result is the same, at
half of that layer's cost per frame.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from foregan_jax.layers import convs, resnet, warp

_STRIDES = (1, 2, 2, 2)
_SPAN = 7  # kernel length of the global convolutions
# PyTorch's initialisation of convolutions.
_TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def stride_of(*, pool: bool) -> int:
  """Return the stride; height and width of a frame must be multiples of it."""
  return 32 if pool else 16


class ReferenceFeatures(struct.PyTreeNode):
  """The reference's half of the first convolution of both global branches."""

  left: Any  # [b, h/32, w/32, c], branch of 7x1 then 1x7
  right: Any  # [b, h/32, w/32, c], branch of 1x7 then 7x1


class Features(struct.PyTreeNode):
  """The encoder's stages; without the pool, h and w are twice as large."""

  r2: Any  # [b, h/4, w/4, 4 width]
  r3: Any  # [b, h/8, w/8, 8 width]
  r4: Any  # [b, h/16, w/16, 16 width]
  r5: Any  # [b, h/32, w/32, 32 width]


class Propagator(nn.Module):
  """The network; the defaults are those of the published one.

  Attributes:
    blocks: number of bottlenecks of each stage (ResNet-50).
    width: channels of the first layer.
    features: channels of the decoder.
    norm: `frozen` or `group`, see `resnet.normalised`.
    pool: whether to pool the first layer's features. Without the pool all
      features have twice the resolution, which small frames need.
    align_corners: for the resizes in the decoder; PyTorch used True in 2018.
    dtype: compute dtype.
  """

  blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
  width: int = 64
  features: int = 256
  norm: str = "frozen"
  pool: bool = True
  align_corners: bool = True
  dtype: Any = jnp.float32

  @property
  def stride(self) -> int:
    """The stride: height and width of a frame must be multiples of it."""
    return stride_of(pool=self.pool)

  def setup(self):
    """Build encoder and decoder."""
    self.encoder = Encoder(
      self.blocks, self.width, self.norm, self.pool, self.dtype
    )
    self.decoder = Decoder(
      self.features,
      resnet.EXPANSION * self.width * 2 ** (len(self.blocks) - 1),
      self.align_corners,
      self.dtype,
    )

  def encode(
    self, frame: Float[Array, "#b h w 3"], mask: Float[Array, "b h w 1"]
  ) -> Features:
    """Return the features of a frame in [-1, 1] with a soft mask.

    One frame can have the masks of many objects: layers that depend on the
    frame alone are then computed once.
    """
    return self.encoder(frame, mask)

  def encode_reference(
    self, frame: Float[Array, "#b h w 3"], mask: Float[Array, "b h w 1"]
  ) -> ReferenceFeatures:
    """Return the reference features of a frame with its given mask."""
    return self.decoder.encode_reference(self.encode(frame, mask).r5)

  def __call__(
    self,
    frame: Float[Array, "#b h w 3"],
    prev_mask: Float[Array, "b h w 1"],
    reference: ReferenceFeatures,
  ) -> tuple[Float[Array, "b h w 2"], tuple[jax.Array, ...]]:
    """Return float32 logits (background, object), and those of each stage.

    The logits of the stages are for deep supervision; under `jit` they cost
    nothing if they are not used.
    """
    sides = self.decoder(self.encode(frame, prev_mask), reference)
    size = frame.shape[1:3]
    logits = warp.resize(sides[0], size, align_corners=self.align_corners)
    return logits, sides


def probability(logits: Float[Array, "b h w 2"]) -> Float[Array, "b h w 1"]:
  """Return the soft mask in [0, 1]: softmax over (background, object)."""
  return jax.nn.sigmoid(logits[..., 1:] - logits[..., :1])


def init(net: Propagator, key: jax.Array, size: tuple[int, int]) -> Any:
  """Return fresh parameters; frames have `size` = (h, w)."""
  frame = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  mask = jax.ShapeDtypeStruct((1, *size, 1), jnp.float32)
  forward = lambda net, frame, mask: net(
    frame, mask, net.encode_reference(frame, mask)
  )
  return net.lazy_init(key, frame, mask, method=forward)["params"]


class Encoder(nn.Module):
  """A ResNet whose first layer also reads a mask."""

  blocks: tuple[int, int, int, int]
  width: int
  norm: str
  pool: bool
  dtype: Any

  @nn.compact
  def __call__(
    self, frame: Float[Array, "#b h w 3"], mask: Float[Array, "b h w 1"]
  ) -> Features:
    """Return all stages; the frame is in [-1, 1], the mask in [0, 1]."""
    stem = lambda name, bias: convs.Conv(
      self.width, (7, 7), 2, (3, 3), use_bias=bias, dtype=self.dtype,
      kernel_init=_TORCH_INIT, name=name,
    )  # fmt: skip
    of_frame, of_mask = stem("conv1", False), stem("conv1_p", True)

    def convolve(affine: convs.Affine | None) -> jax.Array:
      # Equal to one convolution of four channels, but one frame broadcasts over
      # many masks.
      factor_only = affine and (affine[0], jnp.zeros_like(affine[1]))
      image = of_frame(resnet.standardise(frame), affine)
      return image + of_mask(mask, factor_only)

    x = resnet.normalised(
      self.norm, self.width, convolve, dtype=self.dtype, name="bn1"
    )
    x = nn.relu(x)
    if self.pool:
      x = resnet.max_pool(x)
    stages = []
    for i, (blocks, stride) in enumerate(
      zip(self.blocks, _STRIDES, strict=True)
    ):
      x = resnet.Stage(
        self.width * 2**i, blocks, stride, self.norm, self.dtype,
        name=f"res{i + 2}",
      )(x)  # fmt: skip
      stages.append(x)
    return Features(*stages)


class Decoder(nn.Module):
  """A decoder that compares target and reference, and refines to 1/4."""

  features: int
  channels: int
  align_corners: bool
  dtype: Any

  def setup(self):
    """Build the layers."""
    self.gc = GlobalConv(self.channels, self.features, self.dtype)
    self.g = Residual(self.features, self.dtype)
    refine = lambda: Refine(self.features, self.align_corners, self.dtype)
    self.rf4, self.rf3, self.rf2 = refine(), refine(), refine()
    head = lambda: _conv3(2, jnp.float32)
    self.pred5, self.pred4 = head(), head()
    self.pred3, self.pred2 = head(), head()

  def encode_reference(self, r5: Float[Array, "b h w c"]) -> ReferenceFeatures:
    """Return the reference's half of the global convolution."""
    return self.gc.encode_reference(r5)

  def __call__(
    self, target: Features, reference: ReferenceFeatures
  ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return logits [b, h/k, w/k, 2] for k = 4, 8, 16, 32."""
    m5 = self.g(self.gc(target.r5, reference))
    m4 = self.rf4(target.r4, m5)
    m3 = self.rf3(target.r3, m4)
    m2 = self.rf2(target.r2, m3)
    predict = lambda head, m: head(nn.relu(m).astype(jnp.float32))
    return (
      predict(self.pred2, m2),
      predict(self.pred3, m3),
      predict(self.pred4, m4),
      predict(self.pred5, m5),
    )


class GlobalConv(nn.Module):
  """Two branches of 7x1 and 1x7 convolutions over target and reference.

  Attributes:
    channels: of the target, and of the reference. The kernels have the target's
      input channels first.
    features: channels of the result.
  """

  channels: int
  features: int
  dtype: Any

  def setup(self):
    """Build both branches."""
    tall, wide = (_SPAN, 1), (1, _SPAN)
    pair = 2 * self.channels
    kernel = lambda size, i: _Kernel(size, i, self.features, self.dtype)
    self.l1, self.l2 = kernel(tall, pair), kernel(wide, self.features)
    self.r1, self.r2 = kernel(wide, pair), kernel(tall, self.features)

  def encode_reference(
    self, reference: Float[Array, "b h w c"]
  ) -> ReferenceFeatures:
    """Return the reference's half of the first convolutions."""
    half = slice(self.channels, None)
    return ReferenceFeatures(
      self.l1(reference, half, bias=True), self.r1(reference, half, bias=True)
    )

  def __call__(
    self, target: Float[Array, "b h w c"], reference: ReferenceFeatures
  ) -> Float[Array, "b h w f"]:
    """Return the sum of both branches."""
    half = slice(0, self.channels)
    left = self.l1(target, half, bias=False) + reference.left
    right = self.r1(target, half, bias=False) + reference.right
    all_channels = slice(None)
    left = self.l2(left, all_channels, bias=True)
    return left + self.r2(right, all_channels, bias=True)


class _Kernel(nn.Module):
  """A convolution that can apply a range of its input channels."""

  size: tuple[int, int]
  channels: int
  features: int
  dtype: Any

  @nn.compact
  def __call__(self, x, channels: slice, *, bias: bool) -> jax.Array:
    shape = (*self.size, self.channels, self.features)
    kernel = self.param("kernel", _TORCH_INIT, shape, jnp.float32)
    offset = self.param(
      "bias", nn.initializers.zeros, (self.features,), jnp.float32
    )
    kernel = kernel[:, :, channels].astype(self.dtype)
    padding = (self.size[0] // 2, self.size[1] // 2)
    y = convs.conv(x.astype(self.dtype), kernel, 1, padding)
    return y + offset.astype(self.dtype).reshape(1, 1, 1, -1) if bias else y


class Residual(nn.Module):
  """The pre-activation block `x + C2(relu(C1(relu(x))))`, without norms."""

  features: int
  dtype: Any

  def setup(self):
    """Build both convolutions."""
    self.c1 = _conv3(self.features, self.dtype)
    self.c2 = _conv3(self.features, self.dtype)

  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the sum."""
    return x + self.c2(nn.relu(self.c1(nn.relu(x))))


class Refine(nn.Module):
  """A block that adds the encoder's finer features to the coarser ones."""

  features: int
  align_corners: bool
  dtype: Any

  def setup(self):
    """Build the layers."""
    self.fs1 = _conv3(self.features, self.dtype)
    self.fs = Residual(self.features, self.dtype)
    self.mm = Residual(self.features, self.dtype)

  def __call__(
    self, skip: Float[Array, "b h w i"], below: Float[Array, "b h2 w2 c"]
  ) -> Float[Array, "b h w c"]:
    """Return refined features, as large as `skip`."""
    size = skip.shape[1:3]
    doubled = warp.resize(below, size, align_corners=self.align_corners)
    return self.mm(self.fs(self.fs1(skip)) + doubled)


def _conv3(features: int, dtype) -> convs.Conv:
  return convs.Conv(
    features, (3, 3), 1, (1, 1), use_bias=True, dtype=dtype,
    kernel_init=_TORCH_INIT,
  )  # fmt: skip
