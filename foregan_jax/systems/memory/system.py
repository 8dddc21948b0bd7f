"""A propagator with a memory, trained on stills and annotated videos.

Frozen net: `trunk` (EfficientNet-Lite0); net: `prop`; player: the propagator.
The method is that of STM and STCN in a small form; see `nets.memory`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game, tasks
from foregan_jax.layers import ranges
from foregan_jax.nets import efficientnet, memory, memory_tracker, tracker
from foregan_jax.players import memory_propagator
from foregan_jax.runtime import limits, platform, settings
from foregan_jax.synthesis import filming, mixture, pseudo_video


@dataclasses.dataclass(frozen=True)
class Memory:
  """The system; all fields are static.

  Attributes:
    tracker: the networks on whole videos.
    clips: returns labelled clips for (key, batch).
    inputs: shapes of the uint8 arrays of a sample, by name; may be nested.
  """

  tracker: memory_tracker.MemoryTracker
  nets: dict[str, nn.Module]
  frozen: dict[str, game.FrozenNet]
  players: tuple[game.Player, ...]
  clips: Callable
  inputs: dict[str, Any]
  name: str = "memory"
  task: str = tasks.VIDEOS
  best: game.Metric = game.Metric("J")
  tracking: str = tasks.OBJECTS

  checkpoint_items = {"propagator": ("prop",)}
  heads = ("propagator",)
  default_head = "propagator"
  unguided = ()

  def batch_spec(self, batch_size: int) -> dict[str, Any]:
    """See `game.System`."""
    return jax.tree.map(
      lambda shape: jax.ShapeDtypeStruct((batch_size, *shape), jnp.uint8),
      self.inputs,
      is_leaf=lambda x: isinstance(x, tuple),
    )

  def init(self, key):
    """See `game.System`."""
    return {"prop": memory.init(self.tracker.net, key)}, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    del step
    return ("propagator",)

  def begin(self, nets: game.Nets, frame: jax.Array, mask: jax.Array) -> Any:
    """See `tasks.VideoSystem`; for any number of objects."""
    params = self.tracker.own_params(nets.params)
    return self.tracker.begin_all(params, frame, mask)

  def advance(self, nets: game.Nets, carry: Any, frames, flow):
    """See `tasks.VideoSystem`; `flow` is ignored, there are no layers."""
    del flow
    params = self.tracker.own_params(nets.params)
    carry, soft = self.tracker.run_all(params, carry, frames)
    return carry, {"propagator": soft}, None

  def segment(self, nets: game.Nets, frames: jax.Array) -> dict[str, jax.Array]:
    """See `tasks.VideoSystem`; there is no unguided head."""
    del nets, frames
    return {}

  def benchmarks(self) -> dict[str, Callable]:
    """See `tasks.HasBenchmarks`: one frame with one object, a full memory."""

    def frame(nets, batch, key):
      del batch
      params, size = self.tracker.own_params(nets.params), self.inputs["video"]
      return tracker.step_on_noise(self.tracker, params, size[1:3], key)

    return {"frame of one object": frame}

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return soft masks [b, t-1, h, w, 1] of the clips of a training batch."""
    clip = self.clips(jax.random.key(0), {**batch, "step": jnp.int32(0)})
    video = ranges.image_to_uint8(clip.video)
    carry = self.begin(nets, video[:, 0], ranges.mask_to_uint8(clip.mask[:, 0]))
    return self.advance(nets, carry, video[:, 1:], None)[1]


def from_config(c) -> Memory:
  """Build the system of a config (configs/memory.py has the keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  _check(c)
  dtype = platform.dtype(c.dtype)
  net = memory.MemoryNet(**settings.tuples(c.nets.to_dict()), dtype=dtype)
  trunk = efficientnet.build(c.trunk, dtype)
  clips, inputs = _clips(c), _inputs(c)
  unroll = platform.unroll(c.scan_unroll)
  return Memory(
    tracker=memory_tracker.MemoryTracker(
      net, trunk, **c.tracker.to_dict(), unroll=unroll
    ),
    nets={"prop": net},
    frozen={"trunk": game.FrozenNet(*efficientnet.frozen(c.trunk))},
    players=(
      memory_propagator.MemoryPropagator(
        prop=net,
        trunk=trunk,
        clips=clips,
        iou_weight=c.iou_weight,
        unroll=unroll,
        remat=platform.remat(c.remat),
      ),
    ),
    clips=clips,
    inputs=inputs,
  )


def _inputs(c) -> dict[str, Any]:
  """Return the shapes of the arrays of a sample."""
  d = c.data
  size = (d.clip_len, d.height, d.width)
  inputs: dict[str, Any] = {"video": (*size, 3), "labels": (*size, 1)}
  if any(c.stills.share):
    side = (d.still_size, d.still_size)
    inputs["instances"] = {"image": (*side, 3), "labels": (*side, 1)}
  return inputs


def _clips(c) -> Callable:
  """Return the mixture of filmed videos and of moved stills."""
  common = {
    "size": tuple(c.clips.size),
    "clip_len": c.data.clip_len,
    "objects": c.clips.objects,
  }
  film = settings.build(filming.Filming, common | c.clips.filming.to_dict())
  synthesis = settings.build(
    pseudo_video.Synthesis, common | c.clips.synthesis.to_dict()
  )
  videos = lambda key, batch: film(key, batch["video"], batch["labels"])
  stills = lambda key, batch: synthesis(
    key, batch["instances"]["image"], batch["instances"]["labels"]
  )
  first, last = c.stills.share
  if not (first or last):
    return videos

  def share(step):
    progress = jnp.minimum(step / max(c.stills.steps, 1), 1.0)
    return first + (last - first) * progress

  kinds = ((videos, lambda step: 1.0 - share(step)), (stills, share))
  return mixture.Mixture(kinds, 1)


_LIMITS = {
  "nets.*": (1, limits.INF),
  "clips.objects": (1, 16),
  "iou_weight": (0, limits.INF),
  "stills.share": (0, 1),
  "stills.steps": (0, limits.INF),
  "tracker.top_k": (0, limits.INF),
  "tracker.num_given": (2, limits.INF),
  "tracker.*": (1, limits.INF),
}


def _check(c) -> None:
  """Refuse a config that would fail late."""
  limits.check_numbers(c, _LIMITS)
  matchings = ("memory", "global_conv")
  if c.nets.matching not in matchings:
    raise ValueError(
      f"nets.matching is {c.nets.matching!r}, but must be one of "
      f"{', '.join(matchings)}."
    )
  limits.check_names("ema_nets", c.ema_nets, ("prop",))
  if c.data.samples != "clips":
    raise ValueError(
      f"data.samples is {c.data.samples!r}, but memory trains on clips."
    )
  for side in c.clips.size:
    if side % efficientnet.STRIDE or side <= 0:
      # Half a pixel of the coarsest features is a shift of 8 pixels.
      raise ValueError(
        f"clips.size is {tuple(c.clips.size)}, but must be multiples of "
        f"{efficientnet.STRIDE}."
      )
  if c.data.clip_len < 2:
    raise ValueError(
      f"data.clip_len is {c.data.clip_len}, but must be 2 or more"
    )
