"""A real Slurm of one machine: its controller, its node and munge."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

# Debian: slurmctld slurmd slurm-client munge.
PROGRAMS = ("slurmctld", "slurmd", "srun", "sbatch", "sinfo", "munged")
_TIMEOUT = 60  # seconds until the node is ready
_CPUS = 4  # that the node claims to have

# Without control groups and accounting, which need systemd or a database. Two
# other devices stand for GPUs, so that a script can ask for them.
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def missing() -> list[str]:
  """Return the programs that are not installed, and `root` for other users."""
  lacking = [name for name in PROGRAMS if shutil.which(name) is None]
  return lacking + ["root"] * bool(os.getuid())


@contextlib.contextmanager
def cluster(root: pathlib.Path) -> Iterator[dict[str, str]]:
  """Start Slurm in a folder, and stop it.

  Yields:
    The environment for Slurm's commands.

  Raises:
    RuntimeError: with the logs, if the node is not ready in time.
  """
  for name in ("state", "spool"):
    (root / name).mkdir()
  host = socket.gethostname().partition(".")[0]
  controller, node = _free_ports(2)
  conf = root / "slurm.conf"
  conf.write_text(
    _CONF.format(
      host=host, root=root, controller=controller, node=node, cpus=_CPUS
    )
  )
  (root / "gres.conf").write_text(
    f"NodeName={host} Name=gpu File=/dev/zero\n"
    f"NodeName={host} Name=gpu File=/dev/full\n"
  )
  key = root / "munge.key"
  key.write_bytes(os.urandom(128))
  key.chmod(0o600)
  root.chmod(0o755)  # munge refuses folders that other users can write to
  environ = {**os.environ, "SLURM_CONF": str(conf)}
  munge = [
    "munged", "--foreground", "--force", f"--key-file={key}",
    f"--socket={root}/munge.socket", f"--pid-file={root}/munge.pid",
    f"--log-file={root}/munge.log", f"--seed-file={root}/munge.seed",
  ]  # fmt: skip
  daemons = []
  try:
    for command in (munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D"]):
      log = (root / f"{command[0]}.out").open("wb")
      daemons.append(
        subprocess.Popen(command, env=environ, stdout=log, stderr=log)
      )
      log.close()
    _wait_until_idle(environ, root)
    yield environ
  finally:
    for daemon in reversed(daemons):
      daemon.terminate()
    for daemon in reversed(daemons):
      try:
        daemon.wait(timeout=20)
      except subprocess.TimeoutExpired:
        daemon.kill()


def _wait_until_idle(environ, root: pathlib.Path) -> None:
  deadline = time.monotonic() + _TIMEOUT
  while time.monotonic() < deadline:
    asked = subprocess.run(
      ["sinfo", "--noheader", "--format=%T"], env=environ,
      capture_output=True, text=True,
    )  # fmt: skip
    if asked.stdout.strip() == "idle":
      return
    time.sleep(0.5)
  logs = (*root.glob("*.log"), *root.glob("*.out"))
  texts = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs]
  state = asked.stdout + asked.stderr
  raise RuntimeError("\n".join([f"Slurm is not ready: {state}", *texts]))


def _free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for s in sockets:
      s.bind(("127.0.0.1", 0))
    return [s.getsockname()[1] for s in sockets]
