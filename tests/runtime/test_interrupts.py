"""Tests of signals: the first requests a stop, a second Ctrl-C interrupts."""

import os
import signal

import pytest

from foregan_jax.runtime import interrupts


@pytest.mark.parametrize(
  "number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]
)
def test_signal_requests_a_stop_and_handlers_are_restored(number):
  before = signal.getsignal(number)
  with interrupts.Interrupts() as signals:
    assert not signals.should_stop(1)
    os.kill(os.getpid(), number)
    assert signals.should_stop(2)
    assert signals.should_stop(3)
  assert signal.getsignal(number) == before


def test_second_ctrl_c_interrupts(capfd):
  with pytest.raises(KeyboardInterrupt), interrupts.Interrupts() as signals:
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.should_stop(1)
    assert "Ctrl-C again" in capfd.readouterr().err
    os.kill(os.getpid(), signal.SIGINT)
