"""VOS-ForeGAN, a segmenter and a propagator in one game.

Nets: `gf`, `gb` (foreground and background generators), `df`, `db` (critics),
`seg` (segmenter), `prop` (propagator). Players, in the order they move:
generator, critic, segmenter, propagator; the generator's rollout serves all
four. All but the generator may be left out of the game.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from foregan_jax import game
from foregan_jax.layers import moments, plate, ranges
from foregan_jax.nets import propagator as propagator_net
from foregan_jax.nets import propagator_weights, rollout, tracker
from foregan_jax.runtime import platform
from foregan_jax.systems.foregan import checks
from foregan_jax.systems.foregan import nets as foregan_nets
from foregan_jax.systems.foregan import players as foregan_players


@struct.dataclass
class Propagation:
  """What prediction carries from chunk to chunk of a video."""

  layers: rollout.Carry
  moments: Any  # the Sum-of-Squares fit on the first frame's object
  scene: plate.Memory  # what is known of it without the object
  tracked: Any  # of the propagator; None without one


@dataclasses.dataclass(frozen=True)
class Often:
  """How often a player moves.

  Attributes:
    every: it moves in every n-th turn; 0 = it is not in the game.
    start: turns before that.
  """

  every: int
  start: int = 0

  def __call__(self, step: int) -> bool:
    """Says whether the player moves at `step`."""
    after = step - self.start + 1
    return bool(self.every) and after > 0 and after % self.every == 0


@dataclasses.dataclass(frozen=True)
class ForeGan:
  """The system; every field is static.

  Attributes:
    nets: without those of players who are not in the game.
    often: by player.
    tracker: the propagator as it is used on whole videos.
    still: side of the annotated stills, a stream by itself; 0 = there is none.
    sos: degree, threshold tau and low mask threshold of the refinement.
  """

  layers: rollout.VideoLayers
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  often: dict[str, Often]
  tracker: tracker.Tracker | None
  height: int
  width: int
  clip_len: int
  patch: tuple[int, int]
  still: int
  sos: moments.Refinement
  mask_slope: float
  unroll: bool
  name: str = "foregan"
  task: str = "videos"

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
    """The ways to get masks; the average is that of the players' own."""
    learners = [item for item in self.checkpoint_items if item != "gan"]
    average = ["average"] if learners else []
    return ("generator", "generator_sos", *learners, *average)

  @property
  def unguided(self) -> tuple[str, ...]:
    """The heads that need no first mask; `segment` runs them."""
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
    if self.still:
      side = (self.still, self.still)
      specs["stills"] = {
        "image": spec((*side, 3), jnp.uint8),
        "labels": spec((*side, 1), jnp.uint8),
      }
    return specs

  def init(self, key, batch: game.Batch):
    """See `game.System`."""
    del batch
    keys = jax.random.split(key, 5)
    params = self.layers.init(keys[0], self.height, self.width)
    picture = lambda *size: jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    frame = picture(self.height, self.width)
    for net, key, args in (
      ("df", keys[1], (frame, "fg")),
      ("db", keys[2], (picture(*self.patch), "fg")),
      ("seg", keys[3], (frame,)),
    ):
      if net in self.nets:
        params[net] = self.nets[net].lazy_init(key, *args)["params"]
    if "prop" in self.nets:
      side = 2 * self.tracker.net.stride
      params["prop"] = propagator_net.init(
        self.tracker.net, keys[4], (side, side)
      )
    return params, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    return tuple(p.name for p in self.players if self.often[p.name](step))

  def load_weights(self, params, path: str) -> dict[str, Any]:
    """See `game.Loads`: for the propagator, as `nets.propagator_weights` says.

    Raises:
      ValueError: if there is no propagator, or the file does not fit it.
    """
    if "prop" not in self.nets:
      raise ValueError(
        f"init_from.weights is {path!r}, but is for the propagator, who is not "
        "in the game (turn.propagator_every is 0)"
      )
    return {"prop": propagator_weights.load(path, params["prop"])}

  def begin(self, params, frame: jax.Array, mask: jax.Array) -> Propagation:
    """Starts a video from its first frame and mask.

    Args:
      params: by net.
      frame: uint8 [b, h, w, 3].
      mask: uint8 [b, h, w, 1], coverage of the object, 0 to 255.
    """
    tracked = None
    if "prop" in self.nets:
      tracked = self.tracker.begin_all(params["prop"], frame, mask)
    frame, mask = ranges.image_to_float(frame), ranges.mask_to_float(mask)
    # Noise-filled variants start from fixed noise: predictions repeat.
    carry = self.layers.start(frame, mask, jax.random.key(0))
    scene = plate.start(frame, mask)
    return Propagation(carry, self.sos.fit(frame, mask), scene, tracked)

  def advance(self, params, carry: Propagation, frames, flow):
    """Goes t frames further.

    Args:
      params: by net.
      carry: from `begin` or an earlier call.
      frames: uint8 [b, t, h, w, 3], the frames to segment.
      flow: [b, t, h, w, 2], flow onto each of them from the one before.

    Returns:
      The carry, soft masks {head: [b, t, h, w, 1]}, and the layers with the
      plates: the frames without their object.
    """
    real = ranges.image_to_float(frames)
    state, made = self.layers.rollout(
      params,
      carry.layers,
      rollout.Inputs(flow, real if self.layers.looks_ahead else None),
      jax.random.key(0),
      mask_slope=self.mask_slope,
      unroll=self.unroll,
      remat=False,
    )
    heads, tracked = {"generator": made.mask}, None
    if "seg" in self.nets:
      heads |= self.segment(params, frames)
    if "prop" in self.nets:
      tracked, heads["propagator"] = self.tracker.run_all(
        params["prop"], carry.tracked, frames
      )
    if "average" in self.heads:
      heads["average"] = sum(heads.values()) / len(heads)
    heads["generator_sos"] = self.sos.refine(carry.moments, real, made.mask)
    mask = heads["average" if "average" in heads else "generator"]
    scene, plates = plate.run(carry.scene, real, mask, flow, made.bg)
    carry = Propagation(state, carry.moments, scene, tracked)
    return carry, heads, made.replace(plate=plates)

  def segment(self, params, frames: jax.Array) -> dict[str, jax.Array]:
    """Returns soft masks [b, t, h, w, 1] of frames by themselves, by head.

    Args:
      params: by net.
      frames: uint8 [b, t, h, w, 3].
    """
    b, t, *shape = frames.shape
    real = ranges.image_to_float(frames)
    logits = self.nets["seg"].apply(
      {"params": params["seg"]}, real.reshape(b * t, *shape)
    )
    return {"segmenter": jax.nn.sigmoid(logits).reshape(b, t, *shape[:-1], 1)}

  def predict(self, params, batch: game.Batch) -> dict[str, Any]:
    """Returns soft masks [b, t-1, h, w, 1] by head, and the `layers`."""
    carry = self.begin(params, batch["video"][:, 0], batch["ref_mask"])
    _, heads, layers = self.advance(
      params, carry, batch["video"][:, 1:], batch["flow_fwd"]
    )
    return {**heads, "layers": layers}


