"""The video generator: rolls layers out over a clip and is judged for it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import jitter, patch_sampler, ranges, warp
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
  agree: float  # ours: |m - what segmenter and propagator agree on|


@dataclasses.dataclass(frozen=True)
class Schedule:
  """What changes with the step.

  Attributes:
    mask_slope: final steepness of the mask's sigmoid; evaluation uses it.
    mask_slope_start: steepness at step 0.
    mask_slope_steps: steps over which it grows linearly; 0 = at once.
    bg_seg_start: step at which the segmenter's word begins to count.
    bg_seg_ramp: steps over which its weight grows linearly to full.
    agree_start: step at which the two judges' agreement begins to count.
    agree_ramp: as bg_seg_ramp.
  """

  mask_slope: float
  mask_slope_start: float
  mask_slope_steps: int
  bg_seg_start: int
  bg_seg_ramp: int
  agree_start: int
  agree_ramp: int

  def slope(self, step: jax.Array) -> jax.Array | float:
    """Returns the steepness of the mask's sigmoid at `step`."""
    if not self.mask_slope_steps:
      return self.mask_slope
    part = jnp.minimum(step / self.mask_slope_steps, 1.0)
    return self.mask_slope_start + part * (
      self.mask_slope - self.mask_slope_start
    )

  def bg_seg(self, step: jax.Array) -> jax.Array:
    """Returns the share in [0, 1] of the segmenter's weight at `step`."""
    return _ramp(step, self.bg_seg_start, self.bg_seg_ramp)

  def agree(self, step: jax.Array) -> jax.Array:
    """Returns the share in [0, 1] of the judges' weight at `step`."""
    return _ramp(step, self.agree_start, self.agree_ramp)


