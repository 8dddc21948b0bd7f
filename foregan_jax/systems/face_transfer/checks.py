"""Checks of a config for face_transfer, before anything is compiled."""

from foregan_jax.layers import face_boxes, face_paste
from foregan_jax.nets import cycle_gan
from foregan_jax.runtime import limits, settings

KINDS = ("cyclegan", "wgan_gp")
_STRIDE = 4  # of the generators
_NETS = ("g_ab", "g_ba", "d_a", "d_b", "cls")
_LIMITS = {
  "nets.blocks": (0, limits.INF),
  "nets.critic_depth": (1, 3),
  "nets.*": (1, limits.INF),
  "crops.size": (16, limits.INF),
  "crops.shift": (0, limits.INF),
  "w_generator.*": (0, limits.INF),
  "critics.generators_every": (2, limits.INF),
  "critics.noise_steps": (1, limits.INF),
  "critics.*": (0, limits.INF),
  "paste.grow.*": (0, face_boxes.SIDE),
  "colour": (0, 1),
}


def check(c) -> None:
  """Refuse a config that would fail late.

  Raises:
    ValueError: naming the key, its value and what it must be.
  """
  limits.check_numbers(c, _LIMITS)
  limits.check_lengths(c, {"colour": 4})
  for name, value, allowed in (
    ("nets.kind", c.nets.kind, KINDS),
    ("nets.upsample", c.nets.upsample, cycle_gan.UPSAMPLINGS),
    ("paste.alpha", c.paste.alpha, face_paste.ALPHAS),
    ("paste.blend", c.paste.blend, face_paste.BLENDS),
  ):
    if value not in allowed:
      raise ValueError(
        f"{name} is {value!r}, but must be one of {', '.join(allowed)}."
        f"{settings.suggestion(str(value), list(allowed))}"
      )
  if not c.regions:
    raise ValueError(
      f"regions is empty, but must have some of "
      f"{', '.join(face_boxes.REGIONS)}."
    )
  limits.check_names("regions", c.regions, face_boxes.REGIONS)
  if c.crops.size % _STRIDE:
    raise ValueError(
      f"crops.size is {c.crops.size}, but must be a multiple of {_STRIDE}."
    )
  if c.data.samples != "face_pairs":
    raise ValueError(
      f"data.samples is {c.data.samples!r}, but face_transfer trains on "
      "face_pairs."
    )
  if c.data.source == c.data.target:
    raise ValueError(
      f"data.source and data.target are both {c.data.source!r}, but must be "
      "two emotions."
    )
  limits.check_names("ema_nets", c.ema_nets, _NETS)
