"""The video generator's loss: roll layers out over a clip and score them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import jitter, patch_sampler, ranges, sizes, warp
from foregan_jax.losses import adversarial, consensus, segmentation
from foregan_jax.nets import rollout


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the generator's terms (VOS-ForeGAN sec. 6; ours marked)."""

  fg: float  # -E Df(F)
  mask: float  # -E Dm(m)
  bg: float  # -E Db(patches of B)
  rec: float  # mean |I - composed|
  warp: float  # ours: |m(t+1) - splat(m(t), flow)|
  bg_seg: float  # ours: the frozen segmenter finds no object in B
  area: float  # ours: hinge on the mask's area
  binary: float  # ours: min(m, 1 - m)
  agree: float  # ours: |m - consensus of segmenter and propagator|


@dataclasses.dataclass(frozen=True)
class Schedule:
  """Values that change with the step.

  Attributes:
    mask_slope: final slope of the mask's sigmoid; evaluation uses it.
    mask_slope_start: slope at step 0.
    mask_slope_steps: steps over which the slope grows linearly; 0 = at once.
    bg_seg_start: first step with a non-zero weight of `bg_seg`.
    bg_seg_ramp: steps over which this weight grows linearly to its full value.
    agree_start: first step with a non-zero weight of `agree`.
    agree_ramp: steps over which this weight grows linearly to its full value.
  """

  mask_slope: float
  mask_slope_start: float
  mask_slope_steps: int
  bg_seg_start: int
  bg_seg_ramp: int
  agree_start: int
  agree_ramp: int

  def slope(self, step: jax.Array) -> jax.Array | float:
    """Return the slope of the mask's sigmoid at `step`."""
    if not self.mask_slope_steps:
      return self.mask_slope
    progress = jnp.minimum(step / self.mask_slope_steps, 1.0)
    return self.mask_slope_start + progress * (
      self.mask_slope - self.mask_slope_start
    )

  def bg_seg(self, step: jax.Array) -> jax.Array:
    """Return the factor in [0, 1] of the weight of `bg_seg` at `step`."""
    return _ramp(step, self.bg_seg_start, self.bg_seg_ramp)

  def agree(self, step: jax.Array) -> jax.Array:
    """Return the factor in [0, 1] of the weight of `agree` at `step`."""
    return _ramp(step, self.agree_start, self.agree_ramp)


