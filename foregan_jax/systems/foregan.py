"""VOS-ForeGAN with a segmenter in the game.

Nets: `gf`, `gb` (foreground and background generators), `df`, `db` (critics),
`seg` (segmenter). Players, in the order they move: generator, critic,
segmenter; the generator's rollout serves all three.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from foregan_jax import game
from foregan_jax.layers import moments, patch_sampler, patches, ranges
from foregan_jax.nets import critic as critic_net
from foregan_jax.nets import layer_generator, rollout
from foregan_jax.nets import segmenter as segmenter_net
from foregan_jax.players import critic as critic_player
from foregan_jax.players import generator as generator_player
from foregan_jax.players import segmenter as segmenter_player
from foregan_jax.runtime import platform, settings


@struct.dataclass
class Propagation:
  """What prediction carries from chunk to chunk of a video."""

  layers: rollout.Carry
  moments: Any  # the Sum-of-Squares fit on the first frame's object


@dataclasses.dataclass(frozen=True)
class ForeGan:
  """The system; every field is static.

  Attributes:
    n_critic: the generator moves in every n-th turn, the critic in each.
    segmenter_every: the segmenter moves in every n-th turn; 0 = never.
    segmenter_start: steps before the segmenter's first move.
    sos: degree, threshold tau and low mask threshold of the refinement.
  """

  layers: rollout.VideoLayers
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  height: int
  width: int
  clip_len: int
  n_critic: int
  segmenter_every: int
  segmenter_start: int
  sos: moments.Refinement
  mask_slope: float
  unroll: bool
  name: str = "foregan"
  task: str = "videos"

  checkpoint_items = {"gan": ("gf", "gb", "df", "db"), "segmenter": ("seg",)}
  heads = ("generator", "generator_sos", "segmenter")

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `game.System`."""
    spec = lambda shape, dtype: jax.ShapeDtypeStruct(
      (batch_size, *shape), dtype
    )
    h, w, t = self.height, self.width, self.clip_len
    return {
      "video": spec((t, h, w, 3), jnp.uint8),
      "ref_mask": spec((h, w, 1), jnp.uint8),
      "flow_fwd": spec((t - 1, h, w, 2), jnp.float32),
    }

  def init(self, key, batch: game.Batch):
    """See `game.System`."""
    del batch
    keys = jax.random.split(key, 4)
    params = self.layers.init(keys[0], self.height, self.width)
    picture = lambda *size: jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    frame = picture(self.height, self.width)
    patch = picture(*self.players[1].real_patches.size)
    for net, key, args in (
      ("df", keys[1], (frame, "fg")),
      ("db", keys[2], (patch, "fg")),
      ("seg", keys[3], (frame,)),
    ):
      params[net] = self.nets[net].lazy_init(key, *args)["params"]
    return params, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    moves = ["critic"]
    if (step + 1) % self.n_critic == 0:
      moves.insert(0, "generator")
    after = step - self.segmenter_start
    if self.segmenter_every and after >= 0:
      if (after + 1) % self.segmenter_every == 0:
        moves.append("segmenter")
    return tuple(moves)

  def begin(self, params, frame: jax.Array, mask: jax.Array) -> Propagation:
    """Starts a video from its first frame and mask.

    Args:
      params: by net.
      frame: uint8 [b, h, w, 3].
      mask: uint8 [b, h, w, 1], coverage of the object, 0 to 255.
    """
    del params
    frame, mask = ranges.image_to_float(frame), ranges.mask_to_float(mask)
    # Noise-filled variants start from fixed noise: predictions repeat.
    carry = self.layers.start(frame, mask, jax.random.key(0))
    return Propagation(carry, self.sos.fit(frame, mask))

  def advance(self, params, carry: Propagation, frames, flow):
    """Goes t frames further.

    Args:
      params: by net.
      carry: from `begin` or an earlier call.
      frames: uint8 [b, t, h, w, 3], the frames to segment.
      flow: [b, t, h, w, 2], flow onto each of them from the one before.

    Returns:
      The carry, soft masks {head: [b, t, h, w, 1]}, and the layers.
    """
    frames = ranges.image_to_float(frames)
    seen = frames if self.layers.looks_ahead else None
    state, made = self.layers.rollout(
      params,
      carry.layers,
      rollout.Inputs(flow, seen),
      jax.random.key(0),
      mask_slope=self.mask_slope,
      unroll=self.unroll,
      remat=False,
    )
    b, t, *shape = frames.shape
    logits = self.nets["seg"].apply(
      {"params": params["seg"]}, frames.reshape(b * t, *shape)
    )
    heads = {
      "generator": made.mask,
      "generator_sos": self.sos.refine(carry.moments, frames, made.mask),
      "segmenter": jax.nn.sigmoid(logits).reshape(made.mask.shape),
    }
    return Propagation(state, carry.moments), heads, made

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
  _check(c)
  nets = _nets(c)
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
  return ForeGan(
    layers=layers,
    nets=nets,
    players=_players(c, nets, layers),
    height=c.data.height,
    width=c.data.width,
    clip_len=c.data.clip_len,
    n_critic=c.turn.n_critic,
    segmenter_every=c.turn.segmenter_every,
    segmenter_start=c.turn.segmenter_start,
    sos=moments.Refinement(**c.sos),
    mask_slope=c.gf.mask_slope,
    unroll=platform.unroll(c.scan_unroll),
  )


