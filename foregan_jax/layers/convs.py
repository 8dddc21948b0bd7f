"""Convolutions whose gradients are fast on every platform.

XLA's CPU backend runs the weight gradient of a convolution 3 to 20 times
slower than its forward pass (inside a loop up to 30 times, jax issue 12868),
and the gradient of a strided one multiplies mostly zeros. A convolution is
linear in both arguments, so three functions closed under differentiation
suffice: `conv`, its adjoint in the image (`_image_grad`, the transposed
convolution) and its adjoint in the kernel (`_kernel_grad`).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

Pair = tuple[int, int]

# N(0, .02): DCGAN's rule, kept by GANimation and VOS-ForeGAN.
dcgan_init = nn.initializers.normal(0.02)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv(
  x: Float[Array, "b h w i"],
  kernel: Float[Array, "kh kw i o"],
  stride: int,
  padding: Pair,
) -> Float[Array, "b h2 w2 o"]:
  """Convolve with zero padding of `padding` pixels on both sides."""
  return _lax_conv(x, kernel, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _image_grad(
  g: jax.Array, kernel: jax.Array, stride: int, padding: Pair, size: Pair
) -> jax.Array:
  """Return the cotangent of an image of `size` that gave `conv`'s `g`."""
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
  x: Float[Array, "b h w i"], kernel: Float[Array, "4 4 i o"]
) -> Float[Array, "b h2 w2 o"]:
  """Transposed convolution of kernel 4, stride 2, padding 1: twice the size.

  `y[2 i + k - 1] += x[i] kernel[k]` along each axis, as PyTorch's
  ConvTranspose2d(4, 2, 1): the adjoint of a convolution.
  """
  size = (2 * x.shape[1], 2 * x.shape[2])
  return _image_grad(x, kernel.swapaxes(2, 3), 2, (1, 1), size)


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

  An output pixel of each parity sees two inputs per axis, so one 2x2
  convolution computes all four parities, without the zeros of a dilated input.
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
  """Return the cotangent of the kernel with which `x` gave `conv`'s `g`."""
  native = functools.partial(_lax_kernel_grad, kernel_size, stride, padding)
  taps = functools.partial(_kernel_grad_by_taps, kernel_size, stride, padding)
  return jax.lax.platform_dependent(x, g, cpu=taps, default=native)


def _lax_kernel_grad(kernel_size, stride, padding, x, g):
  shape = (*kernel_size, x.shape[-1], g.shape[-1])
  linear = lambda kernel: _lax_conv(x, kernel, stride, padding)
  like = jax.ShapeDtypeStruct(shape, x.dtype)
  return jax.linear_transpose(linear, like)(g)[0]
