"""Tests of the command line: one sentence for user errors, not for bugs."""

import errno
import os
import pathlib
import signal
import sys
import time

import jax
import jax.numpy as jnp
import pytest
from absl import flags
from absl.testing import flagsaver

# Defines the flag --config, which these tests set.
from foregan_jax import main
from foregan_jax.runtime import cli, pending, restore

CONFIG = """
import ml_collections
from foregan_jax.runtime import settings

def get_config(arg=None):
  settings.parse_arg(arg, smoke=False)
  return ml_collections.ConfigDict(
    {"batch_size": 4, "rate": 0.1, "flag": False, "net": {"width": 8}}
  )
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
  """Return a function that runs a program with flags.

  The function returns the exit status and the text on standard error.
  """
  monkeypatch.chdir(tmp_path)
  pathlib.Path("good.py").write_text(CONFIG)
  pathlib.Path("broken.py").write_text("def get_config(:\n")
  pathlib.Path("null.py").write_text("\0")
  pathlib.Path("bug.py").write_text("def get_config():\n  return {}.wrong\n")
  pathlib.Path("empty.py").write_text("")
  pathlib.Path("five.py").write_text("def get_config():\n  return 5\n")
  pathlib.Path("lost.py").write_text("import nothing_of_this_name\n")

  def run(*argv, program=lambda: None):
    # The module that the config file of another test left.
    monkeypatch.delitem(sys.modules, "config_config", raising=False)
    monkeypatch.setattr(sys, "argv", ["program", *argv])
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as exit:
      cli.run(program)
    return exit.value.code, capsys.readouterr().err

  return run


def test_good_flags_reach_the_program(command):
  values = []
  program = lambda: values.append(main._CONFIG.value.batch_size)
  argv = ["--config=good.py:smoke", "--config.batch_size=8"]
  assert command(*argv, program=program) == (None, "")
  assert values == [8]


@pytest.mark.parametrize(
  "argv, message",
  [
    (
      ["--config=good.py", "--config.batch_sise=3"],
      "--config.batch_sise: the config has no field 'batch_sise'. "
      "Did you mean 'batch_size'?",
    ),
    (
      ["--config=good.py", "--config.net.widht=3"],
      "--config.net.widht: the config has no field 'widht'. "
      "Did you mean 'width'?",
    ),
    (
      ["--config=good.py", "--config.batch_size=1.5"],
      "--config.batch_size=1.5: the value must be a whole number.",
    ),
    (
      ["--config=good.py", "--config.rate=fast"],
      "--config.rate=fast: the value must be a number.",
    ),
    (
      ["--config=good.py", "--config.flag=maybe"],
      "--config.flag=maybe: the value must be true or false.",
    ),
    (["--config=good.py:smok"], "Did you mean 'smoke'?"),
    (["--config=goof.py"], "config file goof.py does not exist in "),
    (["--config=goof.py"], "Did you mean 'good.py'?"),
    (["--config=broken.py"], "broken.py, line 1: invalid syntax."),
    (["--config=null.py"], "null.py: source code string cannot contain null"),
    (["--config=bug.py"], "bug.py, line 2: AttributeError: 'dict' object has"),
    (["--config=empty.py"], "empty.py has no function get_config"),
    (["--config=five.py"], "get_config returned int, but must return a Conf"),
    (["--config=lost.py"], "lost.py, line 1: ModuleNotFoundError: No module"),
    (
      ["--config=good.py", "--config.nte.width=3"],
      "--config.nte: the config has no field",
    ),
    (["--confg=good.py"], "Did you mean: config"),
    (["--config=good.py", "extra"], "unexpected argument 'extra'"),
    (["--config=good.py", "--mode=evaluate"], "--mode=evaluate"),
    (
      ["--config.rate=1", "--config=good.py"],
      "before a value for --config was specified",
    ),
  ],
)
def test_user_error_in_flags_is_one_sentence(command, argv, message):
  status, err = command(*argv)
  assert status == cli.USER_ERROR
  assert err.startswith("error: ") and message in err
  assert len(err.splitlines()) == 1
  assert "Traceback" not in err


def test_text_flag_named_config_is_not_a_config_file(monkeypatch):
  """`foregan_jax.ablate` has such a flag."""
  values = flags.FlagValues()
  flags.DEFINE_string("config", None, "", flag_values=values)
  monkeypatch.setattr(cli.flags, "FLAGS", values)
  assert cli._parse(["program", "--config=five.py"]) == ["program"]
  assert values.config == "five.py"


def test_bug_in_a_config_keeps_its_traceback_with_debug(command):
  with pytest.raises(AttributeError, match="wrong"):
    command("--config=bug.py", "--debug")


def test_value_error_of_the_package_is_one_sentence(command, tmp_path):
  program = lambda: restore.pick_steps(tmp_path, "best", best=None)
  status, err = command("--config=good.py", program=program)
  assert status == cli.USER_ERROR
  assert err == f"error: there is no checkpoint in {tmp_path}.\n"


def test_missing_file_is_one_sentence(command):
  status, err = command(
    "--config=good.py", program=lambda: pathlib.Path("absent").read_text()
  )
  assert status == cli.USER_ERROR
  assert "No such file or directory: 'absent'" in err


def test_debug_keeps_every_traceback(command, tmp_path):
  program = lambda: restore.pick_steps(tmp_path, "best", best=None)
  with pytest.raises(ValueError, match="no checkpoint"):
    command("--config=good.py", "--debug", program=program)


_UNEVEN_SCAN = """
def uneven():
  xs = jnp.zeros(3), jnp.zeros(4)
  jax.lax.scan(lambda carry, x: (carry, x), 0, xs)