# The words that each setting knows.
_WORDS = {
  "gf.condition": ("flow", "flow_mask", "next_frame"),
  "gf.base": ("prev", "warp"),
  "gf.formula": ("lerp", "exp12"),
  "gf.temporal": ("sum", "concat", "convlstm", "none"),
  "gf.mask_source": ("att", "fg_rgb", "h", "z"),
  "gf.masking": ("dark", "none", "zero"),
  "gb.condition": ("none", "flow"),
  "gb.input": ("prev", "next_frame_noise_hole"),
  "gb.formula": ("lerp", "exp12"),
  "gb.temporal": ("sum", "concat", "convlstm", "none"),
  "composition": ("alpha", "additive"),
  "data.bg_init": ("row", "noise", "uniform", "black"),
  "df.real": ("first", "augmented"),
  "df.arch": ("M", "Ga"),
  "db.fakes": ("uniform", "mask", "mixed"),
  "gp_reduce": ("sum", "mean"),
}


def _check(c) -> None:
  """Refuses what would otherwise train something else, or fail late."""
  for name, known in _WORDS.items():
    value = c
    for part in name.split("."):
      value = value[part]
    if value not in known:
      raise ValueError(
        f"{name} is {value!r}, but must be one of {', '.join(known)}."
        f"{settings.suggestion(str(value), list(known))}"
      )
  if c.variant != c.built_as:
    raise ValueError(
      f"variant is {c.variant!r}, which is only a label here; name it after "
      f"the colon: --config=configs/davis.py:variant={c.variant}"
    )
  d = c.data
  if d.height % 4 or d.width % 4:
    raise ValueError(
      f"data.height and data.width are {d.height} and {d.width}, but must be "
      "multiples of 4 (the generators halve them twice)."
    )
  if d.objects < 0:
    raise ValueError(
      f"data.objects is {d.objects}, but foregan follows one object: 0 for all "
      "of them as one, or an object's index."
    )
  if d.clip_len < 2:
    raise ValueError(f"data.clip_len is {d.clip_len}, but must be at least 2.")
  if not 1 <= c.segmenter_frames <= d.clip_len:
    raise ValueError(
      f"segmenter_frames is {c.segmenter_frames}, but must be between 1 and "
      f"data.clip_len, {d.clip_len}."
    )
  patches.grid_size((d.height, d.width), c.db.patch, c.db.stride)


def _nets(c) -> dict[str, nn.Module]:
  dtype = platform.dtype(c.dtype)
  trunk = {"width": c.nets.width, "num_blocks": c.nets.blocks, "dtype": dtype}
  time = {"num_steps": c.data.clip_len - 1, "state_channels": c.state_channels}
  return {
    "gf": layer_generator.LayerGenerator(
      temporal=c.gf.temporal,
      mask_source=c.gf.mask_source,
      mask_kernel=c.gf.mask_kernel,
      formula=c.gf.formula,
      affine=c.gf.affine,
      affine_align_corners=c.gf.affine_align_corners,
      **time,
      **trunk,
    ),
    "gb": layer_generator.LayerGenerator(
      temporal=c.gb.temporal,
      mask_source="none",
      formula=c.gb.formula,
      **time,
      **trunk,
    ),
    "df": critic_net.Critic(
      width=c.nets.critic_width,
      num_down=c.nets.critic_down,
      arch=c.df.arch,
      heads=tuple(c.df.heads),
      dtype=dtype,
    ),
    "db": critic_net.Critic(
      width=c.nets.critic_width,
      num_down=c.nets.patch_down,
      heads=("fg",),
      dtype=dtype,
    ),
    "seg": segmenter_net.Segmenter(
      width=c.nets.seg_width, depth=c.nets.seg_depth, dtype=dtype
    ),
  }


def _players(c, nets, layers) -> tuple[game.Player, ...]:
  patch = lambda where: patch_sampler.Sampler(
    size=tuple(c.db.patch),
    stride=tuple(c.db.stride),
    count=c.db.count,
    where=where,
  )
  fakes = patch(c.db.fakes)
  generator = generator_player.Generator(
    layers=layers,
    df=nets["df"],
    db=nets["db"],
    seg=nets["seg"],
    critic_heads=tuple(c.df.heads),
    real_patches=patch("free"),
    fake_patches=fakes,
    weights=generator_player.Weights(**c.w_generator),
    schedule=generator_player.Schedule(
      mask_slope=c.gf.mask_slope, **c.schedule
    ),
    area_band=tuple(c.area_band),
    jitter_next_frame=tuple(c.jitter_next_frame),
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )
  critic = critic_player.Critic(
    df=nets["df"],
    db=nets["db"],
    heads=tuple(c.df.heads),
    real_fg=c.df.real,
    real_patches=patch("free"),
    fake_patches=fakes,
    gp_reduce=c.gp_reduce,
    weights=critic_player.Weights(**c.w_critic),
  )
  segmenter = segmenter_player.Segmenter(
    seg=nets["seg"],
    weights=segmenter_player.Weights(**c.w_segmenter),
    frames=c.segmenter_frames,
    augment=segmenter_player.Augment(**settings.tuples(c.augment.to_dict())),
  )
  return generator, critic, segmenter
