"""VOS-ForeGAN with a segmenter and a propagator that train together with it.

Nets: `gf`, `gb` (foreground and background generators), `df`, `db` (critics),
`seg` (segmenter), `prop` (propagator). Players, in the order they move:
generator, critic, segmenter, propagator. All of them use the generator's
rollout. All but the generator can be disabled.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from foregan_jax import game, tasks
from foregan_jax.layers import moments, plate, ranges, sizes
from foregan_jax.nets import propagator_weights, rollout
from foregan_jax.runtime import platform
from foregan_jax.systems.foregan import checks
from foregan_jax.systems.foregan import heads as heads_lib
from foregan_jax.systems.foregan import nets as foregan_nets
from foregan_jax.systems.foregan import players as foregan_players


class Propagation(struct.PyTreeNode):
  """The carry of prediction between chunks of a video."""

  layers: rollout.Carry
  moments: Any  # the Sum-of-Squares fit on the first frame's object
  scene: plate.Memory  # background seen in earlier frames
  tracked: Any  # the propagator's state; None without a propagator


@dataclasses.dataclass(frozen=True)
class MoveEvery:
  """A rule that says at which steps a player moves.

  Attributes:
    every: the player moves in every n-th turn; 0 = never.
    start: number of turns before the rule applies.
  """

  every: int
  start: int = 0

  def __call__(self, step: int) -> bool:
    """Return whether the player moves at `step`."""
    after = step - self.start + 1
    return bool(self.every) and after > 0 and after % self.every == 0


@dataclasses.dataclass(frozen=True)
class ForeGan:
  """The system; all fields are static.

  Attributes:
    nets: without those of disabled players.
    head_nets: segmenter and propagator.
    schedule: when each player moves, by player.
    times: how many times larger frames are than layers.
    still_size: side of the annotated stills in the stream `instances`; 0 =
      the batch has no such stream.
    sos: degree, threshold tau and low mask threshold of the refinement.
  """

  layers: rollout.VideoLayers
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  schedule: dict[str, MoveEvery]
  head_nets: heads_lib.Heads
  times: int
  height: int
  width: int
  clip_len: int
  patch: tuple[int, int]
  still_size: int
  sos: moments.Refinement
  mask_slope: float
  unroll: bool
  name: str = "foregan"
  task: str = tasks.VIDEOS
  best: game.Metric = game.Metric("J")
  tracking: str = tasks.LAYERS

  @property
  def frozen(self) -> Mapping[str, game.FrozenNet]:
    """See `game.System`."""
    return self.head_nets.frozen

  @property
  def checkpoint_items(self) -> dict[str, tuple[str, ...]]:
    """See `game.System`."""
    gan = ("gf", "gb", "df", "db")
    items = {"gan": tuple(net for net in gan if net in self.nets)}
    if "seg" in self.nets:
      items["segmenter"] = ("seg",)
    if "prop" in self.nets:
      items["propagator"] = ("prop",)
    return items

  @property
  def heads(self) -> tuple[str, ...]:
    """See `tasks.VideoSystem`; `average` is over the other trained heads."""
    trained = [item for item in self.checkpoint_items if item != "gan"]
    average = ["average"] if trained else []
    return ("generator", "generator_sos", *trained, *average)

  @property
  def default_head(self) -> str:
    """See `tasks.VideoSystem`."""
    return "average" if "average" in self.heads else "generator"

  @property
  def unguided(self) -> tuple[str, ...]:
    """See `tasks.VideoSystem`."""
    return ("segmenter",) if "seg" in self.nets else ()

  def batch_spec(self, batch_size: int) -> dict[str, Any]:
    """See `game.System`."""
    spec = lambda shape, dtype: jax.ShapeDtypeStruct(
      (batch_size, *shape), dtype
    )
    h, w, t = self.height, self.width, self.clip_len
    specs = {
      "video": spec((t, h, w, 3), jnp.uint8),
      "ref_mask": spec((h, w, 1), jnp.uint8),
      "flow_fwd": spec((t - 1, h, w, 2), jnp.float32),
    }
    if self.still_size:
      side = (self.still_size, self.still_size)
      specs["instances"] = {
        "image": spec((*side, 3), jnp.uint8),
        "labels": spec((*side, 1), jnp.uint8),
      }
    return specs

  def init(self, key):
    """See `game.System`."""
    keys = jax.random.split(key, 5)
    size = self.height // self.times, self.width // self.times
    params = self.layers.init(keys[0], *size)
    picture = lambda size: jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    for net, key, shape in (("df", keys[1], size), ("db", keys[2], self.patch)):
      if net in self.nets:
        critic = self.nets[net]
        params[net] = critic.lazy_init(key, picture(shape), "fg")["params"]
    for net, key in (("seg", keys[3]), ("prop", keys[4])):
      if net in self.nets:
        params[net] = self.head_nets.init[net](key)
    return params, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    return tuple(p.name for p in self.players if self.schedule[p.name](step))

  def load_weights(self, params, path: str) -> dict[str, Any]:
    """Load the propagator; see `tasks.LoadsWeights`, `nets.propagator_weights`.

    Raises:
      ValueError: if the propagator is disabled or the file does not fit it.
    """
    if "prop" not in self.nets or self.head_nets.trunk:
      raise ValueError(
        f"init_from.weights is {path!r}, a file for RGMP's propagator, but "
        "that is disabled (turn.propagator_every is 0, or heads.kind is trunk)"
      )
    return {"prop": propagator_weights.load(path, params["prop"])}

  def begin(
    self, nets: game.Nets, frame: jax.Array, mask: jax.Array
  ) -> Propagation:
    """See `tasks.VideoSystem`; for one object."""
    tracked = None
    if self.head_nets.tracker:
      own = self.head_nets.tracker.own_params(nets.params)
      tracked = self.head_nets.tracker.begin_all(own, frame, mask)
    real, soft = ranges.image_to_float(frame), ranges.mask_to_float(mask)
    # A fixed key, so that variants with noise predict the same each time.
    carry = self.layers.start(
      ranges.image_to_float(sizes.shrink_frames(frame, self.times)),
      ranges.mask_to_float(sizes.shrink_mask(mask, self.times)),
      jax.random.key(0),
    )
    scene = plate.start(real, soft)
    return Propagation(carry, self.sos.fit(real, soft), scene, tracked)

  def advance(self, nets: game.Nets, carry: Propagation, frames, flow):
    """See `tasks.VideoSystem`; the layers have a `plate`.

    A plate is the frame without its object. All results have the size of the
    frames.
    """
    real = ranges.image_to_float(frames)
    next_frames = None
    if self.layers.uses_next_frame:
      small = sizes.shrink_frames(frames, self.times)
      next_frames = ranges.image_to_float(small)
    state, made = self.layers.rollout(
      nets.params,
      carry.layers,
      rollout.Inputs(sizes.shrink_flow(flow, self.times), next_frames),
      jax.random.key(0),
      mask_slope=self.mask_slope,
      unroll=self.unroll,
      remat=False,
    )
    if self.times > 1:
      made = jax.tree.map(lambda x: sizes.enlarge(x, self.times), made)
    heads, tracked = {"generator": made.mask}, None
    if self.head_nets.segment:
      heads |= self.segment(nets, frames)
    if self.head_nets.tracker:
      own = self.head_nets.tracker.own_params(nets.params)
      tracked, heads["propagator"] = self.head_nets.tracker.run_all(
        own, carry.tracked, frames
      )
    if "average" in self.heads:
      heads["average"] = sum(heads.values()) / len(heads)
    heads["generator_sos"] = self.sos.refine(carry.moments, real, made.mask)
    mask = heads[self.default_head]
    scene, plates = plate.run(carry.scene, real, mask, flow, made.bg)
    carry = Propagation(state, carry.moments, scene, tracked)
    return carry, heads, made.replace(plate=plates)

  def segment(self, nets: game.Nets, frames: jax.Array) -> dict[str, jax.Array]:
    """See `tasks.VideoSystem`: masks of single frames by the segmenter."""
    b, t, *shape = frames.shape
    real = ranges.image_to_float(frames)
    logits = self.head_nets.segment(nets, real.reshape(b * t, *shape))
    return {"segmenter": jax.nn.sigmoid(logits).reshape(b, t, *shape[:-1], 1)}

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return soft masks [b, t-1, h, w, 1] by head, and the `layers`."""
    carry = self.begin(nets, batch["video"][:, 0], batch["ref_mask"])
    _, heads, layers = self.advance(
      nets, carry, batch["video"][:, 1:], batch["flow_fwd"]
    )
    return {**heads, "layers": layers}


