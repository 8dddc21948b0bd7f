"""Checks of a `foregan` config: values, sizes, and players that others need."""

import math

from foregan_jax.layers import patches
from foregan_jax.nets import efficientnet, memory, propagator
from foregan_jax.runtime import limits, settings

# Kinds of clips for the propagator; see `clips`.
KINDS = ("rollouts", "cut_outs", "instances")

# Allowed values by key.
_ALLOWED = {
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
  "rollout.bg_init": ("row", "noise", "uniform", "black"),
  "df.real": ("first", "augmented"),
  "df.arch": ("M", "Ga"),
  "db.fakes": ("uniform", "mask", "mixed"),
  "gp_reduce": ("sum", "mean"),
  "heads.kind": ("own", "trunk"),
}
_NETS = ("gf", "gb", "df", "db", "seg", "prop")
_LIMITS = {
  "nets.*": (1, limits.INF),
  "prop.*": (1, limits.INF),
  "db.*": (1, limits.INF),
  "gf.mask_kernel": (1, limits.INF),
  "gf.mask_slope": (0, limits.INF),
  "rollout.*": (-1, limits.INF),
  "state_channels": (0, limits.INF),
  "w_*": (0, limits.INF),
  "area_band": (0, limits.INF),
  "schedule.*": (0, limits.INF),
  "propagator.*": (0, limits.INF),
  "augment.recompose": (0, 1),
  "augment.scale": (0.01, 100),
  "heads.times": (1, 16),
  "heads.nets.*": (1, limits.INF),
  "heads.tracker.top_k": (0, limits.INF),
  "heads.tracker.num_given": (2, limits.INF),
  "heads.tracker.*": (1, limits.INF),
  "sos.degree": (1, 10),
  "sos.*": (0, limits.INF),
}
_LENGTHS = {
  "heads.nets.widths": 3,
  "prop.blocks": 4,
  "db.*": 2,
  "area_band": 2,
  "augment.colour": 4,
  "augment.*": 2,
  "jitter_next_frame": 2,
  "clips.*": 2,
}


def check(c) -> None:
  """Refuse a config that would fail late or train something unintended.

  Raises:
    ValueError: naming the key, its value and what was expected.
  """
  limits.check_numbers(c, _LIMITS)
  limits.check_lengths(c, _LENGTHS)
  limits.check_names("ema_nets", c.ema_nets, _NETS)
  limits.check_names("df.heads", c.df.heads, ("fg", "mask"))
  limits.check_order("area_band", c.area_band)
  if c.rollout.flow_clip <= 0:
    raise ValueError(
      f"rollout.flow_clip is {c.rollout.flow_clip}, but must be above 0 pixels."
    )
  for name, allowed in _ALLOWED.items():
    value = c
    for part in name.split("."):
      value = value[part]
    if value not in allowed:
      raise ValueError(
        f"{name} is {value!r}, but must be one of {', '.join(allowed)}."
        f"{settings.suggestion(str(value), list(allowed))}"
      )
  if c.variant != c.built_as:
    raise ValueError(
      f"variant is {c.variant!r}, but --config.variant is only a label; give "
      f"it after the colon: --config=configs/davis.py:variant={c.variant}"
    )
  d = c.data
  _check_sizes(c)
  if d.objects < 0:
    raise ValueError(
      f"data.objects is {d.objects}, but foregan segments one object: 0 for "
      "all objects as one, or the index of one object."
    )
  if d.clip_len < 2:
    raise ValueError(f"data.clip_len is {d.clip_len}, but must be at least 2.")
  if not 1 <= c.segmenter_frames <= d.clip_len:
    raise ValueError(
      f"segmenter_frames is {c.segmenter_frames}, but must be between 1 and "
      f"data.clip_len, {d.clip_len}."
    )
  layers = d.height // c.heads.times, d.width // c.heads.times
  patches.grid_size(layers, c.db.patch, c.db.stride)
  _check_players(c)
  if c.turn.propagator_every:
    _check_clips(c)


def _check_sizes(c) -> None:
  """Refuse frames that do not fit the networks."""
  d, times = c.data, c.heads.times
  if c.heads.kind == "own" and times > 1:
    raise ValueError(
      f"heads.times is {times}, but must be 1 for heads.kind own: these "
      "networks see the layers' size."
    )
  # The generators halve the layers twice; keys have stride 16.
  multiple = 4 * times
  if c.heads.kind == "trunk":
    multiple = math.lcm(multiple, memory.STRIDE)
  if d.height % multiple or d.width % multiple:
    raise ValueError(
      f"data.height and data.width are {d.height} and {d.width}, but must be "
      f"multiples of {multiple}."
    )


def _check_players(c) -> None:
  """Refuse losses that need a disabled player."""
  for name, value in c.turn.items():
    minimum = 1 if name == "generator_every" else 0
    if value < minimum:
      raise ValueError(
        f"turn.{name} is {value}, but must be {minimum} or more."
      )
  critic, seg, prop = (
    c.turn[f"{name}_every"] for name in ("critic", "segmenter", "propagator")
  )
  used = [n for n in ("fg", "mask", "bg") if c.w_generator[n]]
  if used and not critic:
    raise ValueError(
      f"w_generator.{', w_generator.'.join(used)} need the critic, but it is "
      "disabled (turn.critic_every is 0)."
    )
  every = c.turn.generator_every
  if every > 1 and not critic:
    raise ValueError(
      f"turn.generator_every is {every}, but must be 1 without a critic: no "
      "player would move in the turns between."
    )
  if c.w_generator.bg_seg and not seg:
    raise ValueError(
      f"w_generator.bg_seg is {c.w_generator.bg_seg} and needs the segmenter, "
      "but it is disabled (turn.segmenter_every is 0)."
    )
  if c.w_generator.bg_seg and c.heads.kind == "trunk":
    raise ValueError(
      f"w_generator.bg_seg is {c.w_generator.bg_seg}, but must be 0 for "
      "heads.kind trunk: its gradient would need the trunk."
    )
  if c.w_generator.agree and not (seg and prop):
    raise ValueError(
      f"w_generator.agree is {c.w_generator.agree} and needs segmenter and "
      f"propagator, but they move every {seg} and {prop} turns (0: disabled)."
    )


def _check_clips(c) -> None:
  """Refuse clips that cannot be made for the propagator."""
  if c.clips.instances and c.data.kind == "files" and not c.data.stills_root:
    raise ValueError(
      f"clips.instances is {c.clips.instances}, but data.stills_root is empty; "
      "give a VOC folder with instance masks."
    )
  weights = [c.clips[kind] for kind in KINDS]
  if min(weights) < 0 or not any(weights):
    raise ValueError(
      f"clips.{', clips.'.join(KINDS)} are {weights}, but must be weights of 0 "
      "or more, one of them above 0."
    )
  if not 2 <= c.clips.clip_len <= c.data.clip_len:
    raise ValueError(
      f"clips.clip_len is {c.clips.clip_len}, but must be between 2 and "
      f"data.clip_len, {c.data.clip_len}."
    )
  if c.clips.times < 1:
    raise ValueError(f"clips.times is {c.clips.times}, but must be 1 or more.")
  if c.heads.kind == "trunk":
    stride = efficientnet.STRIDE
  else:
    stride = propagator.stride_of(pool=c.prop.pool)
  for side in c.clips.size:
    if side % stride or side <= 0:
      raise ValueError(
        f"clips.size is {tuple(c.clips.size)}, but must be multiples of "
        f"{stride}, the stride of the propagator."
      )
