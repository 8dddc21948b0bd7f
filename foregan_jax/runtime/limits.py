"""Checks of numbers and names in a config, before anything is compiled."""

import fnmatch
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from foregan_jax.runtime import settings

Number = int | float
INF = math.inf
_LARGEST = 2**31 - 1  # of whole numbers on the device
_BELOW_1 = math.nextafter(1.0, 0.0)
# Of the keys of every config.
SHARED = {
  "seed": (0, 2**32 - 1),
  "batch_size": (1, INF),
  "num_steps": (0, INF),
  "log_every": (1, INF),
  "*_every": (0, INF),
  "alarm_after": (0, INF),
  "keep_checkpoints": (1, INF),
  "ema_decay": (0, _BELOW_1),
  "data.threads": (0, INF),
  "data.prefetch": (0, INF),
  "data.height": (1, INF),
  "data.width": (1, INF),
  "data.clip_len": (1, INF),
  "data.still_size": (1, INF),
  "data.still_margin": (0, INF),
  "data.objects": (-1, INF),
  "data.skips.every": (1, INF),
  "data.skips.*": (0, INF),
  "data.distant_reference": (0, 1),
  "data.root_weights": (0, INF),
  "eval.limit": (0, INF),
  "eval.num_drawn": (1, INF),
  "optim.*.learning_rate": (0, 10),
  "optim.*.b1": (0, _BELOW_1),
  "optim.*.b2": (0, _BELOW_1),
  "optim.*.decay_factor": (1e-6, 1),
  "optim.*": (0, INF),
  "*": (-INF, INF),
}


def check_numbers(
  config, limits: Mapping[str, tuple[Number, Number]] = SHARED
) -> None:
  """Refuse a number that is outside its limits, not finite, or too large.

  Args:
    config: of a run.
    limits: (smallest, largest) by dotted key, where `*` stands for any text;
      the first pattern that fits a key counts. Each number of a tuple is
      checked, other values and keys are not.

  Raises:
    ValueError: naming the key, its value and the limits.
  """
  for key, text in settings.flatten(settings.to_json(config)).items():
    value = json.loads(text)
    found = (limits[p] for p in limits if fnmatch.fnmatchcase(key, p))
    low, high = next(found, (None, None))
    if low is None:
      continue
    for number in value if isinstance(value, list) else [value]:
      if isinstance(number, bool) or not isinstance(number, Number):
        continue
      if isinstance(number, int) and abs(number) > _LARGEST and high == INF:
        raise ValueError(f"{key} is {value}, but must be at most {_LARGEST}")
      if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"{key} is {value}, but must be {_say(low, high)}")


def check_lengths(config, lengths: Mapping[str, int]) -> None:
  """Refuse a tuple of another length.

  Args:
    config: of a run.
    lengths: by dotted key, where `*` stands for any text; the first pattern
      that fits a key counts. Values that are no tuples are not checked.

  Raises:
    ValueError: naming the key, its value and the length.
  """
  for key, text in settings.flatten(settings.to_json(config)).items():
    value = json.loads(text)
    found = (lengths[p] for p in lengths if fnmatch.fnmatchcase(key, p))
    length = next(found, None)
    if isinstance(value, list) and length not in (None, len(value)):
      raise ValueError(f"{key} is {value}, but must have {length} values")


def check_order(key: str, bounds: Iterable[Number]) -> None:
  """Refuse a pair whose first number is larger than its second, or no pair.

  Raises:
    ValueError: naming the key and its value.
  """
  pair = tuple(bounds)
  if len(pair) != 2 or pair[0] > pair[1]:
    raise ValueError(f"{key} is {pair}, but must be (smallest, largest)")


def check_names(key: str, names: Iterable[Any], allowed: Iterable[str]) -> None:
  """Refuse a name that is not allowed.

  Args:
    key: of the config, for the error.
    names: its value.
    allowed: all names that it may have.

  Raises:
    ValueError: naming the key, the name and those that are allowed.
  """
  known = sorted(allowed)
  for name in names:
    if name not in known:
      raise ValueError(
        f"{key} has {name!r}, but may only have {', '.join(known)}."
        f"{settings.suggestion(str(name), known)}"
      )


def _say(low: Number, high: Number) -> str:
  if low == -INF:
    return "a finite number"
  if high == INF:
    return f"a finite number of at least {low}"
  if high == _BELOW_1:
    return f"at least {low} and below 1"
  return f"between {low} and {high}"
