"""Detection of degenerate layers from metrics, with the first remedy to try.

A layered GAN has trivial optima: the foreground draws everything or nothing
(fig. 2 of Yang et al., WACV 2022). The layers may also contain each other
(information leakage; Zou et al., AAAI 2023). The thresholds are ours.
"""

from collections.abc import Mapping

_FULL, _EMPTY = 0.9, 0.02  # mean of the masks
_SAME = 0.02  # standard deviation of their areas
_GREY = 0.2  # mean of min(m, 1 - m); 1/2 at most
_MANY_EMPTY = 0.3  # fraction of pictures without an object
_ABOVE_CHANCE = 2.0
# Between the score of generated pictures (0) and of real ones (1). ILSGAN's
# alarm is at 0. But in healthy runs plain backgrounds also score a little
# higher than pictures with objects, because they have fewer flaws. The
# segmenter's masks of backgrounds are no sign: early in training it finds an
# object in every picture.
_HALF_WAY = 0.5


def diagnose(metrics: Mapping[str, float], groups: int) -> dict[str, str]:
  """Return a sentence with a remedy for each problem, by its name.

  Args:
    metrics: `player/term` of a turn, or means over turns; checks of missing
      terms are skipped.
    groups: number of superclasses; the mask should determine the superclass.
  """
  value = lambda name, default: metrics.get(name, default)
  mean = value("generator/mask_mean", 0.5)
  found = {}
  if mean > _FULL:
    found["all foreground"] = (
      f"the masks cover {mean:.0%} of the pictures: the foreground draws "
      "everything. Try a stronger `perturbation` (perturbgan); then an upper "
      "bound of the area (w_generator.area=10, schedule.area_late)"
    )
  elif mean < _EMPTY:
    found["all background"] = (
      f"the masks cover {mean:.1%} of the pictures: the background draws "
      "everything. Try w_generator.info and w_critic.info of 2 to 5; then a "
      "lower bound of the area (w_generator.area=10, schedule.area_late)"
    )
  elif value("generator/mask_area_spread", 1.0) < _SAME:
    found["one mask"] = (
      "all masks have the same area: they do not depend on the codes. Try "
      "w_generator.info and w_critic.info of 2 to 5"
    )
  share = value("generator/mask_empty_share", 0.0)
  if share > _MANY_EMPTY and "all background" not in found:
    found["empty masks"] = (
      f"{share:.0%} of the pictures have no object. Try a lower bound of the "
      "area (w_generator.area=10, schedule.area_late)"
    )
  grey = value("generator/binary", 0.0)
  if grey > _GREY:
    found["grey masks"] = (
      f"the masks are grey (mean of min(m, 1 - m) is {grey:.2f}): both layers "
      "draw the object. Try a higher w_generator.binary"
    )
  accuracy = value("critic/mask_code_accuracy", 1.0)
  if groups > 1 and accuracy < _ABOVE_CHANCE / groups:
    found["mute masks"] = (
      f"the superclass is predicted from the mask in {accuracy:.0%} of cases, "
      f"by chance {1 / groups:.0%}. Try w_generator.info and w_critic.info of "
      "2 to 5"
    )
  if "critic/background" in metrics:
    alone, whole, real = (
      metrics[f"critic/{name}"] for name in ("background", "fake", "real")
    )
    if alone > whole + _HALF_WAY * (real - whole):
      found["leak"] = (
        f"backgrounds alone look more real ({alone:.2f}) than whole pictures "
        f"({whole:.2f}): they hold the objects. Try w_generator.leak=1; then "
        "a higher w_generator.bg_seg"
      )
  return found
