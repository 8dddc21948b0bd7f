"""What a config of the flagship may say."""

from foregan_jax.layers import patches
from foregan_jax.nets import propagator
from foregan_jax.runtime import settings

# Kinds of clips for the propagator; see `clips`.
KINDS = ("rollouts", "cut_outs", "stills")

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


def check(c) -> None:
  """Refuses what would otherwise train something else, or fail late.

  Raises:
    ValueError: naming the key, its value and what was expected.
  """
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
  _check_game(c)


def _check_game(c) -> None:
  """Refuses losses that ask players who are not in the game."""
  for name, value in c.turn.items():
    least = 1 if name == "n_critic" else 0
    if value < least:
      raise ValueError(f"turn.{name} is {value}, but must be {least} or more.")
  critic, seg, prop = (
    c.turn[f"{name}_every"] for name in ("critic", "segmenter", "propagator")
  )
  asked = [n for n in ("fg", "mask", "bg") if c.w_generator[n]]
  if asked and not critic:
    raise ValueError(
      f"w_generator.{', w_generator.'.join(asked)} ask the critic, who is not "
      "in the game (turn.critic_every is 0)."
    )
  if c.turn.n_critic > 1 and not critic:
    raise ValueError(
      f"turn.n_critic is {c.turn.n_critic}, but must be 1 without a critic: "
      "nobody would move in the turns between."
    )
  if c.w_generator.bg_seg and not seg:
    raise ValueError(
      f"w_generator.bg_seg is {c.w_generator.bg_seg}, but asks the segmenter, "
      "who is not in the game (turn.segmenter_every is 0)."
    )
  if c.w_generator.agree and not (seg and prop):
    raise ValueError(
      f"w_generator.agree is {c.w_generator.agree}, but asks segmenter and "
      f"propagator, and they move every {seg} and {prop} turns (0: never)."
    )
  if not prop:
    return
  if c.clips.stills and c.data.kind == "davis" and not c.data.stills.root:
    raise ValueError(
      f"clips.stills is {c.clips.stills}, but data.stills.root is empty; give "
      "a VOC folder with instance masks."
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
  stride = propagator.stride_of(pool=c.prop.pool)
  for side in c.clips.size:
    if side % stride or side <= 0:
      raise ValueError(
        f"clips.size is {tuple(c.clips.size)}, but must be multiples of "
        f"{stride}, by which the propagator divides them."
      )
