"""The command line and the launch scripts."""

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time

import jax
import pytest
from absl.testing import flagsaver

from foregan_jax import main

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "launch"


@pytest.mark.parametrize(
  "config, workdir",
  [
    ("configs/davis.py", "runs/davis"),
    ("configs/davis.py:smoke", "runs/davis-smoke"),
    ("davis.py:data=/d/DAVIS,variant=x", "runs/davis-data-d-DAVIS-variant-x"),
  ],
)
def test_default_workdir_differs_by_config(config, workdir):
  assert main.default_workdir(config) == workdir


@pytest.mark.parametrize("mode", ["train", "eval", "bench"])
def test_each_mode_makes_one_call(mode, monkeypatch):
  calls = []
  for name, module, function in (
    ("train", main.train, "train_and_evaluate"),
    ("eval", main.evaluate, "evaluate"),
    ("bench", main.bench, "run"),
  ):
    record = lambda *args, name=name: calls.append((name, args[-1]))
    monkeypatch.setattr(module, function, record)
  argv = ["main", f"--config={ROOT}/configs/davis.py:smoke", f"--mode={mode}"]
  argv.append("--workdir=somewhere")
  monkeypatch.setattr(sys, "argv", argv)
  with flagsaver.flagsaver():
    main.flags.FLAGS(argv)
    main.main()
  ((called, last),) = calls
  assert called == mode
  assert (last == "somewhere") == (mode != "bench")


def test_batch_per_device_sets_the_global_batch(monkeypatch):
  configs = []
  record = lambda config, workdir: configs.append(config)
  monkeypatch.setattr(main.train, "train_and_evaluate", record)
  argv = ["main", f"--config={ROOT}/configs/davis.py:smoke"]
  argv += ["--batch_per_device=3", "--learning_rate_rule=linear"]
  monkeypatch.setattr(sys, "argv", argv)
  with flagsaver.flagsaver():
    main.flags.FLAGS(argv)
    main.main()
  assert configs[0].batch_size == 3 * jax.device_count()


def test_rule_of_learning_rates_needs_a_batch_per_device(monkeypatch):
  argv = ["main", f"--config={ROOT}/configs/davis.py:smoke"]
  argv += ["--learning_rate_rule=linear"]
  monkeypatch.setattr(sys, "argv", argv)
  with flagsaver.flagsaver():
    main.flags.FLAGS(argv)
    with pytest.raises(ValueError, match="linear needs --batch_per_device=N"):
      main.main()


def test_import_uses_no_device():
  # jax.distributed.initialize must come before any use of a device.
  done = subprocess.run(
    [sys.executable, "-c", "import foregan_jax.main"],
    env={**os.environ, "JAX_PLATFORMS": "no_such_platform"},
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr


# Replaces Python in launch/any.sh and prints its arguments.
_STUB = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then exec "$REAL_PYTHON" "$@"; fi
trap 'echo "$FOREGAN_PROCESS_ID saved"; exit 0' TERM
echo "$FOREGAN_PROCESS_ID/$FOREGAN_NUM_PROCESSES $FOREGAN_COORDINATOR $*"
# Wait until the other processes have set their traps.
if [[ $FOREGAN_PROCESS_ID == "$FAILING" ]]; then sleep 2; exit 7; fi
for ((i = 0; i < ${TENTHS:-0}; i++)); do sleep 0.1; done
"""


@pytest.fixture
def any_sh(tmp_path):
  stub = tmp_path / "python"
  stub.write_text(_STUB)
  stub.chmod(stub.stat().st_mode | stat.S_IXUSR)

  def start(*args, **environ):
    known = ("FOREGAN_COORDINATOR", "FOREGAN_NUM_PROCESSES", "FIRST_PROCESS")
    clean = {k: v for k, v in os.environ.items() if k not in known}
    return subprocess.Popen(
      [LAUNCH / "any.sh", *args],
      env={
        **clean,
        "PYTHON": str(stub),
        "REAL_PYTHON": sys.executable,
        "FAILING": "none",
        **environ,
      },
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  return start


def test_any_sh_numbers_its_processes(any_sh):
  process = any_sh("2", "--config=x.py")
  out, err = process.communicate(timeout=30)
  assert process.returncode == 0, err
  first, second = (line.split() for line in sorted(out.splitlines()))
  assert (first[0], second[0]) == ("0/2", "1/2")
  assert first[1] == second[1]
  assert first[1].startswith("127.0.0.1:")
  assert first[2:] == ["-m", "foregan_jax.main", "--config=x.py"]


def test_any_sh_runs_on_several_machines(any_sh):
  process = any_sh(
    "1",
    FOREGAN_COORDINATOR="host0:9",
    FOREGAN_NUM_PROCESSES="4",
    FIRST_PROCESS="3",
  )
  out, _ = process.communicate(timeout=30)
  assert out.startswith("3/4 host0:9 ")


def test_any_sh_ends_all_when_one_fails(any_sh):
  start_time = time.monotonic()
  process = any_sh("3", FAILING="1", TENTHS="600")
  out, _ = process.communicate(timeout=30)
  assert process.returncode == 7
  assert "0 saved" in out and "2 saved" in out
  assert time.monotonic() - start_time < 30


def test_any_sh_forwards_sigterm_and_waits(any_sh):
  process = any_sh("2", TENTHS="600")
  for _ in range(2):
    process.stdout.readline()  # Both processes have set their traps.
  process.send_signal(signal.SIGTERM)
  out, err = process.communicate(timeout=30)
  assert process.returncode == 0, err
  assert "0 saved" in out and "1 saved" in out


@pytest.mark.parametrize("arguments", [[], ["0"], ["--config=x.py"]])
def test_any_sh_prints_its_usage(any_sh, arguments):
  process = any_sh(*arguments)
  _, err = process.communicate(timeout=30)
  assert process.returncode == 2
  assert "usage:" in err


@pytest.mark.parametrize(
  "script",
  sorted(p for p in LAUNCH.iterdir() if p.suffix in (".sh", ".sbatch")),
)
def test_launch_scripts_parse(script):
  subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="no Open MPI here")
def test_open_mpi_processes_find_each_other(tmp_path):
  program = (
    "import jax; from foregan_jax.runtime import distributed;"
    "distributed.initialize();"
    # One file per process, because their lines on stdout can mix.
    "import pathlib, sys;"
    "name = f'{jax.process_index()} of {jax.process_count()}';"
    "pathlib.Path(sys.argv[1], name).touch()"
  )
  done = subprocess.run(
    [
      "mpirun",
      "-np",
      "2",
      "--oversubscribe",
      sys.executable,
      "-c",
      program,
      str(tmp_path),
    ],
    env={
      **os.environ,
      "OMPI_ALLOW_RUN_AS_ROOT": "1",
      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    },
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  assert sorted(p.name for p in tmp_path.iterdir()) == ["0 of 2", "1 of 2"]
