import jax.numpy as jnp
import pytest

from foregan_jax.runtime import pending as pending_lib


class Recorder:
  """A writer and a bar in one."""

  items_per_second = 1.0

  def __init__(self):
    self.lines = []

  def write_scalars(self, step, scalars):
    self.lines.append((step, scalars["a/x"]))

  def update(self, step, losses=None):
    pass


def _feed(values, **kwargs):
  recorder = Recorder()
  pending = pending_lib.Pending(recorder, recorder, **kwargs)
  for step, value in enumerate(values, start=1):
    pending.swap(step, {"a/x": jnp.float32(value)})
  pending.close()
  return recorder.lines


def test_lines_are_means_since_the_last():
  assert _feed([1, 3, 5, 7, 9], every=2) == [(2, 2.0), (4, 6.0), (5, 9.0)]


def test_non_finite_values_stop_with_step_player_and_term():
  with pytest.raises(pending_lib.NonFiniteError, match="step 2: 'x' of .* 'a'"):
    _feed([1, float("nan"), 1], every=10)


def test_what_goes_wrong_is_said_once_until_it_is_over(monkeypatch):
  said = []
  warn = lambda text, *args: said.append(text % args)
  monkeypatch.setattr(pending_lib.logging, "warning", warn)
  judge = lambda step, means: (
    {"big": f"{means['a/x']}"} if means["a/x"] > 5 else {}
  )
  _feed([1, 6, 7, 1, 8], every=1, diagnose=judge)
  assert said == ["step 2, big: 6.0", "step 5, big: 8.0"]