def from_config(c) -> ForeGan:
  """Builds the system of a config (see configs/davis.py for every key).

  Raises:
    ValueError: for a value that no part knows, or sizes that do not fit.
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
    bg_init=c.data.bg_init,
    composition=c.composition,
    fg_masking=c.gf.masking,
    fg_outside=c.data.fg_outside,
    flow_clip=c.data.flow_clip,
  )
  follow = None
  if "prop" in nets:
    follow = tracker.Tracker(
      nets["prop"], (1.0,), c.eval.padding, platform.unroll(c.scan_unroll)
    )
  return ForeGan(
    layers=layers,
    nets=nets,
    players=foregan_players.build(c, nets, layers, follow),
    often={
      "generator": Often(c.turn.n_critic),
      "critic": Often(c.turn.critic_every),
      "segmenter": Often(c.turn.segmenter_every, c.turn.segmenter_start),
      "propagator": Often(c.turn.propagator_every, c.turn.propagator_start),
    },
    tracker=follow,
    height=c.data.height,
    width=c.data.width,
    clip_len=c.data.clip_len,
    patch=tuple(c.db.patch),
    still=c.data.stills.size if "prop" in nets and c.clips.stills else 0,
    sos=moments.Refinement(**c.sos),
    mask_slope=c.gf.mask_slope,
    unroll=platform.unroll(c.scan_unroll),
  )
