"""What every command line of the package does: parse, guard, explain.

A mistake of the user (a misspelt key, a wrong type, a missing or broken file)
is printed as one sentence and ends the program with status 2. Anything else
keeps its traceback, and so does everything under `--debug`.
"""

import glob
import logging as python_logging
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence

import jax
from absl import app, flags, logging

from foregan_jax.runtime import settings

USER_ERROR = 2
# 128 + SIGINT, as shells count.
_INTERRUPTED = 130
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# Libraries whose INFO lines would drown ours.
_CHATTY = ("orbax", "jax", "grain", "etils", "tensorflow_datasets")
# Orbax says so at every checkpoint between two evaluations.
_NOISE = "Requested `tracked_metric`; did not provide metrics."
# What a flag's parser says about a value of the wrong type, and what it means.
_WRONG_TYPES = {
  "invalid literal for int()": "a whole number",
  "could not convert string to float": "a number",
  "Non-boolean argument": "true or false",
  "as a ConfigDict": "a field below it, as in --config.group.field=value",
}

_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of every error.")


def run(main: Callable[[], None]) -> None:
  """Parse the flags, call `main`, and explain what the user did wrong.

  Args:
    main: the program; reads its flags from absl.
  """
  app.run(lambda unused_argv: _guarded(main), flags_parser=_parse)


def _guarded(main: Callable[[], None]) -> None:
  _set_up_logging()
  # JAX would cut its own frames out of tracebacks, and its errors would look
  # as if this package had raised them.
  jax.config.update("jax_traceback_filtering", "off")
  try:
    main()
  except KeyboardInterrupt:
    _leave("interrupted", _INTERRUPTED)
  except (ValueError, OSError) as error:
    if _DEBUG.value or not _is_users(error):
      _leave_if_one_of_many()
      raise
    _leave(f"error: {error}", USER_ERROR)
  except Exception:
    _leave_if_one_of_many()
    raise


def _set_up_logging() -> None:
  logging.set_verbosity(logging.INFO)
  handler = logging.get_absl_handler()
  handler.addFilter(_is_worth_showing)
  if not _DEBUG.value:
    handler.setFormatter(
      python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )


def _leave(message: str, status: int) -> None:
  print(message, file=sys.stderr)
  if jax.distributed.is_initialized():
    # A normal exit would wait for the other processes, and they for this one.
    sys.stderr.flush()
    os._exit(status)
  sys.exit(status)


def _leave_if_one_of_many() -> None:
  if jax.distributed.is_initialized():
    traceback.print_exc()
    _leave("this process failed; the launcher should end the others", 1)


def _is_worth_showing(record: python_logging.LogRecord) -> bool:
  if record.msg == _NOISE:
    return False
  parts = pathlib.PurePath(record.pathname).parts
  chatty = any(name in parts for name in _CHATTY)
  return record.levelno >= python_logging.WARNING or not chatty


def _is_users(error: Exception) -> bool:
  """Tell a mistake of the user from one of ours.

  The sentences meant for users are raised in this package, or by the system
  about a file. A ValueError from inside JAX is a bug: it keeps its traceback.
  """
  if isinstance(error, OSError):
    return error.filename is not None
  *_, (frame, _) = traceback.walk_tb(error.__traceback__)
  path = pathlib.Path(frame.f_code.co_filename).resolve()
  return _PACKAGE in path.parents


def _parse(argv: Sequence[str]) -> list[str]:
  if "--debug" in argv:
    return _parse_flags(argv)
  try:
    return _parse_flags(argv)
  except AttributeError as error:
    sentence = _explain_field(error, argv)
    if sentence is None:
      raise
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(USER_ERROR)
  except (flags.Error, OSError, SyntaxError) as error:
    print(f"error: {_explain(error, argv)}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  rest = flags.FLAGS(argv)
  if len(rest) > 1:
    raise flags.Error(f"unexpected argument {rest[1]!r}")
  if "config" in flags.FLAGS:
    # A file that could not be loaded is only reported when it is used.
    getattr(flags.FLAGS["config"].value, "is_locked", None)
  return rest


def _explain(error: Exception, argv: Sequence[str]) -> str:
  """Turn an error of absl or ml_collections into one sentence."""
  if isinstance(error, SyntaxError):
    return f"{error.filename}, line {error.lineno}: {error.msg}."
  if isinstance(error, OSError):
    return _explain_file(error, argv)
  if "Error whilst parsing config file" in str(error):
    return str(_origin(error))
  if isinstance(error, flags.IllegalFlagValueError):
    given = re.match(r"flag (--.*?): ", str(error))
    for part, wanted in _WRONG_TYPES.items():
      if given and part in str(error):
        return f"{given[1]}: the value must be {wanted}."
  return str(error)


def _origin(error: BaseException) -> BaseException:
  while error.__context__ is not None:
    error = error.__context__
  return error


def _explain_field(error: AttributeError, argv: Sequence[str]) -> str | None:
  """Name the flag that sets an unknown field; None if it is a bug instead."""
  name = str((_origin(error).args or ("",))[0])
  pattern = rf"--?(no)?config\.([\w.]+\.)?{re.escape(name)}(?=$|[=.])"
  given = next(filter(None, (re.match(pattern, a) for a in argv)), None)
  if given is None:
    return None
  close = re.search(r'Did you mean "(.+?)"', str(error))
  hint = f" Did you mean {close[1]!r}?" if close else ""
  return f"{given[0]}: the config has no field {name!r}.{hint}"


def _explain_file(error, argv) -> str:
  given = [a for a in argv if re.match(r"--?config(=|$)", a)]
  path = (given[0].partition("=")[2] if given else "").split(":")[0]
  if not path or os.path.exists(path):
    return str(error).strip().splitlines()[-1]
  there = glob.glob(os.path.join(os.path.dirname(path), "*.py"))
  stems = {pathlib.PurePath(p).stem: p for p in sorted(there)}
  close = settings.closest(pathlib.PurePath(path).stem, list(stems))
  hint = f" Did you mean {stems[close]!r}?" if close else ""
  return f"config file {path} does not exist in {os.getcwd()}.{hint}"
