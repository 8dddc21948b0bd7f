"""Signals: one asks, two kill."""

import os
import signal

import pytest

from foregan_jax.runtime import interrupts


@pytest.mark.parametrize(
  "number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]
)
def test_signal_is_a_question_inside_and_as_before_outside(number):
  before = signal.getsignal(number)
  with interrupts.Interrupts() as signals:
    assert not signals.should_stop(1)
    os.kill(os.getpid(), number)
    assert signals.should_stop(2)
    assert signals.should_stop(3)
  assert signal.getsignal(number) == before


def test_second_ctrl_c_kills(capfd):
  with pytest.raises(KeyboardInterrupt), interrupts.Interrupts() as signals:
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.should_stop(1)
    assert "Ctrl-C again" in capfd.readouterr().err
    os.kill(os.getpid(), signal.SIGINT)
