"""Stop a run between two steps on SIGTERM, SIGUSR1 or Ctrl-C.

The training loop checks `should_stop` once per step. So the current step ends,
and the run can save and exit with status 0. A second Ctrl-C interrupts
immediately. In a run of several processes JAX distributes the signal, and all
processes stop at the same step.
"""

import os
import signal
import threading

import jax
from jax.experimental import multihost_utils

_MESSAGE = b"\nstopping after this step; Ctrl-C again to kill\n"


class Interrupts:
  """A context in which SIGTERM, SIGUSR1 and SIGINT only set a flag.

  In a run of several processes JAX handles SIGTERM from
  `jax.distributed.initialize` on. The other signals are forwarded as SIGTERM.
  """

  def __init__(self):
    self._received = False
    self._distributed = jax.process_count() > 1
    self._previous = {}

  def __enter__(self):
    if threading.current_thread() is not threading.main_thread():
      return self  # Python allows signal handlers in the main thread only.
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
    """Return whether to save and stop; call it once per step.

    In a run of several processes every process must call it, with the same
    `step`.
    """
    if self._distributed:
      return multihost_utils.reached_preemption_sync_point(step)
    return self._received

  def _handle(self, number, unused_frame):
    if number == signal.SIGINT:
      # The next Ctrl-C raises KeyboardInterrupt. `os.write` is safe inside a
      # signal handler, logging is not.
      signal.signal(signal.SIGINT, signal.default_int_handler)
      os.write(2, _MESSAGE)
    if self._distributed:
      os.kill(os.getpid(), signal.SIGTERM)
    self._received = True
