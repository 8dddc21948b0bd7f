"""Run a command line program and turn user errors into short messages.

A user error (a misspelt key, a wrong type, a missing or broken file) prints one
sentence and ends the program with status 2. Every other error keeps its
traceback. With `--debug`, all errors keep it.
"""

import argparse
import errno
import glob
import io
import logging as python_logging
import os
import pathlib
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

import jax
import ml_collections
from absl import app, flags, logging

from foregan_jax.runtime import pending, settings

USER_ERROR = 2
# The convention of shells: 128 + SIGINT, 128 + SIGTERM.
_INTERRUPTED = 130
_TERMINATED = 143
_STOPPED = "stopped by SIGTERM; run the same command again to continue"
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# Libraries that log so many INFO lines that ours would be hard to find.
_VERBOSE_LIBRARIES = ("orbax", "jax", "grain", "etils", "tensorflow_datasets")
# Libraries wrap this text of the system in errors of many kinds.
_DISK_FULL = os.strerror(errno.ENOSPC)
# Orbax logs this warning for every checkpoint without an evaluation.
_HIDDEN_WARNING = "Requested `tracked_metric`; did not provide metrics."
# Part of the parser's error for a value of the wrong type -> expected value.
_WRONG_TYPES = {
  "invalid literal for int()": "a whole number",
  "could not convert string to float": "a number",
  "Non-boolean argument": "true or false",
  "as a ConfigDict": "a field below it, as in --config.group.field=value",
}

_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of every error.")


def run(main: Callable[[], None]) -> None:
  """Parse the flags, call `main`, and explain user errors.

  Args:
    main: the program; it reads its flags from absl.
  """
  app.run(lambda unused_argv: _run_guarded(main), flags_parser=_parse)


def run_parser(
  parser: argparse.ArgumentParser,
  main: Callable[[argparse.Namespace], None],
) -> None:
  """Parse the command line with `parser`, call `main`, explain user errors.

  Args:
    parser: a parser whose every subcommand has an option `--debug`.
    main: the program; it receives the parsed arguments.
  """

  def parse(argv: Sequence[str]) -> argparse.Namespace:
    args = parser.parse_args(argv[1:])
    flags.FLAGS([argv[0], *(["--debug"] if args.debug else [])])
    return args

  app.run(lambda args: _run_guarded(lambda: main(args)), flags_parser=parse)


def _run_guarded(main: Callable[[], None]) -> None:
  _set_up_logging()
  # By default JAX removes its own frames from tracebacks. Then its errors would
  # look as if this package had raised them (see `is_user_error`).
  jax.config.update("jax_traceback_filtering", "off")
  stderr = sys.stderr
  sigterm = _Sigterm()
  try:
    with sigterm:
      main()
  except (Exception, KeyboardInterrupt) as error:
    if sigterm.received:  # `error` may be another one that it has caused
      _exit(_STOPPED, _TERMINATED, stderr)
    if isinstance(error, KeyboardInterrupt):
      _exit("interrupted", _INTERRUPTED)
    if _DEBUG.value or not is_user_error(error):
      _exit_if_distributed()
      raise
    _exit(f"error: {_describe(error)}", USER_ERROR)


def _describe(error: Exception) -> str:
  if isinstance(error, (FileExistsError, NotADirectoryError)):
    return f"{error} (a file lies where a folder is needed)"
  return str(error)


class _Sigterm:
  """A context in which SIGTERM interrupts as Ctrl-C does; a second one kills.

  The training loop, and JAX in a run of several processes, replace the handler.

  Attributes:
    received: whether SIGTERM was received.
  """

  def __init__(self):
    self.received = False
    self._previous = None

  def __enter__(self):
    # Python allows signal handlers in the main thread only.
    if threading.current_thread() is threading.main_thread():
      self._previous = signal.signal(signal.SIGTERM, self._interrupt)
    return self

  def __exit__(self, *unused_error):
    if self._previous is not None:
      signal.signal(signal.SIGTERM, self._previous)

  def _interrupt(self, number, unused_frame):
    self.received = True
    signal.signal(number, signal.SIG_DFL)
    # Threads that read a checkpoint would print errors about their event loop,
    # which ends with the main thread.
    sys.stderr = io.StringIO()
    raise KeyboardInterrupt


def _set_up_logging() -> None:
  # Names of files may have bytes or letters that the terminal does not know.
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors="backslashreplace")
  logging.set_verbosity(logging.INFO)
  handler = logging.get_absl_handler()
  handler.addFilter(_is_shown)
  if not _DEBUG.value:
    handler.setFormatter(
      python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )


def _exit(message: str, status: int, stream=None) -> None:
  stream = stream or sys.stderr
  print(message, file=stream)
  if jax.distributed.is_initialized():
    # A normal exit would wait for the other processes, which wait for this one.
    stream.flush()
    os._exit(status)
  sys.exit(status)


def _exit_if_distributed() -> None:
  if jax.distributed.is_initialized():
    traceback.print_exc()
    _exit("this process failed; the launcher should end the others", 1)


def _is_shown(record: python_logging.LogRecord) -> bool:
  if record.msg == _HIDDEN_WARNING:
    return False
  parts = pathlib.PurePath(record.pathname).parts
  verbose = any(name in parts for name in _VERBOSE_LIBRARIES)
  return record.levelno >= python_logging.WARNING or not verbose


