"""Signals become a question asked once per step: should the run stop here?

A scheduler's SIGTERM or SIGUSR1 and a first Ctrl-C let the step end, so that
the run can save and exit 0; a second Ctrl-C kills. In a run of several
processes JAX spreads the notice and all of them agree on the step.
"""

import os
import signal
import threading

import jax
from jax.experimental import multihost_utils

_NOTICE = b"\nstopping after this step; Ctrl-C again to kill\n"


class Interrupts:
  """While entered, SIGTERM, SIGUSR1 and SIGINT only raise a flag.

  In a run of several processes JAX itself listens for SIGTERM, from
  `jax.distributed.initialize` on; the others are passed on to it.
  """

  def __init__(self):
    self._noticed = False
    self._distributed = jax.process_count() > 1
    self._previous = {}

  def __enter__(self):
    if threading.current_thread() is not threading.main_thread():
      return self  # Only the main thread may listen.
    signals = [signal.SIGINT, signal.SIGUSR1]
    if not self._distributed:
      signals.append(signal.SIGTERM)
    for number in signals:
      self._previous[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *unused_error):
    for number, handler in self._previous.items():
      signal.signal(number, handler)
    self._previous = {}

  def should_stop(self, step: int) -> bool:
    """Return whether to save and leave; ask once after every step.

    In a run of several processes all of them must ask, with the same steps.
    """
    if self._distributed:
      return multihost_utils.reached_preemption_sync_point(step)
    return self._noticed

  def _handle(self, number, unused_frame):
    if number == signal.SIGINT:
      # The next Ctrl-C does what it always does. Logging is not safe inside a
      # handler; a bare write is.
      signal.signal(signal.SIGINT, signal.default_int_handler)
      os.write(2, _NOTICE)
    if self._distributed:
      os.kill(os.getpid(), signal.SIGTERM)
    self._noticed = True
