"""Metrics, looked at one step late so that the host never stalls the device."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging

Diagnose = Callable[[int, Mapping[str, float]], Mapping[str, str]] | None


class NonFiniteError(RuntimeError):
  """A loss or a gradient became infinite or not a number."""


class Pending:
  """Holds the metrics of the last step until the next one is on its way."""

  def __init__(self, writer, bar, *, every: int, diagnose: Diagnose = None):
    """Starts with nothing pending.

    Args:
      writer: gets the scalars of every `every`-th step.
      bar: `runtime.progress.Progress`, told every step.
      every: steps between two lines; each line is the mean since the last.
      diagnose: from a step and its line to what is wrong, by kind; a warning
        is given when a kind appears, and again after it was gone.
    """
    self._writer, self._bar, self._every = writer, bar, every
    self._step = 0
    self._held: tuple[int, dict[str, jax.Array]] | None = None
    self._sums: dict[str, list[float]] = {}
    self._diagnose = diagnose or (lambda step, means: {})
    self._wrong: dict[str, str] = {}

  def swap(self, step: int, metrics: dict[str, jax.Array]) -> None:
    """Takes the metrics of `step`, deals with those held before.

    Raises:
      NonFiniteError: naming step, player and term of the metrics held before.
    """
    held, self._held = self._held, (step, metrics)
    if held:
      self._deal(*held)

  def flush(self) -> None:
    """Deals with what is held; waits for the device.

    Raises:
      NonFiniteError: naming step, player and term.
    """
    held, self._held = self._held, None
    if held:
      self._deal(*held)

  def close(self) -> None:
    """Deals with what is held and writes what is left over.

    Raises:
      NonFiniteError: naming step, player and term.
    """
    self.flush()
    if self._sums:
      self._write(self._step)

  def _deal(self, step: int, metrics: dict[str, Any]) -> None:
    numbers = {k: float(v) for k, v in jax.device_get(metrics).items()}
    bad = [k for k, v in numbers.items() if not math.isfinite(v)]
    if bad:
      # Terms before totals: the loss is non-finite because a term is.
      bad.sort(key=lambda name: (name.endswith("/loss"), "norm" in name))
      player, _, term = bad[0].partition("/")
      raise NonFiniteError(
        f"step {step}: {term!r} of player {player!r} is {numbers[bad[0]]}"
        f" (non-finite: {', '.join(bad)}); the last checkpoint is from before"
      )
    for name, value in numbers.items():
      self._sums.setdefault(name, []).append(value)
    self._step = step
    if step % self._every:
      self._bar.update(step)
    else:
      self._write(step)

  def _write(self, step: int) -> None:
    means = {k: float(np.mean(v)) for k, v in self._sums.items()}
    wrong = self._diagnose(step, means)
    for kind in wrong.keys() - self._wrong.keys():
      logging.warning("step %d, %s: %s", step, kind, wrong[kind])
    self._wrong = wrong
    means["items_per_second"] = self._bar.items_per_second
    self._writer.write_scalars(step, means)
    losses = {
      k.removesuffix("/loss"): v for k, v in means.items() if "/loss" in k
    }
    self._bar.update(step, losses)
    self._sums = {}
