"""One process trains in a folder."""

import subprocess
import sys

import pytest

from foregan_jax.runtime import locks

_HOLD = """
import pathlib, sys, time
from foregan_jax.runtime import locks
with locks.hold(pathlib.Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(100)
"""


def test_second_training_is_refused_and_a_kill_frees_the_folder(tmp_path):
  folder = tmp_path / "run"
  with subprocess.Popen(
    [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE
  ) as other:
    assert other.stdout.readline() == b"held\n"
    message = f"run is in use: process {other.pid} on .* another --workdir"
    with pytest.raises(ValueError, match=message), locks.hold(folder):
      pass
    other.kill()
  with locks.hold(folder):
    pass


def test_lock_is_free_after_an_error(tmp_path):
  with pytest.raises(KeyError), locks.hold(tmp_path):
    raise KeyError
  with locks.hold(tmp_path):
    pass