def from_config(c) -> ForeGan:
  """Build the system of a config (configs/davis.py has all keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  checks.check(c)
  nets = foregan_nets.build(c)
  layers = rollout.VideoLayers(
    gf=nets["gf"],
    gb=nets["gb"],
    fg_condition=c.gf.condition,
    fg_base=c.gf.base,
    carried=c.gf.carried,
    bg_condition=c.gb.condition,
    bg_input=c.gb.input,
    bg_init=c.rollout.bg_init,
    composition=c.composition,
    fg_masking=c.gf.masking,
    fg_outside=c.rollout.fg_outside,
    flow_clip=c.rollout.flow_clip,
  )
  heads = heads_lib.build(c)
  return ForeGan(
    layers=layers,
    nets=nets | dict(heads.nets),
    head_nets=heads,
    times=c.heads.times,
    players=foregan_players.build(c, nets, layers, heads),
    schedule={
      "generator": MoveEvery(c.turn.generator_every),
      "critic": MoveEvery(c.turn.critic_every),
      "segmenter": MoveEvery(c.turn.segmenter_every, c.turn.segmenter_start),
      "propagator": MoveEvery(c.turn.propagator_every, c.turn.propagator_start),
    },
    height=c.data.height,
    width=c.data.width,
    clip_len=c.data.clip_len,
    patch=tuple(c.db.patch),
    still_size=c.data.still_size * bool(heads.tracker and c.clips.instances),
    sos=moments.Refinement(**c.sos),
    mask_slope=c.gf.mask_slope,
    unroll=platform.unroll(c.scan_unroll),
  )
