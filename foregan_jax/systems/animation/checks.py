"""Checks of a config for animation, before anything is compiled."""

from foregan_jax.nets import animation
from foregan_jax.runtime import limits, settings

_NETS = ("m", "l", "h", "r", "bg_base", "bg_refine")
_LIMITS = {
  "nets.residuals": (0, limits.INF),
  "nets.stride": (2, 16),
  "nets.levels": (1, 10),
  "nets.prior": (0, 10),
  "nets.temperature": (0.01, 10),
  "nets.*": (1, limits.INF),
  "perceptual.width": (1, limits.INF),
  "perceptual.scales": (1, 64),
  "perceptual.*": (0, limits.INF),
  "masks.threshold": (0, 254),
  "masks.predicted_scale": (0.1, 2),
  "masks.weight": (0, limits.INF),
  "starts.*": (0, limits.INF),
  "colour": (0, 1),
}


def check(c) -> None:
  """Refuse a config that would fail late.

  Raises:
    ValueError: naming the key, its value and what it must be.
  """
  limits.check_numbers(c, _LIMITS)
  limits.check_lengths(c, {"colour": 4})
  n, side = c.nets, c.data.still_size
  if n.bn_scale_init not in animation.SCALES:
    raise ValueError(
      f"nets.bn_scale_init is {n.bn_scale_init!r}, but must be one of "
      f"{', '.join(animation.SCALES)}."
      f"{settings.suggestion(n.bn_scale_init, sorted(animation.SCALES))}"
    )
  if n.stride & (n.stride - 1):
    raise ValueError(f"nets.stride is {n.stride}, but must be 2, 4, 8 or 16.")
  multiple = n.stride * 2**n.levels
  if side % multiple:
    raise ValueError(
      f"data.still_size is {side}, but must be a multiple of {multiple}: "
      f"masks are {n.stride} times smaller (nets.stride) and are halved "
      f"{n.levels} times (nets.levels)."
    )
  least = 2 * animation.BORDER + 2
  if side // n.stride < least:
    raise ValueError(
      f"data.still_size is {side} and nets.stride {n.stride}, so masks have "
      f"{side // n.stride} pixels, but need at least {least}."
    )
  if c.data.samples != "pairs":
    raise ValueError(
      f"data.samples is {c.data.samples!r}, but animation trains on pairs."
    )
  limits.check_names("ema_nets", c.ema_nets, _NETS)


def check_scales(c, smallest: int) -> None:
  """Refuse images that become too small for the features.

  Args:
    c: the config.
    smallest: the side that images must have at each scale.

  Raises:
    ValueError: if they have not.
  """
  side = c.data.still_size
  for times in c.perceptual.scales:
    if side // times < smallest:
      raise ValueError(
        f"perceptual.scales has {times}, so images of {side} pixels become "
        f"{side // times}, but the last feature needs {smallest}."
      )
