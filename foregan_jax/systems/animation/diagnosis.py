"""Detection of masks that have collapsed, with the first remedy to try.

While the low-resolution generator cannot use the masks yet, they are noise to
it, and its loss makes them constant. With a small temperature, constant masks
are saturated, and their gradient vanishes: in a test at 32 pixels it fell to a
fiftieth within 150 steps (temperature 0.1, rate 1e-3), and to an eleventh with
centred logits, whose masks stayed useful. The thresholds are ours.
"""

from collections.abc import Mapping

_BLACK, _WHITE = 0.03, 0.97  # mean of the masks; healthy ones have 0.2 to 0.5


def diagnose(metrics: Mapping[str, float]) -> dict[str, str]:
  """Return a sentence with a remedy for each problem, by its name.

  Args:
    metrics: `player/term` of a turn, or means over turns; checks of missing
      terms are skipped.
  """
  mean = metrics.get("animator/mask_mean", 0.5)
  if _BLACK <= mean <= _WHITE:
    return {}
  colour = "black" if mean < _BLACK else "white"
  return {
    f"{colour} masks": (
      f"the mean of the masks is {mean:.3f}: nearly all of them are {colour}, "
      "so they carry no pose, and their gradient vanishes. Start again with "
      "nets.centred=True, or with a lower optim.animator.learning_rate"
    )
  }
