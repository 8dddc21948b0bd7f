"""Join the processes of one run into one JAX program.

Who is told what, in order of precedence: the flags of `main.py`, then the
environment (`FOREGAN_COORDINATOR`, `FOREGAN_NUM_PROCESSES`,
`FOREGAN_PROCESS_ID`), then the launcher (Slurm, Open MPI, a Cloud TPU pod).
Without any of them the run is a single process and JAX's runtime is left
alone: it refuses to initialise where there is no cluster.
"""

import dataclasses
import os
import re
import zlib
from collections.abc import Mapping

import jax
from absl import logging

# JAX's own range for a job's coordinator port: the top 2**12 of the ephemeral.
_PORT_COUNT = 2**12
_FIRST_PORT = 65536 - _PORT_COUNT
# A dead peer is noticed after this long, and the job ends.
_HEARTBEAT_TIMEOUT_SECONDS = 100
_LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Plan:
  """How this process joins the run; None means that JAX finds it out."""

  source: str
  coordinator: str | None
  num_processes: int | None
  process_id: int | None
  local_device_ids: tuple[int, ...] | None = None


def _integer(environ: Mapping[str, str], name: str) -> int | None:
  text = environ.get(name, "")
  if not text:
    return None
  if not re.fullmatch(r"\d+", text):
    raise ValueError(f"{name} is {text!r}, but must be a whole number.")
  return int(text)


def _explicit(environ, coordinator, num_processes, process_id) -> Plan | None:
  """Combine flags and FOREGAN_* variables; flags win one by one."""
  values = {
    "coordinator": coordinator or environ.get("FOREGAN_COORDINATOR") or None,
    "num_processes": num_processes,
    "process_id": process_id,
  }
  for name in ("num_processes", "process_id"):
    if values[name] is None:
      values[name] = _integer(environ, f"FOREGAN_{name.upper()}")
  given = [name for name, value in values.items() if value is not None]
  if not given:
    return None
  if values["num_processes"] == 1:
    return Plan("one process", None, 1, 0)
  missing = [name for name in values if name not in given]
  # The launcher may know the two counts although it knows no address.
  launcher = _launcher_counts(environ)
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


def _launcher_counts(environ) -> tuple[int, int] | None:
  """Return (number of processes, own number) as Slurm or Open MPI tells."""
  for count, rank in (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("SLURM_NTASKS", "SLURM_PROCID"),
  ):
    if count in environ and rank in environ:
      return _integer(environ, count), _integer(environ, rank)
  return None


def _slurm(environ) -> Plan | None:
  # A batch script without srun has the job's variables but no step: there it
  # is one process, however many tasks the job asked for.
  if "SLURM_STEP_NODELIST" not in environ:
    return None
  if (_integer(environ, "SLURM_NTASKS") or 1) == 1:
    return None
  device_ids = None
  tasks = re.match(r"\d+", environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
  gpus = _integer(environ, "SLURM_GPUS_ON_NODE") or 0
  # JAX gives each Slurm task one GPU, so a lone task on a node of several
  # would leave all but the first idle.
  alone = tasks is not None and int(tasks.group()) == 1
  if alone and gpus > 1 and "JAX_LOCAL_DEVICE_IDS" not in environ:
    device_ids = tuple(range(gpus))
  return Plan("Slurm", None, None, None, device_ids)


def _open_mpi(environ) -> Plan | None:
  count = _integer(environ, "OMPI_COMM_WORLD_SIZE") or 1
  if count == 1:
    return None
  if "OMPI_MCA_orte_hnp_uri" in environ:
    return Plan("Open MPI", None, None, None)
  # Open MPI 5 does not say where its head is. On one machine that is known.
  if _integer(environ, "OMPI_COMM_WORLD_LOCAL_SIZE") != count:
    raise ValueError(
      "this Open MPI does not name its head node: give "
      "--coordinator=HOST:PORT, the address of the first host in the hostfile."
    )
  name = environ.get("PMIX_NAMESPACE", "")
  port = _FIRST_PORT + zlib.crc32(name.encode()) % _PORT_COUNT
  rank = _integer(environ, "OMPI_COMM_WORLD_RANK")
  return Plan("Open MPI", f"{_LOOPBACK}:{port}", count, rank, None)


def _tpu_pod(environ) -> Plan | None:
  workers = environ.get("TPU_WORKER_HOSTNAMES", "")
  return Plan("TPU pod", None, None, None) if "," in workers else None


def plan(
  environ: Mapping[str, str],
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> Plan | None:
  """Decide how this process joins the run, without joining it.

  Args:
    environ: the environment variables.
    coordinator: HOST:PORT of process 0.
    num_processes: number of processes of the run.
    process_id: number of this process, from 0.

  Returns:
    The plan, or None for a single process.

  Raises:
    ValueError: if what was given is incomplete or contradicts itself.
  """
  found = _explicit(environ, coordinator, num_processes, process_id)
  if found is not None:
    return None if found.num_processes == 1 else found
  return _slurm(environ) or _open_mpi(environ) or _tpu_pod(environ)


def initialize(
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Join the run if there is one to join; call before any use of a device.

  Raises:
    ValueError: if what was given is incomplete or contradicts itself.
  """
  found = plan(
    os.environ,
    coordinator=coordinator,
    num_processes=num_processes,
    process_id=process_id,
  )
  if found is None:
    return
  logging.info("joining the run as told by %s: %s", found.source, found)
  jax.distributed.initialize(
    coordinator_address=found.coordinator,
    num_processes=found.num_processes,
    process_id=found.process_id,
    local_device_ids=found.local_device_ids,
    heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT_SECONDS,
  )


def is_first_process() -> bool:
  """Return whether this is the process that writes files and talks."""
  return jax.process_index() == 0


def log_devices() -> None:
  """Log process and devices in one line; then only process 0 talks on."""
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
