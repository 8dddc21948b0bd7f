"""Tests of the progress display: rates, pauses, bar and log lines."""

import logging

import pytest

from foregan_jax.runtime import progress


class _Clock:
  def __init__(self):
    self.now = 100.0

  def monotonic(self):
    return self.now


@pytest.fixture
def clock(monkeypatch):
  clock = _Clock()
  monkeypatch.setattr(progress, "time", clock)
  return clock


def _progress(**kwargs):
  defaults = dict(start=0, end=10, items_per_step=4, terminal=False)
  return progress.Progress(**{**defaults, **kwargs})


def test_rate_and_time_left_exclude_pauses(clock):
  with _progress() as bar:
    assert bar.seconds_left is None
    with bar.paused("compiling"):
      clock.now += 60
    clock.now += 2
    bar.update(4)
    assert bar.items_per_second == pytest.approx(8.0)
    assert bar.seconds_left == pytest.approx(3.0)


def test_resumed_run_counts_only_its_own_steps(clock):
  with _progress(start=6) as bar:
    clock.now += 2
    bar.update(8)
    assert bar.items_per_second == pytest.approx(4.0)
    assert bar.seconds_left == pytest.approx(2.0)


def test_scalars_are_logged_without_a_terminal(clock, caplog):
  caplog.set_level(logging.INFO)
  with _progress() as bar:
    clock.now += 1
    bar.update(1)
    assert caplog.text == ""
    bar.update(2, {"g/loss": 0.5})
    with bar.paused("evaluating"):
      pass
  assert "step 2/10  8.0 items/s  00:04 left  g/loss 0.5" in caplog.text
  assert "step 2: evaluating" in caplog.text


def test_only_the_first_process_logs(clock, caplog, monkeypatch):
  caplog.set_level(logging.INFO)
  monkeypatch.setattr(progress.jax, "process_index", lambda: 1)
  with _progress() as bar:
    bar.update(2, {"g/loss": 0.5})
  assert caplog.text == ""


def test_bar_is_drawn_on_a_terminal_and_hidden_in_pauses(capsys):
  with _progress(terminal=True) as bar:
    bar.update(3, {"g/loss": 0.5})
    with bar.paused("evaluating"):
      assert "3/10" not in capsys.readouterr().out
  drawn = capsys.readouterr().out
  assert "3/10" in drawn and "g/loss 0.5" in drawn
