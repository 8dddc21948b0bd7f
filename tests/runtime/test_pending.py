"""Tests of the metrics buffer: means, non-finite values and warnings."""

import jax.numpy as jnp
import pytest

from foregan_jax.runtime import pending as pending_lib


class Recorder:
  """A writer and a progress bar that records the scalars."""

  items_per_second = 1.0

  def __init__(self):
    self.lines = []

  def write_scalars(self, step, scalars):
    self.lines.append((step, scalars["a/x"]))

  def update(self, step, losses=None):
    pass


def _write(values, **kwargs):
  recorder = Recorder()
  pending = pending_lib.PendingMetrics(recorder, recorder, **kwargs)
  for step, value in enumerate(values, start=1):
    pending.add(step, {"a/x": jnp.float32(value)})
  pending.close()
  return recorder.lines


def test_lines_are_means_since_the_previous_line():
  assert _write([1, 3, 5, 7, 9], every=2) == [(2, 2.0), (4, 6.0), (5, 9.0)]


def test_non_finite_value_raises_with_step_player_and_term():
  with pytest.raises(pending_lib.NonFiniteError, match="step 2: 'x' of .* 'a'"):
    _write([1, float("nan"), 1], every=10)


def test_problem_is_logged_again_only_after_an_absence(monkeypatch):
  warnings = []
  warn = lambda text, *args: warnings.append(text % args)
  monkeypatch.setattr(pending_lib.logging, "warning", warn)
  diagnose = lambda step, means: (
    {"big": f"{means['a/x']}"} if means["a/x"] > 5 else {}
  )
  _write([1, 6, 7, 1, 8], every=1, diagnose=diagnose)
  assert warnings == ["step 2, big: 6.0", "step 5, big: 8.0"]
