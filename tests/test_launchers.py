"""Real launchers: Open MPI and Slurm, on this machine.

Two processes with two devices each train a system whose state has an image
pool. Nothing but the launcher tells a process its place in the run.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import slurm

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TIMEOUT = 400  # seconds, with compilation
_CONFIG = "--config=configs/face_transfer.py:smoke"
_QUIET = (
  "--config.eval_every=0", "--config.sample_every=0",
  "--config.eval.write_pictures=False",
)  # fmt: skip

pytestmark = pytest.mark.slow


def _environ(devices: int) -> dict[str, str]:
  count = f"--xla_force_host_platform_device_count={devices}"
  return os.environ | {
    "PYTHON": sys.executable,
    # The last flag wins.
    "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {count}",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
  }


def _losses(workdir: pathlib.Path) -> dict[str, list[float]]:
  """Return the losses of all players, step by step."""
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  losses: dict[str, list[float]] = {}
  for line in map(json.loads, lines):
    for name, value in line.items():
      if name.endswith("/loss"):
        losses.setdefault(name, []).append(value)
  return losses


def _run(command, environ) -> str:
  done = subprocess.run(
    command, cwd=_ROOT, env=environ, timeout=_TIMEOUT, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout[-3000:]
  return done.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, list[float]]:
  """Return the losses of one process with four devices."""
  workdir = tmp_path_factory.mktemp("alone") / "run"
  command = [sys.executable, "-m", "foregan_jax.main", _CONFIG, *_QUIET]
  _run([*command, f"--workdir={workdir}"], _environ(4))
  return _losses(workdir)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
  """Return the environment of Slurm's commands; Slurm runs until the end."""
  if missing := slurm.missing():
    pytest.skip(f"no Slurm here: {', '.join(missing)} missing")
  with slurm.cluster(tmp_path_factory.mktemp("slurm")) as environ:
    yield environ


def _sbatch(workdir: pathlib.Path, *flags: str, wait: bool) -> list[str]:
  """Return the command that submits the launcher for two processes."""
  return [
    "sbatch", "--parsable", f"--output={workdir}.log", "--nodes=1",
    "--ntasks-per-node=2", "--gpus-per-node=2", "--cpus-per-task=1",
    *["--wait"] * wait, "launch/slurm.sbatch", _CONFIG, *_QUIET,
    f"--workdir={workdir}", *flags,
  ]  # fmt: skip


def _assert_equal(losses, alone):
  assert losses.keys() == alone.keys()
  for name, values in alone.items():
    assert len(values) >= 2
    np.testing.assert_allclose(
      losses[name], values, rtol=1e-5, atol=1e-5, err_msg=name
    )


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="no Open MPI here")
def test_open_mpi_has_the_losses_of_one_process(alone, tmp_path):
  workdir = tmp_path / "run"
  command = ["launch/mpi.sh", "-np", "2", "--oversubscribe", "--", _CONFIG]
  out = _run([*command, *_QUIET, f"--workdir={workdir}"], _environ(2))
  assert "process 0 of 2, 2 of 4 devices here" in out
  _assert_equal(_losses(workdir), alone)


def test_slurm_has_the_losses_of_one_process(alone, cluster, tmp_path):
  workdir = tmp_path / "run"
  _run(_sbatch(workdir, wait=True), cluster | _environ(2))
  log = pathlib.Path(f"{workdir}.log").read_text()
  assert "process 0 of 2, 2 of 4 devices here" in log, log[-3000:]
  _assert_equal(_losses(workdir), alone)


def test_slurm_requeues_a_run_which_resumes_and_stops(cluster, tmp_path):
  workdir = tmp_path / "run"
  environ = cluster | _environ(2)
  flags = ("--config.num_steps=100000", "--config.checkpoint_every=2")
  job = _run(_sbatch(workdir, *flags, wait=False), environ).strip()
  log = pathlib.Path(f"{workdir}.log")
  before = _wait_for_step(workdir, 4, log)
  # What Slurm does to a job that another one preempts.
  _run(["scontrol", "requeue", job], environ)
  # Otherwise Slurm begins the job again after two minutes.
  _run(["scontrol", "update", f"jobid={job}", "starttime=now"], environ)
  _wait_for_step(workdir, before + 4, log)
  assert "resumed at step" in log.read_text()
  _run(["scancel", f"--signal={int(signal.SIGTERM)}", job], environ)
  _wait_until(lambda: "run again to continue" in log.read_text(), log)
  _wait_until(lambda: not _run(["squeue", "-h", "-j", job], environ), log)
  show = _run(["scontrol", "show", "job", job], environ)
  assert "JobState=COMPLETED" in show, show


def _wait_for_step(workdir: pathlib.Path, step: int, log: pathlib.Path) -> int:
  """Wait for a checkpoint of this step or a later one; return its step."""
  folder = workdir / "checkpoints"
  newest = lambda: max(
    (int(p.name) for p in folder.glob("*") if p.name.isdecimal()), default=0
  )
  _wait_until(lambda: newest() >= step, log)
  return newest()


def _wait_until(ready, log: pathlib.Path) -> None:
  deadline = time.monotonic() + _TIMEOUT
  while not ready():
    text = log.read_text()[-3000:] if log.exists() else "no log"
    assert time.monotonic() < deadline, text
    time.sleep(0.2)
