"""What every test shares: devices, strict JAX settings, data, runs."""

import fcntl
import gc
import importlib
import os
import pathlib
from collections.abc import Callable

# Before JAX is imported anywhere: tests run on CPU, split into four devices.
os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compile much and compute little: half the compile time without LLVM's
# optimisations, and 10 % less if a program stays one module. XLA aborts at a
# flag that it does not have: take only those that all supported versions have.
os.environ["XLA_FLAGS"] = " ".join(
  [
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
  ]
)

# What one test has compiled the next one finds, in other processes too.
os.environ.setdefault(
  "JAX_COMPILATION_CACHE_DIR",
  str(pathlib.Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"),
)
# JAX's default, 1 s, leaves half of the programs out.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import jax
import pytest

# Traced programs are millions of objects, which Python's garbage collector
# would visit again and again.
gc.set_threshold(100_000, 50, 100)

_SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
_NO_SHARED = "no real data in ../shared/data"
# Files that take longest. They are first, because a worker that begins one of
# them last lets the other workers wait. Files that need the programs of
# test_smoke.py find them compiled if they come later.
_LONG = (
  "test_smoke.py", "test_devices.py", "test_repo.py", "test_propagator.py",
  "test_foregan_trunk.py", "test_train.py",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def _strict_jax():
  """Refuse silent rank promotion in our code."""
  jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key():
  """A fixed PRNG key."""
  return jax.random.key(0)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Real data beside the checkout; tests that need it skip without it."""
  if not _SHARED.is_dir():
    pytest.skip(_NO_SHARED)
  return _SHARED


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> Callable[[str], pathlib.Path]:
  """Return a function from a config's name to the workdir of its `smoke` run.

  A run is trained once for all tests and all worker processes: a test that
  writes into it works on a copy.
  """
  root = tmp_path_factory.getbasetemp()
  if "PYTEST_XDIST_WORKER" in os.environ:
    root = root.parent  # shared by the workers

  def finished_run(name: str) -> pathlib.Path:
    # Not at the top: jaxtyping checks the types of what is imported later only.
    from foregan_jax import train

    workdir, finished = root / f"smoke-{name}", root / f"smoke-{name}.finished"
    with open(root / f"smoke-{name}.lock", "w") as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      if not finished.exists():
        config = importlib.import_module(f"configs.{name}").get_config("smoke")
        train.train_and_evaluate(config, workdir)
        finished.touch()
    return workdir

  return finished_run


def pytest_collection_modifyitems(items):
  """Put the longest files first."""
  order = {name: place for place, name in enumerate(_LONG)}
  items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_terminal_summary(terminalreporter):
  """Report how many tests were skipped because real data is missing."""
  skipped = terminalreporter.stats.get("skipped", [])
  count = sum(_NO_SHARED in str(report.longrepr) for report in skipped)
  if count:
    terminalreporter.write_line(
      f"{count} tests skipped: they need real data in ../shared/data"
    )
