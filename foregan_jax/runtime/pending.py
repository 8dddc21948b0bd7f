"""Write metrics one step late, so that the host never waits for the device."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging

Diagnose = Callable[[int, Mapping[str, float]], Mapping[str, str]] | None


class NonFiniteError(RuntimeError):
  """An error for a loss or a gradient that is infinite or not a number."""


class PendingMetrics:
  """A buffer for the metrics of one step until the next step is dispatched."""

  def __init__(self, writer, bar, *, every: int, diagnose: Diagnose = None):
    """Start with an empty buffer.

    Args:
      writer: a writer; receives scalars in every `every`-th step.
      bar: a `runtime.progress.Progress`; updated in every step.
      every: steps between two writes; scalars are means since the last write.
      diagnose: a function from a step and its scalars to problems, as texts by
        kind. A problem is logged as a warning when its kind first appears, and
        again if it returns after an absence.
    """
    self._writer, self._bar, self._every = writer, bar, every
    self._step = 0
    self._held: tuple[int, dict[str, jax.Array]] | None = None
    self._values: dict[str, list[float]] = {}
    self._diagnose = diagnose or (lambda step, means: {})
    self._problems: Mapping[str, str] = {}

  def add(self, step: int, metrics: dict[str, jax.Array]) -> None:
    """Hold the metrics of `step` and process those held before.

    Args:
      step: completed steps.
      metrics: scalars on the device, by name `player/term`.

    Raises:
      NonFiniteError: if a value held before is not finite; names step, player
        and term.
    """
    held, self._held = self._held, (step, metrics)
    if held:
      self._process(*held)

  def flush(self) -> None:
    """Process the metrics held; wait for the device.

    Raises:
      NonFiniteError: if a value is not finite; names step, player and term.
    """
    held, self._held = self._held, None
    if held:
      self._process(*held)

  def close(self) -> None:
    """Process the metrics held and write the means not yet written.

    Raises:
      NonFiniteError: if a value is not finite; names step, player and term.
    """
    self.flush()
    if self._values:
      self._write(self._step)

  def _process(self, step: int, metrics: dict[str, Any]) -> None:
    numbers = {k: float(v) for k, v in jax.device_get(metrics).items()}
    bad = [k for k, v in numbers.items() if not math.isfinite(v)]
    if bad:
      # Terms before totals: the loss is non-finite because a term is.
      bad.sort(key=lambda name: (name.endswith("/loss"), "norm" in name))
      player, _, term = bad[0].partition("/")
      raise NonFiniteError(
        f"step {step}: {term!r} of player {player!r} is {numbers[bad[0]]}"
        f" (non-finite: {', '.join(bad)}); the last checkpoint is from an"
        " earlier step"
      )
    for name, value in numbers.items():
      self._values.setdefault(name, []).append(value)
    self._step = step
    if step % self._every:
      self._bar.update(step)
    else:
      self._write(step)

  def _write(self, step: int) -> None:
    means = {k: float(np.mean(v)) for k, v in self._values.items()}
    problems = self._diagnose(step, means)
    for kind in problems.keys() - self._problems.keys():
      logging.warning("step %d, %s: %s", step, kind, problems[kind])
    self._problems = problems
    means["items_per_second"] = self._bar.items_per_second
    self._writer.write_scalars(step, means)
    losses = {
      k.removesuffix("/loss"): v for k, v in means.items() if "/loss" in k
    }
    self._bar.update(step, losses)
    self._values = {}
