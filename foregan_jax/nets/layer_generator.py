"""The generator of one layer of a video: foreground or background.

One encoder-decoder covers every generator of VOS-ForeGAN (sec. 3) and its
six experiments; a variant is a value of a field.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from foregan_jax.layers import convs, norms, recurrent, warp

# Units of the transform estimator's hidden layer, as in VOS-ForeGAN's code.
_AFFINE_HIDDEN = 3000
_AFFINE_CHANNELS = (32, 16, 8, 1)


class Layer(struct.PyTreeNode):
  """Output of one step for one layer of the frame.

  Attributes:
    image: [b, h, w, 3], next image of the layer in [-1, 1], not masked.
    mask: [b, h, w, 1], next soft mask in [0, 1], or None.
    attention: [b, h, w, 1], weight of the base in [0, 1].
    features: [b, h, w, d], decoder features without the recurrent state.
    state: recurrent state for the next step.
  """

  image: Any
  mask: Any
  attention: Any
  features: Any
  state: Any


class LayerGenerator(nn.Module):
  """A generator that maps a layer and its conditions at time t to t + 1.

  `image = A base + (1 - A) C` with attention A and colour C read from the
  temporal features z; `mask = sigmoid(slope logit)` (VOS-ForeGAN sec. 3.2,
  4.1, 4.2). `temporal` determines z, for decoder features h:

  - "sum": `z = s + h`, next `s = tanh(R z)`; any length.
  - "concat": `z = (r, h)`, next `r = relu(R_t z)`; one set of heads for each
    of `num_steps` steps, with `state_channels` channels of r (0: half of z).
  - "convlstm": z is the hidden state of a convolutional LSTM on h.
  - "none": `z = h`.
  """

  width: int = 64
  num_blocks: int = 6
  temporal: Literal["sum", "concat", "convlstm", "none"] = "sum"
  state_channels: int = 0
  num_steps: int = 0
  mask_source: Literal["none", "att", "fg_rgb", "h", "z"] = "none"
  mask_kernel: int = 3
  formula: Literal["lerp", "exp12"] = "lerp"
  affine: bool = False
  affine_align_corners: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b h w cin"],
    base: Float[Array, "b h w 3"],
    state: Any,
    *,
    t: int,
    mask_slope: ArrayLike,
  ) -> Layer:
    """Run one step.

    Args:
      x: the layer at time t, concatenated with its conditions.
      base: the image that the attention keeps: the layer itself, or its warp.
      state: state of the previous step; `initial_state` at the first step.
      t: index of the step, static; only `temporal="concat"` uses it.
      mask_slope: slope k of the mask's sigmoid; `mask_source="att"` ignores it.

    Raises:
      ValueError: if a side is not a multiple of 4, or, for "concat", if `t`
        is not below `num_steps`.
    """
    if x.shape[1] % 4 or x.shape[2] % 4:
      raise ValueError(
        f"height and width must be multiples of 4, got {x.shape[1:3]}"
      )
    if self.temporal == "concat" and t >= self.num_steps:
      raise ValueError(
        f"step {t} is out of range: the concat generator has weights for "
        f"{self.num_steps} steps"
      )
    h = self._trunk(x)
    if self.affine:
      h = self._align(h)
    z, state = self._join_state(h, state, t)
    attention, image = self._image_head(z, base.astype(jnp.float32), t)
    mask = self._mask_head(
      attention=attention, fg_rgb=image, h=h, z=z, slope=mask_slope
    )
    return Layer(image, mask, attention, h, state)

  def initial_state(self, batch: int, height: int, width: int) -> Any:
    """Return the recurrent state before the first step: zeros or None."""
    if self.temporal == "convlstm":
      return recurrent.initial_state(
        batch, height, width, self.width, self.dtype
      )
    if self.temporal == "none":
      return None
    channels = self.width if self.temporal == "sum" else 0
    return jnp.zeros((batch, height, width, channels), self.dtype)

  def _trunk(self, x: jax.Array) -> jax.Array:
    """Encode to stride 4, transform and decode to [b, h, w, width]."""
    conv = functools.partial(convs.Conv, dtype=self.dtype)
    norm = functools.partial(norms.InstanceNorm, dtype=self.dtype)
    up = functools.partial(convs.TransposedConv, dtype=self.dtype)
    x = conv(self.width, (7, 7), padding=(3, 3), name="stem")(x)
    x = nn.relu(norm(name="stem_norm")(x))
    for i in range(2):
      features = self.width * 2 ** (i + 1)
      x = conv(features, (4, 4), 2, (1, 1), name=f"down_{i}")(x)
      x = nn.relu(norm(name=f"down_{i}_norm")(x))
    for i in range(self.num_blocks):
      y = conv(features, (3, 3), padding=(1, 1), name=f"block_{i}_conv_0")(x)
      y = nn.relu(norm(name=f"block_{i}_norm_0")(y))
      y = conv(features, (3, 3), padding=(1, 1), name=f"block_{i}_conv_1")(y)
      x = x + norm(name=f"block_{i}_norm_1")(y)
    for i in range(2):
      x = up(self.width * 2 ** (1 - i), name=f"up_{i}")(x)
      x = nn.relu(norm(name=f"up_{i}_norm")(x))
    return x

  def _align(self, h: jax.Array) -> jax.Array:
    """Resample the features by an affine map estimated from them."""
    theta = TransformEstimator(self.dtype, name="transform")(h)
    size = h.shape[1:3]
    xy = warp.affine_grid(theta, size, self.affine_align_corners)
    return warp.sample(h, xy, outside="zero")

  def _join_state(
    self, h: jax.Array, state: Any, t: int
  ) -> tuple[jax.Array, Any]:
    """Combine features and state; return z and the next state."""
    conv = functools.partial(
      convs.Conv, kernel_size=(3, 3), padding=(1, 1), dtype=self.dtype
    )
    if self.temporal == "none":
      return h, None
    if self.temporal == "convlstm":
      state = recurrent.ConvLSTM(self.width, self.dtype, name="lstm")(h, state)
      return state[1], state
    if self.temporal == "sum":
      z = h + state
      return z, jnp.tanh(conv(self.width, name="reduce")(z))
    z = jnp.concatenate([state, h], axis=-1)
    steps = range(self.num_steps) if self.is_initializing() else [t]
    for i in steps:  # Each step has its own weights; initialise all of them.
      if i + 1 == self.num_steps:
        state = state[..., :0]  # No step uses the last state.
        continue
      channels = self._concat_channels(i)
      source = z if i == t else jnp.zeros((1, 1, 1, channels), self.dtype)
      reduced = conv(self.state_channels or channels // 2, name=f"reduce_{i}")(
        source
      )
      state = nn.relu(reduced) if i == t else state
    return z, state

  def _concat_channels(self, t: int) -> int:
    """Return the channels of z at step `t` of a concat generator."""
    channels = self.width
    for _ in range(t):
      channels = self.width + (self.state_channels or channels // 2)
    return channels

  def _image_head(
    self, z: jax.Array, base: jax.Array, t: int
  ) -> tuple[jax.Array, jax.Array]:
    """Return the attention and the image, both float32."""
    # Colour and attention share one convolution: they have the same input.
    head = functools.partial(convs.Conv, 4, (7, 7), padding=(3, 3))
    if self.temporal != "concat":
      y = head(name="colour_attention")(z)
    else:
      steps = range(self.num_steps) if self.is_initializing() else [t]
      heads = {i: head(name=f"colour_attention_{i}") for i in steps}
      for i in steps:
        if i != t:
          heads[i](jnp.zeros((1, 1, 1, self._concat_channels(i))))
      y = heads[t](z)
    colour, attention = jnp.tanh(y[..., :3]), nn.sigmoid(y[..., 3:])
    if self.formula == "exp12":
      # A (base + C) + (1 - A) (base + C) - 1: the attention cancels out.
      return attention, base + colour - 1
    return attention, colour + attention * (base - colour)

  def _mask_head(self, *, slope: ArrayLike, **sources: jax.Array):
    """Return the soft mask, or None."""
    if self.mask_source == "none":
      return None
    if self.mask_source == "att":
      return sources["attention"]
    k = self.mask_kernel
    head = convs.Conv(1, (k, k), padding=(k // 2, k // 2), name="mask")
    return nn.sigmoid(slope * head(sources[self.mask_source]))


class TransformEstimator(nn.Module):
  """An estimator of an affine map from features (VOS-ForeGAN sec. 3.6).

  The initial map is the identity. The original's default initialisation
  shrinks the image to its centre pixel.
  """

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, h: Float[Array, "b h w d"]) -> Float[Array, "b 2 3"]:
    """Return theta in normalised coordinates, float32."""
    pool = functools.partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))
    num_pools = (1, 2, 0, 0)
    for i, features in enumerate(_AFFINE_CHANNELS):
      h = convs.Conv(
        features,
        (3, 3),
        padding=(1, 1),
        use_bias=True,
        dtype=self.dtype,
        name=f"conv_{i}",
      )(h)
      for _ in range(num_pools[i]):
        h = pool(h)
      h = nn.relu(h)
    h = h.reshape(h.shape[0], -1).astype(jnp.float32)
    uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    h = nn.relu(nn.Dense(_AFFINE_HIDDEN, kernel_init=uniform, name="fc_0")(h))
    identity = lambda *_: jnp.array([1, 0, 0, 0, 1, 0], jnp.float32)
    theta = nn.Dense(
      6,
      kernel_init=nn.initializers.zeros,
      bias_init=identity,
      precision=jax.lax.Precision.HIGHEST,
      name="fc_1",
    )(h)
    return theta.reshape(-1, 2, 3)