def is_user_error(error: Exception) -> bool:
  """Return whether the user caused the error, not a bug of the program.

  User errors are a ValueError that this package raises, an OSError about a
  file, a full disk, and a loss that is not finite. A ValueError from inside JAX
  is a bug and keeps its traceback.
  """
  if isinstance(error, pending.NonFiniteError) or _DISK_FULL in str(error):
    return True
  if isinstance(error, OSError):
    return error.filename is not None
  if not isinstance(error, ValueError):
    return False
  *_, (frame, _) = traceback.walk_tb(error.__traceback__)
  path = pathlib.Path(frame.f_code.co_filename).resolve()
  return _PACKAGE in path.parents


def _parse(argv: Sequence[str]) -> list[str]:
  if "--debug" in argv:
    return _parse_flags(argv)
  try:
    return _parse_flags(argv)
  except (flags.Error, OSError, SyntaxError) as error:
    print(f"error: {_explain(error, argv)}", file=sys.stderr)
    sys.exit(USER_ERROR)
  except Exception as error:
    message = _explain_field(error, argv) or _explain_config(error, argv)
    if message is None:
      raise
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  path = _config_path(argv)
  # Reading a pipe or a device may never end.
  if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
    raise flags.Error(f"config file {path} is not a file")
  rest = flags.FLAGS([_find_config(argument) for argument in argv])
  if len(rest) > 1:
    raise flags.Error(f"unexpected argument {rest[1]!r}")
  flag = flags.FLAGS["config"] if "config" in flags.FLAGS else None
  if flag is not None and flag.flag_type() != "string":  # as in `ablate`
    # An error in the config file is only raised when the flag's value is used.
    config = flag.value
    getattr(config, "is_locked", None)
    if config is not None and not isinstance(config, ml_collections.ConfigDict):
      raise flags.Error(
        f"config file {_config_path(argv)}: get_config returned "
        f"{type(config).__name__}, but must return a ConfigDict"
      )
  return rest


def _find_config(argument: str) -> str:
  """Resolve `--config=configs/x.py` from any working directory.

  Look up a path in the checkout if it does not exist in the working directory.
  """
  match = re.fullmatch(r"(--?config=)([^:]+)(:.*)?", argument, re.S)
  if match is None or os.path.exists(match[2]):
    return argument
  path = _PACKAGE.parent / match[2]
  return f"{match[1]}{path}{match[3] or ''}" if path.is_file() else argument


def _explain(error: Exception, argv: Sequence[str]) -> str:
  """Return one sentence for an error of absl or ml_collections."""
  if isinstance(error, SyntaxError):
    if error.filename is None:  # a null byte
      return f"config file {_config_path(argv)}: {error.msg}."
    return f"{error.filename}, line {error.lineno}: {error.msg}."
  if isinstance(error, OSError):
    return _explain_file(error, argv)
  if "Error whilst parsing config file" in str(error):
    return str(_root_cause(error))
  if isinstance(error, flags.IllegalFlagValueError):
    given = re.match(r"flag (--.*?): ", str(error))
    for part, expected in _WRONG_TYPES.items():
      if given and part in str(error):
        return f"{given[1]}: the value must be {expected}."
  return str(error)


def _root_cause(error: BaseException) -> BaseException:
  while error.__context__ is not None:
    error = error.__context__
  return error


def _explain_field(error: Exception, argv: Sequence[str]) -> str | None:
  """Return a sentence about a flag for an unknown field; None for a bug."""
  if not isinstance(error, (AttributeError, KeyError)):
    return None
  # Of an unknown group, the name is the first line, in quotes.
  text = str((_root_cause(error).args or ("",))[0])
  name = text.partition("\n")[0].strip("'")
  pattern = rf"--?(no)?config\.([\w.]+\.)?{re.escape(name)}(?=$|[=.])"
  given = next(filter(None, (re.match(pattern, a) for a in argv)), None)
  if given is None:
    return None
  close = re.search(r'Did you mean "(.+?)"', str(error))
  hint = f" Did you mean {close[1]!r}?" if close else ""
  return f"{given[0]}: the config has no field {name!r}.{hint}"


def _explain_config(error: Exception, argv: Sequence[str]) -> str | None:
  """Return a sentence about an error that the config file raised."""
  path = _config_path(argv)
  if "has no attribute 'get_config'" in str(error):
    return f"config file {path} has no function get_config"
  frames = traceback.extract_tb(error.__traceback__)
  lines = [f.lineno for f in frames if os.path.realpath(f.filename) == path]
  if not lines:
    return None
  return f"{path}, line {lines[-1]}: {type(error).__name__}: {error}"


def _config_path(argv: Sequence[str]) -> str:
  """Return the full path of the config file that the flags name."""
  given = [_find_config(a) for a in argv if re.match(r"--?config(=|$)", a)]
  path = (given[0].partition("=")[2] if given else "").split(":")[0]
  return os.path.realpath(path)


def _explain_file(error, argv) -> str:
  given = [a for a in argv if re.match(r"--?config(=|$)", a)]
  path = (given[0].partition("=")[2] if given else "").split(":")[0]
  if not path or os.path.exists(path):
    return str(error).strip().splitlines()[-1]
  files = glob.glob(os.path.join(os.path.dirname(path), "*.py"))
  stems = {pathlib.PurePath(p).stem: p for p in sorted(files)}
  close = settings.closest(pathlib.PurePath(path).stem, list(stems))
  hint = f" Did you mean {stems[close]!r}?" if close else ""
  return f"config file {path} does not exist in {os.getcwd()}.{hint}"