def _ramp(step: jax.Array, start: int, length: int) -> jax.Array:
  return jnp.clip((step - start) / max(length, 1), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Generator:
  """Moves `gf` and `gb`; offers the rollout to everybody after it.

  Offers `clip`, frames 0 to T-1 [b, t, h, w, c]: `frame` (composed; frame 0 is
  the real one), `fg`, `bg`, `mask`.

  Attributes:
    df: the critic of foregrounds and masks; None where nobody plays it, as
      `db`, the critic of background patches, and `seg`, the segmenter.
    judges: `(params, batch) -> (p, q)`, two soft masks [b, t-1, h, w, 1] of
      the real frames after the first; None without two judges.
  """

  layers: rollout.VideoLayers
  df: nn.Module | None
  db: nn.Module | None
  seg: nn.Module | None
  judges: Callable[[Any, game.Batch], tuple[jax.Array, jax.Array]] | None
  critic_heads: tuple[str, ...]
  real_patches: patch_sampler.Sampler
  fake_patches: patch_sampler.Sampler
  weights: Weights
  schedule: Schedule
  area_band: tuple[float, float]
  jitter_next_frame: tuple[float, float]
  unroll: bool
  remat: bool
  name: str = "generator"
  trains: tuple[str, ...] = ("gf", "gb")
  plays_averaged: bool = False

  def play(self, params, variables, batch: game.Batch, key) -> dict[str, Any]:
    """Rolls the clip out without moving."""
    del variables
    return {"clip": self._clip(params, batch, _keys(key))}

  def loss(self, params, variables, batch: game.Batch, key):
    """Sums, over the transitions, of the weighted terms (sec. 6, L_G).

    Signs are the intended ones: the generators raise the critics' scores.
    """
    del variables
    keys = _keys(key)
    clip = self._clip(params, batch, keys)
    made = jax.tree.map(lambda x: x[:, 1:], clip)
    video = ranges.image_to_float(batch["video"])
    steps = video.shape[1] - 1
    terms = {"rec": jnp.abs(video[:, 1:] - made.frame).mean()}
    terms |= self._adversarial(params, made, clip.mask[:, 0], keys["patches"])
    terms |= self._added(params, clip, batch)
    seen = {}
    if self.weights.agree:
      terms["agree"], seen = self._agree(params, made.mask, batch)
    weights = dataclasses.asdict(self.weights)
    # Means over batch and time times T-1: the source sums over time.
    total = sum(weights[name] * steps * value for name, value in terms.items())
    metrics = {name: steps * value for name, value in terms.items()}
    metrics |= _watch(clip) | seen
    return total, game.Made(metrics, offers={"clip": clip})

  def _clip(self, params, batch, keys) -> rollout.Layers:
    video = ranges.image_to_float(batch["video"])
    mask = ranges.mask_to_float(batch["ref_mask"])
    start = self.layers.start(video[:, 0], mask, keys["start"])
    seen = None
    if self.layers.looks_ahead:
      seen = video[:, 1:]
    if self.layers.fg_condition == "next_frame":
      seen = jitter.colour(
        keys["jitter"],
        seen,
        brightness=self.jitter_next_frame[0],
        contrast=0.0,
        saturation=0.0,
        hue=self.jitter_next_frame[1],
      )
    _, made = self.layers.rollout(
      params,
      start,
      rollout.Inputs(batch["flow_fwd"], seen),
      keys["rollout"],
      mask_slope=self.schedule.slope(batch["step"]),
      unroll=self.unroll,
      remat=self.remat,
    )
    first = rollout.Layers(video[:, 0], start.fg, start.bg, start.mask)
    return jax.tree.map(
      lambda a, b: jnp.concatenate([a[:, None], b], axis=1), first, made
    )

  def _adversarial(self, params, made, first_mask, key) -> dict[str, Any]:
    """Scores of the frozen critics; skipped where the weight is 0."""
    terms = {}
    fold = lambda x: x.reshape(-1, *x.shape[2:])
    score = lambda x, head: self.df.apply({"params": params["df"]}, x, head)
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
      scores = self.db.apply({"params": params["db"]}, fold(fakes), "fg")
      scores = scores.reshape(first_mask.shape[0], -1).mean(1)
      # Where the critic had nothing to learn from it has no say here either.
      says = self.real_patches.possible(first_mask).astype(jnp.float32)
      terms["bg"] = -(scores * says).sum() / jnp.maximum(says.sum(), 1.0)
    return terms

  def _added(self, params, clip, batch) -> dict[str, Any]:
    """Terms the source does not have; each is off where its weight is 0."""
    w, terms = self.weights, {}
    if w.warp:
      terms["warp"] = _warp_term(clip.mask, batch["flow_fwd"])
    if w.bg_seg:
      b, t, *shape = clip.bg[:, 1:].shape
      logits = self.seg.apply(
        {"params": params["seg"]}, clip.bg[:, 1:].reshape(b * t, *shape)
      )
      share = self.schedule.bg_seg(batch["step"])
      terms["bg_seg"] = share * segmentation.background(logits)
    if w.area:
      area = clip.mask.mean((2, 3, 4))
      low, high = (bound * area[:, :1] for bound in self.area_band)
      terms["area"] = (
        jax.nn.relu(low - area[:, 1:]) + jax.nn.relu(area[:, 1:] - high)
      ).mean()
    if w.binary:
      terms["binary"] = jnp.minimum(clip.mask, 1.0 - clip.mask)[:, 1:].mean()
    return terms

  def _agree(self, params, mask, batch):
    """The way back: what segmenter and propagator agree on, as a target."""
    shared = consensus.agree(*self.judges(params, batch))
    share = self.schedule.agree(batch["step"])
    return share * consensus.follow(mask, shared), {
      "consistency": shared.consistency.mean(),
      "trust": shared.trust.mean(),
    }


def _keys(key: jax.Array) -> dict[str, jax.Array]:
  """Splits once for all draws; moving and playing draw the same rollout."""
  names = ("start", "rollout", "jitter", "patches")
  return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def _warp_term(mask: jax.Array, flow: jax.Array) -> jax.Array:
  """|m(t+1) - splat(stop_gradient(m(t)), flow)|, mean where something lands.

  Not in the source: it distils "carry the mask along the flow" into the mask
  head, from where appearance can correct it.
  """
  fold = lambda x: x.reshape(-1, *x.shape[2:])
  old = jax.lax.stop_gradient(fold(mask[:, :-1]))
  carried, weight = warp.splat(old, fold(flow))
  # Where nothing lands (disocclusion) the flow says nothing about the mask.
  known = (weight > 0.5).astype(mask.dtype)
  gap = jnp.abs(fold(mask[:, 1:]) - carried) * known
  return gap.sum() / jnp.maximum(known.sum(), 1.0)


def _watch(clip: rollout.Layers) -> dict[str, jax.Array]:
  """Signs of a degenerate solution (all foreground, all background, haze)."""
  mask = clip.mask[:, 1:]
  first = jnp.maximum((clip.mask[:, :1] > 0.5).mean((2, 3, 4)), 1e-6)
  return {
    "mask_mean": mask.mean(),
    "mask_area_ratio": ((mask > 0.5).mean((2, 3, 4)) / first).mean(),
    "mask_empty_share": ((mask > 0.5).sum((2, 3, 4)) == 0).mean(),
    "mask_haze": ((mask > 0.1) & (mask < 0.9)).mean(),
  }
