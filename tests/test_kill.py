"""A run that is killed at any moment continues from a complete checkpoint.

Two kills by default; the variable FOREGAN_KILLS sets another number.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from foregan_jax.runtime import restore

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_KILLS = int(os.environ.get("FOREGAN_KILLS", "2"))
_TIMEOUT = 300  # seconds for a start, with compilation


def _start(workdir):
  command = [
    sys.executable, "-m", "foregan_jax.main",
    "--config=configs/davis.py:smoke,variant=gan_only", f"--workdir={workdir}",
    "--config.num_steps=100000", "--config.checkpoint_every=1",
    "--config.eval_every=0", "--config.sample_every=0",
  ]  # fmt: skip
  return subprocess.Popen(
    command, cwd=_ROOT, stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE, text=True,
  )  # fmt: skip


def _steps(workdir):
  folder = workdir / "checkpoints"
  if not folder.is_dir():
    return []
  return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal())


def _wait(process, ready):
  deadline = time.monotonic() + _TIMEOUT
  while not ready():
    assert process.poll() is None, process.stderr.read()[-3000:]
    assert time.monotonic() < deadline, "the run saved no checkpoint"
    time.sleep(0.002)


@pytest.mark.slow
def test_killed_runs_continue(tmp_path):
  workdir = tmp_path / "run"
  rng = random.Random(0)
  before = 0
  for kill in range(_KILLS):
    process = _start(workdir)
    # The run has continued after the last kill and saved a newer checkpoint.
    _wait(process, lambda low=before: max(_steps(workdir), default=0) > low)
    if kill % 2:
      time.sleep(rng.uniform(0.0, 2.0))
    else:
      folder = workdir / "checkpoints"
      _wait(process, lambda f=folder: any(f.glob("*.orbax-checkpoint-tmp*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Every folder with a number is a complete checkpoint.
    steps = _steps(workdir)
    for step in steps:
      data = restore.load_json(workdir / "checkpoints", step, "data")
      assert data == {"next_index": step}
    assert max(steps) > before
    before = max(steps)
  # SIGTERM saves and exits with status 0.
  process = _start(workdir)
  _wait(process, lambda: max(_steps(workdir)) > before)
  process.send_signal(signal.SIGTERM)
  _, log = process.communicate(timeout=_TIMEOUT)
  assert process.returncode == 0, log[-3000:]
  assert "run again to continue" in log
