"""Sampling, warping, splatting and resizing of images and flow.

Flow is (dx, dy) in pixels of its own grid. Integer coordinates are pixel
centres. Normalised coordinates exist only in `affine_grid`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Below this splatted weight a value fades to 0, because the ratio would be one
# of two rounding errors.
_MIN_WEIGHT = 1e-3


def pixel_grid(height: int, width: int) -> Float[Array, "h w 2"]:
  """Return the (x, y) coordinates of all pixel centres."""
  y, x = np.mgrid[:height, :width].astype(np.float32)
  return jnp.stack([x, y], axis=-1)


def sample(
  image: Float[Array, "b h w c"], xy: Float[Array, "b h2 w2 2"], *, outside: str
) -> Float[Array, "b h2 w2 c"]:
  """Sample `image` bilinearly at the pixel coordinates `xy`.

  Args:
    image: images to sample.
    xy: coordinates (x, y); integers are pixel centres.
    outside: "zero": pixels outside the image are 0 (so the image fades out over
      one pixel); "border": they repeat its last row or column.

  Returns:
    Values in the dtype of the image; the weights are float32.

  Raises:
    ValueError: if `outside` is neither.
  """
  if outside not in ("zero", "border"):
    raise ValueError(f'outside is "zero" or "border", not {outside!r}')
  h, w = image.shape[1:3]
  # Clipping does not change the result, and keeps the conversion to integers
  # defined for any flow.
  margin = 1 if outside == "zero" else 0
  x = jnp.clip(xy[..., 0], -margin, w - 1 + margin)
  y = jnp.clip(xy[..., 1], -margin, h - 1 + margin)
  out: Any = 0
  for yi, wy in _taps(y):
    for xi, wx in _taps(x):
      weight = wx * wy
      if outside == "zero":
        inside = (xi >= 0) & (xi < w) & (yi >= 0) & (yi < h)
        weight = jnp.where(inside, weight, 0)
      value = _read(image, jnp.clip(yi, 0, h - 1), jnp.clip(xi, 0, w - 1))
      out = out + value * weight[..., None]
  return out.astype(image.dtype)


def backward(
  image: Float[Array, "b h w c"], flow: Float[Array, "b h w 2"], *, outside: str
) -> Float[Array, "b h w c"]:
  """Warp by gathering: `result(x) = image(x + flow(x))`.

  `flow_fwd[t]` reconstructs frame t from frame t + 1. To propagate from frame t
  to t + 1, use `flow_bwd[t]`.
  """
  grid = pixel_grid(*flow.shape[1:3])[None]
  return sample(image, grid + flow, outside=outside)


def splat(
  image: Float[Array, "b h w c"], flow: Float[Array, "b h w 2"]
) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w 1"]]:
  """Warp by scattering: add each pixel x to the pixels around x + flow(x).

  `values = sum(w image) / sum(w)`, with bilinear weights w. Pixels that leave
  the image are dropped.

  Returns:
    The values (0 where no pixel arrives) and the total weight `sum(w)`.
  """
  b, h, w, c = image.shape
  xy = pixel_grid(h, w)[None] + flow
  x = jnp.clip(xy[..., 0], -1, w)
  y = jnp.clip(xy[..., 1], -1, h)
  source = jnp.concatenate([image, jnp.ones_like(image[..., :1])], axis=-1)
  source = source.astype(jnp.float32)
  index, update = [], []
  for yi, wy in _taps(y):
    for xi, wx in _taps(x):
      inside = (xi >= 0) & (xi < w) & (yi >= 0) & (yi < h)
      index.append(jnp.where(inside, yi * w + xi, h * w).reshape(b, -1))
      update.append((source * (wx * wy)[..., None]).reshape(b, -1, c + 1))
  add = lambda i, u: jnp.zeros((h * w, c + 1)).at[i].add(u, mode="drop")
  total = jax.vmap(add)(
    jnp.concatenate(index, axis=1), jnp.concatenate(update, axis=1)
  ).reshape(b, h, w, c + 1)
  weight = total[..., c:]
  values = total[..., :c] / jnp.maximum(weight, _MIN_WEIGHT)
  return values.astype(image.dtype), weight


def splat_mask(
  mask: Float[Array, "b h w n"], flow: Float[Array, "b h w 2"]
) -> Float[Array, "b h w n"]:
  """Propagate soft masks along `flow`; uncovered pixels are background."""
  return jnp.clip(splat(mask, flow)[0], 0, 1)


def resize(
  image: Float[Array, "b h w c"], size: tuple[int, int], *, align_corners: bool
) -> Float[Array, "b h2 w2 c"]:
  """Resize bilinearly to `size` = (h, w), without antialiasing.

  `align_corners` aligns the centres of the corner pixels, else the outer edges
  of the image are aligned (PyTorch's two conventions).
  """
  for axis, length in zip((1, 2), size, strict=True):
    if image.shape[axis] == length:
      continue
    times, rest = divmod(length, image.shape[axis])
    if not rest and not align_corners:
      image = _enlarge(image, axis, times)
      continue
    low, high, weight = _resize_taps(image.shape[axis], length, align_corners)
    shape = (1, length, 1, 1) if axis == 1 else (1, 1, length, 1)
    weight = weight.reshape(shape).astype(image.dtype)
    lower = jnp.take(image, low, axis=axis, mode="clip")
    upper = jnp.take(image, high, axis=axis, mode="clip")
    image = lower + (upper - lower) * weight
  return image


def _enlarge(image: jax.Array, axis: int, times: int) -> jax.Array:
  """Resize one axis by a whole factor, with the outer edges aligned.

  Output `times i + j` lies between two inputs, at a distance from input i that
  depends on j only. The gradient needs no scatter, unlike that of a gather.
  """
  length = image.shape[axis]
  part = lambda start, stop: jax.lax.slice_in_dim(image, start, stop, axis=axis)
  before = jnp.concatenate([part(0, 1), part(0, length - 1)], axis)
  after = jnp.concatenate([part(1, length), part(length - 1, length)], axis)
  phases = []
  for j in range(times):
    offset = (j + 0.5) / times - 0.5
    other = before if offset < 0 else after
    phases.append(image + (other - image) * abs(offset))
  shape = list(image.shape)
  shape[axis] *= times
  return jnp.stack(phases, axis + 1).reshape(shape)


def affine_grid(
  theta: Float[Array, "b 2 3"], size: tuple[int, int], align_corners: bool
) -> Float[Array, "b h w 2"]:
  """Return the pixel coordinates that `theta` assigns to each pixel of `size`.

  `theta` maps (x, y, 1) to (x, y) in coordinates from -1 to 1: from centre to
  centre of the corner pixels with `align_corners`, else from outer edge to
  outer edge (PyTorch's affine_grid and grid_sample).
  """
  x, y = (_normalised(n, align_corners) for n in reversed(size))
  x, y = x[None, None], y[None, :, None]
  t = theta[:, :, :, None, None]
  # No matmul, because it loses precision on accelerators.
  moved = t[:, :, 0] * x[:, None] + t[:, :, 1] * y[:, None] + t[:, :, 2]
  pixels = []
  for axis, n in enumerate(reversed(size)):
    if align_corners:
      pixels.append((moved[:, axis] + 1) / 2 * (n - 1))
    else:
      pixels.append(((moved[:, axis] + 1) * n - 1) / 2)
  return jnp.stack(pixels, axis=-1)


def _normalised(length: int, align_corners: bool) -> np.ndarray:
  """Return the pixel centres of an axis, in coordinates from -1 to 1."""
  x = np.linspace(-1, 1, length)
  return (x if align_corners else x * (length - 1) / length).astype(np.float32)


def _taps(x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
  """Return the two integer neighbours of `x` with their weights."""
  low = jnp.floor(x)
  weight = x - low
  low = low.astype(jnp.int32)
  return (low, 1 - weight), (low + 1, weight)


def _read(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
  """Return the pixels at the integer coordinates (y, x), all inside."""
  read = lambda im, i, j: im.at[i, j].get(mode="promise_in_bounds")
  return jax.vmap(read)(image, y, x)


def _resize_taps(
  old: int, new: int, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Return lower index, upper index and upper weight for each new pixel."""
  if align_corners:
    x = np.arange(new) * ((old - 1) / max(new - 1, 1))
  else:
    x = (np.arange(new) + 0.5) * (old / new) - 0.5
  x = np.clip(x, 0, old - 1)
  low = np.minimum(x.astype(np.int64), max(old - 2, 0))
  return low, np.minimum(low + 1, old - 1), x - low
