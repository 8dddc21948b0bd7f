"""Runs that are killed at any moment continue from a complete checkpoint.

The variable FOREGAN_KILLS sets the number of kills of each kind, by default
one. With `pytest -s` a table shows what every kill has cost.
"""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from foregan_jax.runtime import restore

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_KILLS = int(os.environ.get("FOREGAN_KILLS", "1"))
_TIMEOUT = 400  # seconds for a start, with compilation
_EVERY = 10  # steps between checkpoints
_LONGEST = 4.0  # seconds of training before a kill
# The flagship's layers, and a system whose state has an image pool.
_CONFIGS = ("davis.py:smoke,variant=gan_only", "face_transfer.py:smoke")


class _Job:
  """Two processes of one run, under launch/any.sh."""

  def __init__(self, config: str, workdir: pathlib.Path, every: int):
    self._path = workdir.with_suffix(".log")
    self._path.write_text("")
    command = [
      "launch/any.sh", "2", f"--config=configs/{config}",
      f"--workdir={workdir}", "--config.num_steps=1000000",
      f"--config.checkpoint_every={every}", "--config.eval_every=0",
      "--config.sample_every=0", "--config.log_every=1",
    ]  # fmt: skip
    flags = os.environ["XLA_FLAGS"]
    environ = os.environ | {
      "PYTHON": sys.executable,
      "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
    }
    with self._path.open("w") as log:
      self._script = subprocess.Popen(
        command, cwd=_ROOT, env=environ, stdout=log, stderr=log,
        start_new_session=True,
      )  # fmt: skip

  @property
  def log(self) -> str:
    return self._path.read_text()

  @property
  def step(self) -> int:
    """The last step that the log shows."""
    return max(map(int, re.findall(r"step (\d+)/", self.log)), default=0)

  @property
  def resumed(self) -> int:
    """The step at which this job began."""
    return max(map(int, re.findall(r"resumed at step (\d+)", self.log)),
      default=0)  # fmt: skip

  def wait_until(self, ready) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not ready():
      assert self._script.poll() is None, self.log[-3000:]
      assert time.monotonic() < deadline, self.log[-3000:]
      time.sleep(0.01)

  def kill(self, process: int, number: int) -> tuple[int, float]:
    """Send a signal to one process.

    Returns:
      The exit status of the script, and the seconds until it ended.
    """
    began = time.monotonic()
    pid = self._script.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    os.kill(sorted(map(int, children.split()))[process], number)
    status = self._script.wait(timeout=_TIMEOUT)
    return status, time.monotonic() - began

  def end(self) -> None:
    """Send SIGTERM to the script."""
    self._script.terminate()
    assert self._script.wait(timeout=_TIMEOUT) == 0, self.log[-3000:]

  def clear(self) -> None:
    """Kill what a failed test has left."""
    if self._script.poll() is None:
      self._script.terminate()
      try:
        self._script.wait(timeout=20)
      except subprocess.TimeoutExpired:
        os.killpg(self._script.pid, signal.SIGKILL)


@pytest.fixture
def start():
  """Return a function that starts jobs; none of them outlives the test."""
  jobs = []

  def start_one(*args) -> _Job:
    jobs.append(_Job(*args))
    return jobs[-1]

  yield start_one
  for job in jobs:
    job.clear()


def _steps(workdir):
  folder = workdir / "checkpoints"
  if not folder.is_dir():
    return []
  return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal())


def _arrays(workdir, step):
  """Return all arrays of a checkpoint, by item and path."""
  folder = workdir / "checkpoints" / str(step)
  arrays = {}
  for item in sorted(p.name for p in folder.iterdir() if p.is_dir()):
    if (folder / item / "_METADATA").exists():
      tree = ocp.PyTreeCheckpointHandler().metadata(folder / item).tree
      as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
      with ocp.PyTreeCheckpointer() as reader:
        arrays[item] = reader.restore(
          folder / item,
          restore_args=jax.tree.map(lambda _, a=as_numpy: a, tree),
        )
  return arrays


@pytest.mark.slow
@pytest.mark.parametrize("config", _CONFIGS)
def test_killed_jobs_continue(config, tmp_path, start):
  workdir = tmp_path / "run"
  rng = random.Random(0)
  kinds = [signal.SIGTERM, signal.SIGKILL] * _KILLS
  print(f"\n{config}: signal, process, step, checkpoint, resumed, lost, s")
  row = None
  for kind in (*kinds, None):
    job = start(config, workdir, _EVERY)
    job.wait_until(lambda j=job: j.step > j.resumed)
    if row:
      number, process, step, newest, seconds = row
      lost = step - job.resumed
      print(
        number.name, process, step, newest, job.resumed, lost, f"{seconds:.0f}"
      )
      assert job.resumed == newest
      # A save that continues in the background may be lost as well.
      assert lost <= (0 if number == signal.SIGTERM else 2 * _EVERY)
    if kind is None:
      break
    time.sleep(rng.uniform(0.0, _LONGEST))
    process = rng.randrange(2)
    status, seconds = job.kill(process, kind)
    assert (status == 0) == (kind == signal.SIGTERM), job.log[-3000:]
    # Every folder with a number is a complete checkpoint.
    for step in _steps(workdir):
      data = restore.load_json(workdir / "checkpoints", step, "data")
      assert data == {"next_index": step}
    row = kind, process, job.step, max(_steps(workdir), default=0), seconds
  job.end()
  last = max(_steps(workdir))

  # The same steps without a kill.
  whole = tmp_path / "whole"
  job = start(config, whole, last)
  job.wait_until(lambda: last in _steps(whole))
  job.end()
  killed, uninterrupted = (_arrays(place, last) for place in (workdir, whole))
  assert killed.keys() == uninterrupted.keys() and len(killed) > 1
  _assert_same(killed, uninterrupted)
  lines = [json.loads(x) for x in (workdir / "metrics.jsonl").open()]
  steps = [line["step"] for line in lines if "hparams" not in line]
  assert steps == sorted(set(steps))


def _assert_same(one, other, path=""):
  """Compare trees bit by bit."""
  if isinstance(one, dict):
    assert one.keys() == other.keys(), path
    for name in one:
      _assert_same(one[name], other[name], f"{path}/{name}")
  elif isinstance(one, list | tuple):
    assert len(one) == len(other), path
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
      _assert_same(a, b, f"{path}/{i}")
  elif one is not None or other is not None:
    np.testing.assert_array_equal(one, other, err_msg=path)