def _ramp(step: jax.Array, start: int, length: int) -> jax.Array:
  return jnp.clip((step - start) / max(length, 1), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Generator:
  """Trains `gf` and `gb`; offers the rollout to the later players.

  Offers `clip`, frames 0 to T-1 [b, t, h, w, c]: `frame` (composed; frame 0 is
  the real one), `fg`, `bg`, `mask`.

  Attributes:
    df: critic of foregrounds and masks; None if that player is disabled.
    db: critic of background patches; None if that player is disabled.
    segment: `(nets, images) -> logits`, the segmenter; None if that player is
      disabled.
    predict_masks: `(nets, batch) -> (p, q)`, the soft masks
      [b, t-1, h, w, 1] of segmenter and propagator on the real frames after
      the first, at the layers' size; None if one of the two is disabled.
    times: how many times larger the frames of the batch are than the layers.
  """

  layers: rollout.VideoLayers
  df: nn.Module | None
  db: nn.Module | None
  segment: Callable[[game.Nets, jax.Array], jax.Array] | None
  predict_masks: Callable[[Any, game.Batch], tuple[jax.Array, jax.Array]] | None
  critic_heads: tuple[str, ...]
  real_patches: patch_sampler.Sampler
  fake_patches: patch_sampler.Sampler
  weights: Weights
  schedule: Schedule
  area_band: tuple[float, float]
  jitter_next_frame: tuple[float, float]
  unroll: bool
  remat: bool
  times: int = 1
  name: str = "generator"
  trains: tuple[str, ...] = ("gf", "gb")
  forward_averaged: bool = False

  def forward(self, nets: game.Nets, batch: game.Batch, key) -> dict[str, Any]:
    """Return the rollout as an offer."""
    batch = sizes.shrink_batch(batch, self.times)
    return {"clip": self._clip(nets, batch, _keys(key))}

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return the sum over transitions of the weighted terms (sec. 6, L_G).

    The signs are the intended ones: the generators raise the critics' scores.
    """
    keys = _keys(key)
    frames, batch = batch, sizes.shrink_batch(batch, self.times)
    clip = self._clip(nets, batch, keys)
    made = jax.tree.map(lambda x: x[:, 1:], clip)
    video = ranges.image_to_float(batch["video"])
    steps = video.shape[1] - 1
    terms = {"rec": jnp.abs(video[:, 1:] - made.frame).mean()}
    terms |= self._adversarial(nets, made, clip.mask[:, 0], keys["patches"])
    terms |= self._added(nets, clip, batch)
    agreement = {}
    if self.weights.agree:
      terms["agree"], agreement = self._agree(nets, made.mask, frames)
    weights = dataclasses.asdict(self.weights)
    # The source sums over time: multiply the means by T - 1.
    total = sum(weights[name] * steps * value for name, value in terms.items())
    metrics = {name: steps * value for name, value in terms.items()}
    metrics |= _mask_statistics(clip) | agreement
    return total, game.Made(metrics, offers={"clip": clip})

  def _clip(self, nets, batch, keys) -> rollout.Layers:
    video = ranges.image_to_float(batch["video"])
    mask = ranges.mask_to_float(batch["ref_mask"])
    start = self.layers.start(video[:, 0], mask, keys["start"])
    next_frames = None
    if self.layers.uses_next_frame:
      next_frames = video[:, 1:]
    if self.layers.fg_condition == "next_frame":
      next_frames = jitter.colour(
        keys["jitter"],
        next_frames,
        brightness=self.jitter_next_frame[0],
        contrast=0.0,
        saturation=0.0,
        hue=self.jitter_next_frame[1],
      )
    _, made = self.layers.rollout(
      nets.params,
      start,
      rollout.Inputs(batch["flow_fwd"], next_frames),
      keys["rollout"],
      mask_slope=self.schedule.slope(batch["step"]),
      unroll=self.unroll,
      remat=self.remat,
    )
    first = rollout.Layers(video[:, 0], start.fg, start.bg, start.mask)
    return jax.tree.map(
      lambda a, b: jnp.concatenate([a[:, None], b], axis=1), first, made
    )

  def _adversarial(self, nets, made, first_mask, key) -> dict[str, Any]:
    """Return the adversarial terms; skip terms of weight 0."""
    terms = {}
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    score = lambda x, head: self.df.apply(nets["df"], x, head)
    if self.weights.fg:
      terms["fg"] = adversarial.wasserstein_generator(
        score(fold(made.fg), "fg")
      )
    if self.weights.mask and "mask" in self.critic_heads:
      terms["mask"] = adversarial.wasserstein_generator(
        score(fold(made.mask), "mask")
      )
    if self.weights.bg:
      steps = made.bg.shape[1]
      fakes, _ = self.fake_patches(
        key, fold(made.bg), jnp.repeat(first_mask, steps, axis=0)
      )
      scores = self.db.apply(nets["db"], fold(fakes), "fg")
      scores = scores.reshape(first_mask.shape[0], -1).mean(1)
      # Skip videos without a valid real patch: `db` did not train on them.
      valid = self.real_patches.has_free_position(first_mask)
      valid = valid.astype(jnp.float32)
      terms["bg"] = -(scores * valid).sum() / jnp.maximum(valid.sum(), 1.0)
    return terms

  def _added(self, nets, clip, batch) -> dict[str, Any]:
    """Return the terms that are not in the source; skip terms of weight 0."""
    w, terms = self.weights, {}
    if w.warp:
      terms["warp"] = _warp_term(clip.mask, batch["flow_fwd"])
    if w.bg_seg:
      b, t, *shape = clip.bg[:, 1:].shape
      logits = self.segment(nets, clip.bg[:, 1:].reshape(b * t, *shape))
      factor = self.schedule.bg_seg(batch["step"])
      terms["bg_seg"] = factor * segmentation.background(logits)
    if w.area:
      area = clip.mask.mean((2, 3, 4))
      low, high = (bound * area[:, :1] for bound in self.area_band)
      terms["area"] = (
        jax.nn.relu(low - area[:, 1:]) + jax.nn.relu(area[:, 1:] - high)
      ).mean()
    if w.binary:
      terms["binary"] = jnp.minimum(clip.mask, 1.0 - clip.mask)[:, 1:].mean()
    return terms

  def _agree(self, nets, mask, batch):
    """Return the loss against the consensus of segmenter and propagator."""
    target = consensus.combine_masks(*self.predict_masks(nets, batch))
    factor = self.schedule.agree(batch["step"])
    return factor * consensus.consensus_loss(mask, target), {
      "consistency": target.consistency.mean(),
      "trust": target.trust.mean(),
    }


def _keys(key: jax.Array) -> dict[str, jax.Array]:
  """Split the key by use; `loss` and `forward` draw the same rollout."""
  names = ("start", "rollout", "jitter", "patches")
  return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def _warp_term(mask: jax.Array, flow: jax.Array) -> jax.Array:
  """Return the mean of |m(t+1) - splat(stop_gradient(m(t)), flow)|.

  The mean is over pixels that receive a splatted value. Not in the source: it
  distils "move the mask along the flow" into the mask head, which appearance
  can then correct.
  """
  fold = lambda x: x.reshape(-1, *x.shape[2:])
  old = jax.lax.stop_gradient(fold(mask[:, :-1]))
  carried, weight = warp.splat(old, fold(flow))
  # Disoccluded pixels receive nothing: the flow has no information there.
  valid = (weight > 0.5).astype(mask.dtype)
  error = jnp.abs(fold(mask[:, 1:]) - carried) * valid
  return error.sum() / jnp.maximum(valid.sum(), 1.0)


def _mask_statistics(clip: rollout.Layers) -> dict[str, jax.Array]:
  """Return indicators of degenerate masks (all foreground, none, grey)."""
  mask = clip.mask[:, 1:]
  first = jnp.maximum((clip.mask[:, :1] > 0.5).mean((2, 3, 4)), 1e-6)
  return {
    "mask_mean": mask.mean(),
    "mask_area_ratio": ((mask > 0.5).mean((2, 3, 4)) / first).mean(),
    "mask_empty_share": ((mask > 0.5).sum((2, 3, 4)) == 0).mean(),
    "mask_haze": ((mask > 0.1) & (mask < 0.9)).mean(),
  }
