"""Join the processes of one run into one JAX program.

The sources of the settings, in order of precedence: the flags of `main.py`, the
environment variables `FOREGAN_COORDINATOR`, `FOREGAN_NUM_PROCESSES` and
`FOREGAN_PROCESS_ID`, the launcher (Slurm, Open MPI, a Cloud TPU pod).
Without any of them the run has one process. JAX's distributed runtime is then
not initialised, because initialisation fails without a cluster.
"""

import dataclasses
import os
import re
import zlib
from collections.abc import Mapping

import jax
from absl import logging

# JAX uses the same range for a job's coordinator port: the last 2**12 ports.
_PORT_COUNT = 2**12
_FIRST_PORT = 65536 - _PORT_COUNT
# If a process dies, the job ends after this time.
_HEARTBEAT_TIMEOUT_SECONDS = 100
_LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Plan:
  """How this process joins the run; JAX detects every value that is None."""

  source: str  # where the values come from, for the log
  coordinator: str | None
  num_processes: int | None
  process_id: int | None
  local_device_ids: tuple[int, ...] | None = None


def _read_integer(environ: Mapping[str, str], name: str) -> int | None:
  text = environ.get(name, "")
  if not text:
    return None
  if not re.fullmatch(r"\d+", text):
    raise ValueError(f"{name} is {text!r}, but must be a whole number.")
  return int(text)


def _plan_explicitly(
  environ, coordinator, num_processes, process_id
) -> Plan | None:
  """Combine flags and FOREGAN_* variables; each flag overrides its variable."""
  values = {
    "coordinator": coordinator or environ.get("FOREGAN_COORDINATOR") or None,
    "num_processes": num_processes,
    "process_id": process_id,
  }
  for name in ("num_processes", "process_id"):
    if values[name] is None:
      values[name] = _read_integer(environ, f"FOREGAN_{name.upper()}")
  given = [name for name, value in values.items() if value is not None]
  if not given:
    return None
  if values["num_processes"] == 1:
    return Plan("one process", None, 1, 0)
  missing = [name for name in values if name not in given]
  # A launcher without the address may still provide the two numbers.
  launcher = _read_launcher(environ)
  if missing and "coordinator" in given and launcher is not None:
    values["num_processes"] = values["num_processes"] or launcher[0]
    if values["process_id"] is None:
      values["process_id"] = launcher[1]
    missing = []
  if missing:
    raise ValueError(
      f"{', '.join(given)} given without {', '.join(missing)}: a run of "
      "several processes needs --coordinator=HOST:PORT, --num_processes and "
      "--process_id (or FOREGAN_COORDINATOR, FOREGAN_NUM_PROCESSES and "
      "FOREGAN_PROCESS_ID)."
    )
  if not re.fullmatch(r".+:\d+", values["coordinator"]):
    raise ValueError(
      f"coordinator is {values['coordinator']!r}, but must be HOST:PORT."
    )
  if not 0 <= values["process_id"] < values["num_processes"]:
    raise ValueError(
      f"process_id is {values['process_id']}, but must be at least 0 and below "
      f"num_processes, {values['num_processes']}."
    )
  return Plan("flags or FOREGAN_*", **values)


def _read_launcher(environ) -> tuple[int, int] | None:
  """Return (num_processes, process_id) from Open MPI or Slurm, or None."""
  for count, rank in (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("SLURM_NTASKS", "SLURM_PROCID"),
  ):
    if count in environ and rank in environ:
      return _read_integer(environ, count), _read_integer(environ, rank)
  return None


