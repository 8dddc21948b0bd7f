"""Movement of an image by the places and sizes of two masks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from foregan_jax.layers import resampling

# Range of the scale per axis: a nearly empty mask has no reliable size.
_SCALES = (0.5, 2.0)
_LEAST_MASS = 1e-3  # of the mean of a mask
_LEAST_VARIANCE = 1e-3  # of a mask, in image sides squared


def align(
  image: Float[Array, "b h w c"],
  mask: Float[Array, "b y x 1"],
  target: Float[Array, "b y2 x2 1"],
) -> Float[Array, "b h w c"]:
  """Move and scale an image so that its mask lies on another one.

  Along each axis, the mean and the standard deviation of the mask become those
  of the target. Pixels from outside the image repeat its border. Gradients
  reach both masks.

  Args:
    image: the images.
    mask: soft masks of the objects in them, at any size.
    target: soft masks of where the objects should be.
  """
  matrices = []
  for axis, other in ((1, 2), (2, 1)):
    mean, std = _extent(mask.sum((other, 3)))
    new_mean, new_std = _extent(target.sum((other, 3)))
    scale = jnp.clip(std / new_std, *_SCALES)
    length = image.shape[axis]
    start = mean - scale * new_mean
    matrices.append(
      resampling.resize_matrix(
        length * start, length * (start + scale), length, length
      )
    )
  return resampling.resample(image, *matrices)


def _extent(line: Float[Array, "b n"]) -> tuple[jax.Array, jax.Array]:
  """Return mean and standard deviation [b] of weights, in lengths of lines."""
  length = line.shape[1]
  places = ((jnp.arange(length) + 0.5) / length)[None]
  line = line + _LEAST_MASS
  line = line / line.sum(1, keepdims=True)
  mean = (line * places).sum(1)
  variance = (line * (places - mean[:, None]) ** 2).sum(1)
  return mean, jnp.sqrt(jnp.maximum(variance, _LEAST_VARIANCE))
