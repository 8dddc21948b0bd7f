"""Losses of soft masks."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


def bce(
  logits: Float[Array, "b h w c"],
  target: Float[Array, "b h w c"],
  weight: Float[Array, " b #h #w #c"] | None = None,
) -> Float[Array, ""]:
  """Return the binary cross-entropy, a mean over pixels and channels.

  `-(t log p + (1 - t) log(1 - p))`, with `p = sigmoid(logits)`. The target in
  [0, 1] may be soft. With `weight` it is a weighted mean; weight 0 excludes a
  pixel.
  """
  loss = optax.sigmoid_binary_cross_entropy(
    logits.astype(jnp.float32), target.astype(jnp.float32)
  )
  if weight is None:
    return loss.mean()
  weight = jnp.broadcast_to(weight, loss.shape).astype(jnp.float32)
  return (loss * weight).sum() / jnp.maximum(weight.sum(), 1)


def hardest_bce(
  logits: Float[Array, "b h w 1"],
  target: Float[Array, "b h w 1"],
  weight: Float[Array, "b h w 1"],
  share: Float[Array, ""] | float,
) -> Float[Array, ""]:
  """Return the binary cross-entropy, a mean over the hardest pixels.

  Of each image it takes the `share` in (0, 1] of pixels with the largest loss.
  Weight 1 or 0 includes or excludes a pixel. With share 1 it equals `bce`.

  Source: STCN (Cheng et al., NeurIPS 2021), bootstrapped cross-entropy.
  """
  loss = optax.sigmoid_binary_cross_entropy(
    logits.astype(jnp.float32), target.astype(jnp.float32)
  )
  weight = _flat(weight)
  # The loss is positive, so excluded pixels are the last ones.
  hardest = jnp.sort(_flat(loss) * weight, axis=1, descending=True)
  rank = jnp.arange(hardest.shape[1])
  taken = rank[None] < share * weight.sum(1, keepdims=True)
  return jnp.where(taken, hardest, 0.0).sum() / jnp.maximum(taken.sum(), 1)


def cross_entropy(
  log_prob: Float[Array, "b n h w"],
  target: Float[Array, "b n h w"],
  weight: Float[Array, "b h w"],
) -> Float[Array, ""]:
  """Return `-sum_i t_i log p_i`, a weighted mean over pixels.

  The n channels are classes; the soft targets sum to 1 at each pixel. Weight 0
  excludes a pixel.
  """
  loss = -(target * log_prob).sum(1)
  return (loss * weight).sum() / jnp.maximum(weight.sum(), 1)


def soft_iou(
  prob: Float[Array, "b h w 1"],
  target: Float[Array, "b h w 1"],
  weight: Float[Array, " b"] | None = None,
) -> Float[Array, ""]:
  """Return `1 - sum(p t) / sum(p + t - p t)`, averaged over samples.

  Both masks are in [0, 1]. One pixel is added to both sums, so that the loss of
  two empty masks is 0. With `weight` it is a weighted mean; weight 0 excludes a
  sample.
  """
  p, t = _flat(prob), _flat(target)
  overlap = (p * t).sum(1)
  loss = 1 - (overlap + 1) / (p.sum(1) + t.sum(1) - overlap + 1)
  if weight is None:
    return loss.mean()
  return (loss * weight).sum() / jnp.maximum(weight.sum(), 1)


def balanced_bce(
  logits: Float[Array, "b h w c"],
  target: Float[Array, "b h w c"],
  weight: float,
) -> Float[Array, ""]:
  """Return `bce` with pixels of the masks weighted more than other pixels.

  A pixel has the weight `1 + (weight - 1) t`. Without it, a mask that covers a
  hundredth of the image or less stays empty for long: its pixels hardly count
  in the mean.
  """
  return bce(logits, target, 1.0 + (weight - 1.0) * target)


def pooled_iou(
  prob: Float[Array, "b h w c"], target: Float[Array, "b h w c"]
) -> Float[Array, " c"]:
  """Return `1 - sum(p t) / sum(p + t - p t)` of each channel.

  The sums are over the pixels of the whole batch, so that a sample with an
  empty target counts too: its false pixels are a part of the union. `soft_iou`
  of that sample has hardly any gradient.
  """
  p, t = prob.astype(jnp.float32), target.astype(jnp.float32)
  overlap = (p * t).sum((0, 1, 2))
  return 1 - (overlap + 1) / ((p + t).sum((0, 1, 2)) - overlap + 1)


def background(logits: Float[Array, "b h w 1"]) -> Float[Array, ""]:
  """Return `-log(1 - p)`, a mean over pixels.

  This is the loss of images that contain only background.

  Source: Improved Layered GANs, eq. 8.
  """
  return jax.nn.softplus(logits.astype(jnp.float32)).mean()


def _flat(mask: jax.Array) -> jax.Array:
  """Return the mask as float32 [b, pixels]."""
  return mask.astype(jnp.float32).reshape(mask.shape[0], -1)