def _plan_slurm(environ) -> Plan | None:
  # A batch script without srun has the variables of the job but no step. It is
  # one process, for any number of tasks of the job.
  if "SLURM_STEP_NODELIST" not in environ:
    return None
  if (_read_integer(environ, "SLURM_NTASKS") or 1) == 1:
    return None
  device_ids = None
  tasks = re.match(r"\d+", environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
  gpus = _read_integer(environ, "SLURM_GPUS_ON_NODE") or 0
  # By default JAX uses one GPU per Slurm task. With one task per node all GPUs
  # but the first would be idle.
  single = tasks is not None and int(tasks.group()) == 1
  if single and gpus > 1 and "JAX_LOCAL_DEVICE_IDS" not in environ:
    device_ids = tuple(range(gpus))
  return Plan("Slurm", None, None, None, device_ids)


def _plan_open_mpi(environ) -> Plan | None:
  count = _read_integer(environ, "OMPI_COMM_WORLD_SIZE") or 1
  if count == 1:
    return None
  if "OMPI_MCA_orte_hnp_uri" in environ:
    return Plan("Open MPI", None, None, None)
  # Open MPI 5 does not provide the address of its head node. On one machine the
  # loopback address works.
  if _read_integer(environ, "OMPI_COMM_WORLD_LOCAL_SIZE") != count:
    raise ValueError(
      "this version of Open MPI does not provide its head node: give "
      "--coordinator=HOST:PORT, the address of the first host in the hostfile."
    )
  name = environ.get("PMIX_NAMESPACE", "")
  port = _FIRST_PORT + zlib.crc32(name.encode()) % _PORT_COUNT
  rank = _read_integer(environ, "OMPI_COMM_WORLD_RANK")
  return Plan("Open MPI", f"{_LOOPBACK}:{port}", count, rank, None)


def _plan_tpu_pod(environ) -> Plan | None:
  workers = environ.get("TPU_WORKER_HOSTNAMES", "")
  return Plan("TPU pod", None, None, None) if "," in workers else None


def plan(
  environ: Mapping[str, str],
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> Plan | None:
  """Return how this process should join the run, without joining it.

  Args:
    environ: the environment variables.
    coordinator: HOST:PORT of process 0.
    num_processes: number of processes of the run.
    process_id: index of this process, from 0.

  Returns:
    The plan, or None for a single process.

  Raises:
    ValueError: if the given values are incomplete, malformed or inconsistent.
  """
  explicit = _plan_explicitly(environ, coordinator, num_processes, process_id)
  if explicit is not None:
    return None if explicit.num_processes == 1 else explicit
  return (
    _plan_slurm(environ) or _plan_open_mpi(environ) or _plan_tpu_pod(environ)
  )


def process_share(environ: Mapping[str, str]) -> tuple[int, int]:
  """Return index and number of this process, for work without communication.

  Unlike `plan` it needs no address, and it also reads the variables of the
  tasks of a Slurm array and of the pods of a Kubernetes Job, which start at
  different times.

  Args:
    environ: the environment variables.

  Raises:
    ValueError: if the values are malformed or inconsistent, or the tasks of a
      Slurm array are not an even range.
  """
  read = lambda name: _read_integer(environ, name)
  count = read("FOREGAN_NUM_PROCESSES")
  index = read("FOREGAN_PROCESS_ID")
  if index is None:
    index = read("JOB_COMPLETION_INDEX")
  if (count, index) != (None, None):
    if count is None or index is None or not index < count:
      raise ValueError(
        f"FOREGAN_NUM_PROCESSES is {count}, and FOREGAN_PROCESS_ID (or "
        f"JOB_COMPLETION_INDEX) is {index}: set both, the second below the "
        "first."
      )
    return index, count
  index, count = 0, 1
  launched = _read_launcher(environ)
  # A batch script without srun is one process, for any number of tasks.
  running = {"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NODELIST"} & set(environ)
  if launched and running:
    count, index = launched
  if tasks := read("SLURM_ARRAY_TASK_COUNT"):
    task = _array_task(read, tasks)
    index, count = task * count + index, tasks * count
  return index, count


def _array_task(read, tasks: int) -> int:
  """Return the place of a task in its Slurm array."""
  number, first = read("SLURM_ARRAY_TASK_ID"), read("SLURM_ARRAY_TASK_MIN")
  last, step = read("SLURM_ARRAY_TASK_MAX"), read("SLURM_ARRAY_TASK_STEP") or 1
  if (
    number is None
    or first is None
    or last is None
    or (first + step * (tasks - 1) != last or (number - first) % step)
  ):
    raise ValueError(
      f"the tasks of the Slurm array are not an even range ({tasks} tasks from "
      f"{first} to {last} in steps of {step}; this one is {number}): submit "
      "all of them, as in --array=0-7."
    )
  return (number - first) // step


def initialize(
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Join a run of several processes; do nothing for a single process.

  Call it before any use of a device.

  Args:
    coordinator: HOST:PORT of process 0.
    num_processes: number of processes of the run.
    process_id: index of this process, from 0.

  Raises:
    ValueError: if the given values are incomplete, malformed or inconsistent.
  """
  joined = plan(
    os.environ,
    coordinator=coordinator,
    num_processes=num_processes,
    process_id=process_id,
  )
  if joined is None:
    return
  logging.info("joining the run, settings from %s: %s", joined.source, joined)
  jax.distributed.initialize(
    coordinator_address=joined.coordinator,
    num_processes=joined.num_processes,
    process_id=joined.process_id,
    local_device_ids=joined.local_device_ids,
    heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT_SECONDS,
  )


def is_first_process() -> bool:
  """Return whether this is process 0, which writes files and logs."""
  return jax.process_index() == 0


def log_devices() -> None:
  """Log the process and its devices in one line.

  Afterwards the other processes log only warnings and errors.
  """
  devices = jax.local_devices()
  logging.info(
    "process %d of %d, %d of %d devices here: %s",
    jax.process_index(),
    jax.process_count(),
    len(devices),
    jax.device_count(),
    devices[0].device_kind,
  )
  if not is_first_process():
    logging.set_verbosity(logging.WARNING)
