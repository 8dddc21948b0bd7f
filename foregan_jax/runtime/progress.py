"""Show the progress of a run: a bar on a terminal, log lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping

import jax
import rich.console
import rich.live
import rich.progress
import rich.text
from absl import logging

_REFRESHES_PER_SECOND = 4


class Progress:
  """A display of the steps, the throughput and the latest scalars of a run.

  The rate and the remaining time exclude the time spent inside `paused`
  (compilation, evaluation, checkpoints).
  """

  def __init__(
    self,
    *,
    start: int,
    end: int,
    items_per_step: int,
    terminal: bool | None = None,
  ):
    """Start the clock.

    Args:
      start: steps completed before this start; above 0 for a resumed run.
      end: steps of the whole run.
      items_per_step: global batch size.
      terminal: whether to draw a bar; None: if standard output is a terminal.
    """
    self._start = self._step = start
    self._end = end
    self._items_per_step = items_per_step
    self._started = time.monotonic()
    self._paused_seconds = 0.0
    first = jax.process_index() == 0
    self._terminal = sys.stdout.isatty() if terminal is None else terminal
    self._terminal = self._terminal and first
    self._bar, self._task = _make_bar(start, end)
    self._scalars = rich.text.Text(style="dim")
    self._live: rich.live.Live | None = None
    self._streams = contextlib.ExitStack()

  def __enter__(self):
    self._show()
    return self

  def __exit__(self, *unused_error):
    self._hide(keep=True)

  def update(
    self, step: int, scalars: Mapping[str, float] | None = None
  ) -> None:
    """Set the number of completed steps and optionally the scalars shown.

    Args:
      step: completed steps.
      scalars: values to show. Without a terminal, each call that has them logs
        one line.
    """
    self._step = step
    left = self.seconds_left
    self._bar.update(
      self._task, completed=step, rate=self.items_per_second, left=_clock(left)
    )
    if scalars is None:
      return
    text = "  ".join(f"{name} {value:.4g}" for name, value in scalars.items())
    self._scalars.plain = text
    if not self._terminal and jax.process_index() == 0:
      logging.info(
        "step %d/%d  %.1f items/s  %s left  %s",
        step,
        self._end,
        self.items_per_second,
        _clock(left),
        text,
      )

  @contextlib.contextmanager
  def paused(self, activity: str) -> Iterator[None]:
    """Stop the clock and the bar during another activity than training.

    Args:
      activity: its name for the log ("compiling critic", "evaluating").
    """
    started = time.monotonic()
    self._hide(keep=False)
    if jax.process_index() == 0:
      logging.info("step %d: %s", self._step, activity)
    try:
      yield
    finally:
      seconds = time.monotonic() - started
      self._paused_seconds += seconds
      logging.debug("%s took %.1f s", activity, seconds)
      self._show()

  @property
  def items_per_second(self) -> float:
    """Items of the global batch per second since the start, without pauses."""
    items = (self._step - self._start) * self._items_per_step
    return items / max(self._active_seconds, sys.float_info.epsilon)

  @property
  def seconds_left(self) -> float | None:
    """Seconds to the end at the average rate; None before the first step."""
    done = self._step - self._start
    if not done:
      return None
    return self._active_seconds / done * (self._end - self._step)

  @property
  def _active_seconds(self) -> float:
    return time.monotonic() - self._started - self._paused_seconds

  def _show(self) -> None:
    if not self._terminal or self._live is not None:
      return
    group = rich.console.Group(self._bar, self._scalars)
    self._live = rich.live.Live(group, refresh_per_second=_REFRESHES_PER_SECOND)
    self._live.start()
    # absl keeps the stream that it found at its start. With rich's replacement
    # of stderr, log lines appear above the bar instead of inside it.
    handler = logging.get_absl_handler().python_handler
    self._streams.callback(handler.setStream, handler.stream)
    handler.setStream(sys.stderr)

  def _hide(self, *, keep: bool) -> None:
    if self._live is None:
      return
    self._streams.close()
    self._live.transient = not keep
    self._live.stop()
    self._live = None


def _make_bar(start: int, end: int):
  bar = rich.progress.Progress(
    rich.progress.MofNCompleteColumn(),
    rich.progress.BarColumn(),
    rich.progress.TextColumn("{task.fields[rate]:.1f} items/s"),
    rich.progress.TextColumn("{task.fields[left]} left"),
    auto_refresh=False,
  )
  task = bar.add_task("", total=end, completed=start, rate=0.0, left="--:--")
  return bar, task


def _clock(seconds: float | None) -> str:
  if seconds is None:
    return "--:--"
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return (
    f"{hours}:{minutes:02}:{seconds:02}"
    if hours
    else (f"{minutes:02}:{seconds:02}")
  )
