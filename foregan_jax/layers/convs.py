"""Convolutions with fast gradients on every platform.

On CPU, XLA computes the weight gradient of a convolution 3 to 20 times slower
than the forward pass (up to 30 times inside a loop, jax issue 12868). The image
gradient of a strided convolution multiplies mostly zeros. A convolution is
linear in both arguments, so three functions are closed under differentiation:
`conv`, its adjoint with respect to the image (`_image_grad`, the transposed
convolution) and its adjoint with respect to the kernel (`_kernel_grad`).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

Pair = tuple[int, int]
# A factor and a shift of each channel, float32 [c].
Affine = tuple[jax.Array, jax.Array]

# N(0, .02): DCGAN's rule; GANimation and VOS-ForeGAN use it too.
dcgan_init = nn.initializers.normal(0.02)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv(
  x: Float[Array, "b h w i"],
  kernel: Float[Array, "kh kw i o"],
  stride: int,
  padding: Pair,
) -> Float[Array, "b h2 w2 o"]:
  """Convolve; zero padding of `padding` = (y, x) pixels on both sides."""
  return _lax_conv(x, kernel, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _image_grad(
  g: jax.Array, kernel: jax.Array, stride: int, padding: Pair, size: Pair
) -> jax.Array:
  """Return the cotangent of an image of `size` that is input to `conv`.

  The cotangent of the output is `g`.
  """
  native = functools.partial(_lax_image_grad, stride, padding, size)
  h, w = g.shape[1:3]
  doubles = kernel.shape[:2] == (4, 4) and size == (2 * h, 2 * w)
  if (stride, padding) == (2, (1, 1)) and doubles:
    return jax.lax.platform_dependent(
      g, kernel, cpu=_image_grad_by_phases, default=native
    )
  return native(g, kernel)


def _conv_fwd(x, kernel, stride, padding):
  return conv(x, kernel, stride, padding), (x, kernel)


def _conv_bwd(stride, padding, saved, g):
  x, kernel = saved
  return (
    _image_grad(g, kernel, stride, padding, x.shape[1:3]),
    _kernel_grad(x, g, kernel.shape[:2], stride, padding),
  )


def _image_grad_fwd(g, kernel, stride, padding, size):
  return _image_grad(g, kernel, stride, padding, size), (g, kernel)


def _image_grad_bwd(stride, padding, size, saved, x):
  g, kernel = saved
  return (
    conv(x, kernel, stride, padding),
    _kernel_grad(x, g, kernel.shape[:2], stride, padding),
  )


conv.defvjp(_conv_fwd, _conv_bwd)
_image_grad.defvjp(_image_grad_fwd, _image_grad_bwd)


def transposed(
  x: Float[Array, "b h w i"], kernel: Float[Array, "k k i o"]
) -> Float[Array, "b h2 w2 o"]:
  """Apply a transposed convolution: kernel 4 or 3, stride 2, padding 1.

  The output has twice the size: `y[2 i + k - 1] += x[i] kernel[k]` along each
  axis. It equals PyTorch's ConvTranspose2d(4, 2, 1), or (3, 2, 1) with an
  output padding of 1: the adjoint of a convolution.
  """
  size = (2 * x.shape[1], 2 * x.shape[2])
  return _image_grad(x, kernel.swapaxes(2, 3), 2, (1, 1), size)


def upsampled(
  x: Float[Array, "b h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "b h2 w2 o"]:
  """Repeat every pixel twice along each axis, then convolve (padding 1).

  It is computed as one transposed convolution. This takes 4/9 of the products
  and no enlarged input.
  """
  # Pixel i covers outputs 2i and 2i + 1; the flipped kernel applies to both.
  flipped = kernel[::-1, ::-1]
  for axis in (0, 1):
    before = [(1, 0) if a == axis else (0, 0) for a in range(4)]
    after = [(0, 1) if a == axis else (0, 0) for a in range(4)]
    flipped = jnp.pad(flipped, before) + jnp.pad(flipped, after)
  return transposed(x, flipped)


def _lax_conv(x, kernel, stride, padding):
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    [(p, p) for p in padding],
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def _lax_image_grad(stride, padding, size, g, kernel):
  like = jax.ShapeDtypeStruct((g.shape[0], *size, kernel.shape[2]), g.dtype)
  linear = lambda x: _lax_conv(x, kernel, stride, padding)
  return jax.linear_transpose(linear, like)(g)[0]


def _image_grad_by_phases(g: jax.Array, kernel: jax.Array) -> jax.Array:
  """Return `_image_grad` for kernel 4, stride 2, padding 1.

  An output pixel depends on two inputs per axis, whatever its parity. So one
  2x2 convolution computes all four parities, without the zeros of a dilated
  input.
  """
  b, h, w, cin = g.shape
  cout = kernel.shape[2]
  # Reversed index 2 tap + phase: even outputs use taps 3, 1, odd ones 2, 0.
  taps = kernel[::-1, ::-1].reshape(2, 2, 2, 2, cout, cin)
  taps = taps.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, cin, 4 * cout)
  y = _lax_conv(g, taps, 1, (1, 1)).reshape(b, h + 1, w + 1, 2, 2, cout)
  # Window p covers inputs p-1 and p: even output 2j is p=j, odd is p=j+1.
  y = jnp.stack([y[:, :h, :, 0], y[:, 1:, :, 1]], axis=2)
  y = jnp.stack([y[:, :, :, :w, 0], y[:, :, :, 1:, 1]], axis=4)
  return y.reshape(b, 2 * h, 2 * w, cout)


def _kernel_grad(
  x: jax.Array, g: jax.Array, kernel_size: Pair, stride: int, padding: Pair
) -> jax.Array:
  """Return the cotangent of the kernel of `conv`.

  `x` is its image and `g` the cotangent of its output.
  """
  native = functools.partial(_lax_kernel_grad, kernel_size, stride, padding)
  matmul = functools.partial(
    _kernel_grad_by_matmul, kernel_size, stride, padding
  )
  return jax.lax.platform_dependent(x, g, cpu=matmul, default=native)


def _lax_kernel_grad(kernel_size, stride, padding, x, g):
  shape = (*kernel_size, x.shape[-1], g.shape[-1])
  linear = lambda kernel: _lax_conv(x, kernel, stride, padding)
  like = jax.ShapeDtypeStruct(shape, x.dtype)
  return jax.linear_transpose(linear, like)(g)[0]


def _kernel_grad_by_matmul(kernel_size, stride, padding, x, g):
  """Return `_kernel_grad` as one matrix product.

  Shifts along x are stacked on the channels of the image, shifts along y on
  those of `g`. Their product holds every tap and needs kw + kh copies, not
  kw kh. If `g` has very few channels, all shifts are stacked on `g`.
  """
  (b, h, w, ci), (_, oh, ow, co) = x.shape, g.shape
  kh, kw = kernel_size
  # With a stride, first turn blocks of stride^2 pixels into channels.
  ky, kx = -(-kh // stride), -(-kw // stride)
  rows, cols = oh + ky - 1, ow + kx - 1
  pads = [
    (p, stride * n - size - p, 0)
    for p, n, size in zip(padding, (rows, cols), (h, w), strict=True)
  ]
  zero = jnp.zeros((), x.dtype)
  x = jax.lax.pad(x, zero, [(0, 0, 0), *pads, (0, 0, 0)])
  x = x.reshape(b, rows, stride, cols, stride, ci).transpose(0, 1, 3, 2, 4, 5)
  x = x.reshape(b, rows, cols, -1)
  shift_g_only = kx * ky * co < kx * x.shape[-1] + ky * co
  if shift_g_only:
    # Kernel column j connects column c of the image to column c - j of g.
    g = jnp.pad(g, [(0, 0), (0, 0), (kx - 1, kx - 1), (0, 0)])
    g = [g[:, :, kx - 1 - j : kx - 1 - j + cols] for j in range(kx)]
    g = jnp.concatenate(g, axis=-1)
    shape, order = (stride, stride, ci, ky, kx, co), (3, 0, 4, 1, 2, 5)
  else:
    x = jnp.concatenate([x[:, :, j : j + ow] for j in range(kx)], axis=-1)
    shape, order = (kx, stride, stride, ci, ky, co), (4, 1, 0, 2, 3, 5)
  g = jnp.pad(g, [(0, 0), (ky - 1, ky - 1), (0, 0), (0, 0)])
  g = [g[:, ky - 1 - i : ky - 1 - i + rows] for i in range(ky)]
  g = jnp.concatenate(g, axis=-1)
  taps = jnp.matmul(
    x.reshape(-1, x.shape[-1]).T,
    g.reshape(-1, g.shape[-1]),
    preferred_element_type=jnp.float32,
  )
  taps = taps.reshape(shape).transpose(order)
  taps = taps.reshape(ky * stride, kx * stride, ci, co)
  return taps[:kh, :kw].astype(x.dtype)


class Conv(nn.Module):
  """A convolution with a trained kernel.

  Parameters are float32; the convolution is computed in `dtype`.
  """

  features: int
  kernel_size: Pair
  stride: int = 1
  padding: Pair = (0, 0)
  use_bias: bool = False
  dtype: Any = jnp.float32
  kernel_init: Any = dcgan_init
  bias_init: Any = nn.initializers.zeros

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w i"], affine: Affine | None = None
  ) -> Float[Array, "b h2 w2 o"]:
    """Return `features` channels.

    Args:
      x: the image.
      affine: (factor, shift) per output channel, applied to the result. The
        kernel and the bias absorb them in float32, so bfloat16 rounds neither.
    """
    shape = (*self.kernel_size, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    bias = None
    if self.use_bias:
      shape = (self.features,)
      bias = self.param("bias", self.bias_init, shape, jnp.float32)
    if affine is not None:
      factor, shift = affine
      kernel = kernel * factor.reshape(1, 1, 1, -1)
      bias = shift if bias is None else bias * factor + shift
    kernel = jnp.asarray(kernel, self.dtype)
    y = conv(x.astype(self.dtype), kernel, self.stride, self.padding)
    if bias is None:
      return y
    if affine is None:
      return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)
    return (y + bias.reshape(1, 1, 1, -1)).astype(self.dtype)


class UpConv(nn.Module):
  """Upsampling to twice the size: `upsampled` with a trained kernel.

  `literal` repeats the pixels and convolves, for comparisons.
  """

  features: int
  dtype: Any = jnp.float32
  kernel_init: Any = dcgan_init
  literal: bool = False
  use_bias: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return `x` at twice the size, `features` channels."""
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    x, kernel = x.astype(self.dtype), jnp.asarray(kernel, self.dtype)
    if self.literal:
      y = conv(x.repeat(2, axis=1).repeat(2, axis=2), kernel, 1, (1, 1))
    else:
      y = upsampled(x, kernel)
    return _add_bias(self, y) if self.use_bias else y


class TransposedConv(nn.Module):
  """Upsampling to twice the size: `transposed` with a trained kernel."""

  features: int
  dtype: Any = jnp.float32
  kernel_init: Any = dcgan_init
  kernel_size: int = 4
  use_bias: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Return `x` at twice the size, `features` channels."""
    shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    y = transposed(x.astype(self.dtype), jnp.asarray(kernel, self.dtype))
    return _add_bias(self, y) if self.use_bias else y


def _add_bias(module: UpConv | TransposedConv, y: jax.Array) -> jax.Array:
  """Add a trained number per channel, which is a parameter of `module`."""
  shape = (y.shape[-1],)
  bias = module.param("bias", nn.initializers.zeros, shape, jnp.float32)
  return y + bias.astype(y.dtype).reshape(1, 1, 1, -1)
