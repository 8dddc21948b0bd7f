"""RGMP: one network propagates the first mask through a video.

Oh et al., CVPR 2018. Net: `prop`; player: the propagator. It trains on
pseudo-videos that the device makes from stills (`configs/rgmp_voc.py`), then
on annotated videos (`configs/rgmp_davis.py`).
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from flax import linen as nn

from foregan_jax import game, tasks
from foregan_jax.layers import ranges
from foregan_jax.nets import propagator as propagator_net
from foregan_jax.nets import propagator_weights
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.players import propagator as propagator_player
from foregan_jax.runtime import limits, platform, settings
from foregan_jax.synthesis import filming, pseudo_video

# What makes the training clips, by `data.samples`.
_CLIPS = {"instances": pseudo_video.Synthesis, "clips": filming.Filming}


@dataclasses.dataclass(frozen=True)
class Rgmp:
  """The system; all fields are static.

  Attributes:
    tracker: the network on whole videos.
    clips: returns labelled clips for (key, batch).
    inputs: shapes of the uint8 arrays of a sample, by name.
    height: of network frames.
    width: of network frames.
  """

  tracker: tracker_lib.Tracker
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  clips: Callable
  inputs: dict[str, tuple[int, ...]]
  height: int
  width: int
  name: str = "rgmp"
  task: str = tasks.VIDEOS
  best: game.Metric = game.Metric("J")
  tracking: str = tasks.OBJECTS

  frozen = {}
  checkpoint_items = {"propagator": ("prop",)}
  heads = ("propagator",)
  default_head = "propagator"
  unguided = ()

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `game.System`."""
    return {
      name: jax.ShapeDtypeStruct((batch_size, *shape), jnp.uint8)
      for name, shape in self.inputs.items()
    }

  def init(self, key):
    """See `game.System`."""
    net = self.tracker.net
    side = 2 * net.stride
    return {"prop": propagator_net.init(net, key, (side, side))}, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    del step
    return ("propagator",)

  def load_weights(self, params, path: str) -> dict[str, Any]:
    """See `tasks.LoadsWeights`; for the files see `nets.propagator_weights`."""
    return {"prop": propagator_weights.load(path, params["prop"])}

  def begin(
    self, nets: game.Nets, frame: jax.Array, mask: jax.Array
  ) -> tracker_lib.Tracked:
    """See `tasks.VideoSystem`; for any number of objects."""
    return self.tracker.begin_all(nets.params["prop"], frame, mask)

  def advance(self, nets: game.Nets, carry: tracker_lib.Tracked, frames, flow):
    """See `tasks.VideoSystem`; `flow` is ignored, there are no layers."""
    del flow
    carry, soft = self.tracker.run_all(nets.params["prop"], carry, frames)
    return carry, {"propagator": soft}, None

  def segment(self, nets: game.Nets, frames: jax.Array) -> dict[str, jax.Array]:
    """See `tasks.VideoSystem`; there is no unguided head."""
    del nets, frames
    return {}

  def benchmarks(self) -> dict[str, Callable]:
    """See `tasks.HasBenchmarks`: synthesis, and one frame with one object."""

    def frame(nets, batch, key):
      del batch
      params, size = nets.params["prop"], (self.height, self.width)
      return tracker_lib.step_on_noise(self.tracker, params, size, key)

    clips = lambda nets, batch, key: self.clips(key, batch)
    return {"clips": clips, "frame of one object": frame}

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return soft masks [b, t-1, h, w, 1] of the clips of a training batch."""
    clip = self.clips(jax.random.key(0), batch)
    video = ranges.image_to_uint8(clip.video)
    mask = ranges.mask_to_uint8(clip.mask[:, 0])
    carry = self.begin(nets, video[:, 0], mask)
    return self.advance(nets, carry, video[:, 1:], None)[1]


def from_config(c) -> Rgmp:
  """Build the system of a config (systems/rgmp/defaults.py has the keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  limits.check_lengths(c, _LENGTHS)
  net = propagator_net.Propagator(
    **settings.tuples(c.nets.to_dict()), dtype=platform.dtype(c.dtype)
  )
  _check(c, net.stride)
  inputs = _inputs(c.data)
  clips = _clips(c, inputs)
  player = propagator_player.Propagator(
    prop=net,
    clips=clips,
    aux_weight=c.aux_weight,
    iou_weight=c.iou_weight,
    bootstrap=settings.build(
      propagator_player.Bootstrap, c.bootstrap.to_dict()
    ),
    recurrence=c.recurrence,
    truncate=c.truncate,
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )
  return Rgmp(
    tracker=tracker_lib.Tracker(
      net,
      tuple(c.tracker.scales),
      c.tracker.padding,
      platform.unroll(c.scan_unroll),
    ),
    nets={"prop": net},
    players=(player,),
    clips=clips,
    inputs=inputs,
    height=c.data.height,
    width=c.data.width,
  )


def _inputs(data) -> dict[str, tuple[int, ...]]:
  """Return the shapes of the arrays of a sample."""
  inputs: dict[str, tuple[int, ...]] = {}
  if data.samples == "instances":
    side = (data.still_size, data.still_size)
    inputs |= {"image": (*side, 3), "labels": (*side, 1)}
    if data.cut_out_roots:
      inputs |= {"background": (*side, 3), "cut_out": ()}
  else:
    size, t = (data.height, data.width), data.clip_len
    inputs |= {"video": (t, *size, 3), "labels": (t, *size, 1)}
    if data.distant_reference:
      inputs |= {"prev_labels": (*size, 1)}
  return inputs


def _clips(c, names: Iterable[str]) -> Callable:
  """Return the function that makes clips from the named arrays of a batch."""
  values = c.clips.to_dict() | {"clip_len": c.data.clip_len}
  synthesis = settings.build(_CLIPS[c.data.samples], values)

  def clips(key, batch):
    arrays = {name: batch[name] for name in names}
    if "cut_out" in arrays:
      arrays["cut_out"] = arrays["cut_out"] > 0
      arrays["background"] = ranges.image_to_float(arrays["background"])
    return synthesis(key, **arrays)

  return clips


_LIMITS = {
  "nets.*": (1, limits.INF),
  "aux_weight": (0, limits.INF),
  "iou_weight": (0, limits.INF),
  "bootstrap.share": (0.001, 1),
  "bootstrap.*": (0, limits.INF),
  "recurrence": (0, limits.INF),
  "truncate": (0, limits.INF),
  "tracker.scales": tracker_lib.SCALES,
}
_LENGTHS = {"nets.blocks": 4, "clips.*": 2}


def _check(c, stride: int) -> None:
  """Refuse a config that would fail late; warn of one that cannot learn."""
  limits.check_numbers(c, _LIMITS)
  limits.check_names("ema_nets", c.ema_nets, ("prop",))
  if c.data.samples not in _CLIPS:
    raise ValueError(
      f"data.samples is {c.data.samples!r}, but rgmp trains on one of "
      f"{', '.join(_CLIPS)}."
    )
  start, end = c.bootstrap.start, c.bootstrap.end
  limits.check_order("bootstrap: (start, end)", (start, end))
  _check_roots(c.data)
  has_weights = c.init_from.workdir or c.init_from.weights
  if c.nets.norm == "frozen" and not has_weights:
    logging.warning(
      "frozen norms have no statistics until weights are loaded; give "
      "init_from.weights (a file) or init_from.workdir (a run)"
    )
  for side in c.clips.size:
    if side % stride or side <= 0:
      raise ValueError(
        f"clips.size is {tuple(c.clips.size)}, but must be multiples of "
        f"{stride}, the stride of the network."
      )
  if c.data.clip_len < 2:
    raise ValueError(
      f"data.clip_len is {c.data.clip_len}, but must be 2 or more"
    )
  if not c.tracker.scales:
    raise ValueError("tracker.scales is empty, but must have at least one")


def _check_roots(data) -> None:
  """Refuse roots and weights that do not fit."""
  if isinstance(data.cut_out_roots, str):
    raise ValueError(
      f"data.cut_out_roots is {data.cut_out_roots!r}, but must be a tuple of "
      "folders, such as ('/datasets/ECSSD',)"
    )
  if data.cut_out_roots and data.samples != "instances":
    raise ValueError(
      f"data.cut_out_roots is {data.cut_out_roots}, but data.samples is "
      f"{data.samples!r}: only 'instances' have objects to cut out"
    )
  if not data.root_weights:
    return
  expected = 1 + len(data.cut_out_roots)
  if len(data.root_weights) != expected or not any(data.root_weights):
    raise ValueError(
      f"data.root_weights is {data.root_weights}, but must be () or "
      f"{expected} numbers, not all 0: of data.train_root and of each of "
      "data.cut_out_roots"
    )
