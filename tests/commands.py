"""Run a command of the program in this process.

A process of its own takes three seconds to import JAX, so only one test per
command starts one.
"""

import contextlib
import dataclasses
import io
import sys
from collections.abc import Callable
from unittest import mock


@dataclasses.dataclass(frozen=True)
class Done:
  """What a command left: its exit status and its output."""

  returncode: int
  stdout: str
  stderr: str


def run(main: Callable[[], None], *arguments: object) -> Done:
  """Call `main` with a command line, as `python -m` does."""
  out, err = io.StringIO(), io.StringIO()
  status: object = 0
  argv = ["command", *map(str, arguments)]
  with (
    mock.patch.object(sys, "argv", argv),
    contextlib.redirect_stdout(out),
    contextlib.redirect_stderr(err),
  ):
    try:
      main()
    except SystemExit as stop:
      status = stop.code
      if isinstance(status, str):  # `sys.exit(message)`
        print(status, file=err)
        status = 1
  return Done(int(status or 0), out.getvalue(), err.getvalue())