"""


def test_value_error_of_jax_keeps_its_traceback(command):
  # By default JAX removes its own frames; the last frame would be ours.
  names = {"jax": jax, "jnp": jnp}
  exec(compile(_UNEVEN_SCAN, cli.__file__, "exec"), names)
  with pytest.raises(ValueError, match="leading axis sizes"):
    command("--config=good.py", program=names["uneven"])


def test_interrupted_run_has_a_nonzero_status(command):
  def interrupted():
    raise KeyboardInterrupt

  status, err = command("--config=good.py", program=interrupted)
  assert status != 0
  assert err == "interrupted\n"


@pytest.mark.parametrize(
  "error",
  [
    pending.NonFiniteError("step 5: 'rec' of player generator is nan"),
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    RuntimeError("INTERNAL: write failed: No space left on device"),
  ],
)
def test_full_disk_and_diverged_training_are_one_sentence(command, error):
  def program():
    raise error

  status, err = command("--config=good.py", program=program)
  assert status == cli.USER_ERROR
  assert err.startswith("error: ") and len(err.splitlines()) == 1
  assert str(error) in err


@pytest.mark.parametrize(
  "write", [lambda p: p.mkdir(), lambda p: (p / "x").mkdir(parents=True)]
)
def test_output_that_is_a_file_is_one_sentence(command, tmp_path, write):
  (tmp_path / "out").write_text("mine")
  status, err = command(
    "--config=good.py", program=lambda: write(tmp_path / "out")
  )
  assert status == cli.USER_ERROR
  assert err.startswith("error: [Errno ") and f"{tmp_path}/out" in err
  assert err.endswith("(a file lies where a folder is needed)\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("loop")])
def test_sigterm_is_one_sentence_and_handlers_are_restored(command, error):
  before = signal.getsignal(signal.SIGTERM)

  def program():
    try:
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(10)
    except KeyboardInterrupt:
      print("errors of threads", file=sys.stderr)
      raise error from None

  status, err = command("--config=good.py", program=program)
  assert status == 128 + signal.SIGTERM
  assert err == "stopped by SIGTERM; run the same command again to continue\n"
  assert signal.getsignal(signal.SIGTERM) is before


def test_config_file_that_is_a_pipe_is_one_sentence(command):
  os.mkfifo("pipe.py")
  status, err = command("--config=pipe.py")
  assert status == cli.USER_ERROR
  assert (
    err.startswith("error: config file ") and "pipe.py is not a file" in err
  )
