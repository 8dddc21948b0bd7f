"""Tests of how processes join a run, and of a run of two processes."""

import json
import os
import socket
import subprocess
import sys

import jax
import pytest

from foregan_jax.runtime import distributed, restore

SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_NODELIST": "node[1-2]",
  "SLURM_NTASKS": "2",
  "SLURM_PROCID": "1",
  "SLURM_LOCALID": "0",
  "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
  "SLURM_GPUS_ON_NODE": "4",
}
MPI = {
  "OMPI_COMM_WORLD_SIZE": "2",
  "OMPI_COMM_WORLD_RANK": "1",
  "OMPI_COMM_WORLD_LOCAL_RANK": "1",
  "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
FOREGAN = {
  "FOREGAN_COORDINATOR": "host:1",
  "FOREGAN_NUM_PROCESSES": "3",
  "FOREGAN_PROCESS_ID": "2",
}


def test_no_settings_give_one_process():
  assert distributed.plan({}) is None


def test_flags_override_variables_and_variables_override_slurm():
  plan = distributed.plan({**SLURM, **FOREGAN}, process_id=0)
  assert (plan.coordinator, plan.num_processes, plan.process_id) == (
    "host:1",
    3,
    0,
  )


def test_one_process_by_flag_overrides_the_launcher():
  assert distributed.plan(SLURM, num_processes=1) is None


def test_single_slurm_task_uses_every_gpu_of_its_node():
  plan = distributed.plan(SLURM)
  assert plan.source == "Slurm"
  assert plan.local_device_ids == (0, 1, 2, 3)
  several = {**SLURM, "SLURM_STEP_TASKS_PER_NODE": "4"}
  assert distributed.plan(several).local_device_ids is None
  chosen = {**SLURM, "JAX_LOCAL_DEVICE_IDS": "2"}
  assert distributed.plan(chosen).local_device_ids is None


@pytest.mark.parametrize("missing", ["SLURM_STEP_NODELIST", "SLURM_NTASKS"])
def test_batch_script_without_srun_is_one_process(missing):
  environ = {k: v for k, v in SLURM.items() if k != missing}
  assert distributed.plan(environ) is None


def test_jax_detects_open_mpi_4():
  uri = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}
  plan = distributed.plan({**MPI, **uri})
  assert (plan.source, plan.coordinator) == ("Open MPI", None)


def test_open_mpi_5_on_one_machine_uses_the_loopback():
  a = distributed.plan({**MPI, "PMIX_NAMESPACE": "prterun-1"})
  b = distributed.plan(
    {**MPI, "PMIX_NAMESPACE": "prterun-1", "OMPI_COMM_WORLD_RANK": "0"}
  )
  assert a.coordinator == b.coordinator
  assert a.coordinator.startswith("127.0.0.1:")
  assert 61440 <= int(a.coordinator.split(":")[1]) < 65536
  assert (a.process_id, b.process_id) == (1, 0)


def test_open_mpi_5_on_several_machines_needs_only_the_address():
  spread = {**MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}
  with pytest.raises(ValueError, match="give --coordinator=HOST:PORT"):
    distributed.plan(spread)
  plan = distributed.plan(spread, coordinator="host:1")
  assert (plan.num_processes, plan.process_id) == (2, 1)


def test_jax_detects_a_tpu_pod():
  pod = {"TPU_WORKER_HOSTNAMES": "a,b"}
  assert distributed.plan(pod).source == "TPU pod"
  assert distributed.plan({"TPU_WORKER_HOSTNAMES": "a"}) is None


@pytest.mark.parametrize(
  "environ, flags, message",
  [
    ({}, {"num_processes": 2}, "given without coordinator, process_id"),
    ({}, {"coordinator": "host:1"}, "without num_processes, process_id"),
    (FOREGAN, {"coordinator": "host"}, "'host', but must be HOST:PORT"),
    (FOREGAN, {"process_id": 3}, "process_id is 3, .* below .* 3"),
    ({**FOREGAN, "FOREGAN_NUM_PROCESSES": "x"}, {}, "NUM_PROCESSES is 'x'"),
  ],
)
def test_invalid_settings_raise(environ, flags, message):
  with pytest.raises(ValueError, match=message):
    distributed.plan(environ, **flags)


# A program for two processes with two devices each. It gathers rows, computes a
# mean, writes and restores one checkpoint, and stops at a SIGTERM.
_PROCESS = """
import json, os, signal, sys, time
import jax, jax.numpy as jnp, numpy as np
from jax.experimental import multihost_utils
from foregan_jax.runtime import checkpoints, restore, distributed, interrupts
from foregan_jax.runtime import mesh as mesh_lib

distributed.initialize()
process = jax.process_index()
mesh = mesh_lib.make_mesh()
rows = mesh_lib.local_batch_size(8, mesh)
local = np.arange(process * rows, (process + 1) * rows, dtype=np.float32)
local = local[:, None]
with jax.transfer_guard("disallow"):
  batch = mesh_lib.to_global(mesh, {"x": local})
replicated = mesh_lib.replicated(mesh)
key = mesh_lib.replicate(mesh, jax.random.split(jax.random.key(3))[1])
mean = jax.jit(lambda b: jnp.mean(b["x"] ** 2), out_shardings=replicated)(batch)
tree = {"w": jax.device_put(np.arange(4.0), replicated), "x": batch["x"]}
with checkpoints.Checkpoints(sys.argv[1], ("gan",), keep=1, best="J") as store:
  store.save(1, {"gan": tree}, {"next_index": 8}, {"a": 1}, {"J": 0.5})
target = jax.tree.map(jnp.zeros_like, tree)
restored = restore.load_items(sys.argv[1], 1, {"gan": target})
data = restore.load_json(sys.argv[1], 1, "data")
identity = jax.jit(lambda m: m + 0, out_shardings=replicated)
step = 0
with interrupts.Interrupts() as signals:
  while not signals.should_stop(step) and step < 10_000:
    step += 1
    if process == 1 and step == 3:
      os.kill(os.getpid(), signal.SIGTERM)
    mean = identity(mean).block_until_ready()
    time.sleep(.005)  # The signal needs a second or two to arrive.
fetch = lambda x: multihost_utils.process_allgather(x, tiled=True)
to_list = lambda x: fetch(x)[:, 0].tolist()
print(json.dumps({
  "devices": [jax.local_device_count(), jax.device_count()],
  "mean": float(mean),
  "rows": to_list(batch["x"]),
  "restored": to_list(restored["gan"]["x"]),
  "data": data,
  "key": jax.device_get(jax.random.key_data(key)).tolist(),
  "stopped": step,
  "gathered": mesh_lib.gather({"of": "ab"[: process + 1]}, "stopped"),
}))
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
  directory = tmp_path_factory.mktemp("processes")
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  running = []
  for i in range(2):
    environ = {
      **os.environ,
      "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
      "FOREGAN_COORDINATOR": f"127.0.0.1:{port}",
      "FOREGAN_NUM_PROCESSES": "2",
      "FOREGAN_PROCESS_ID": str(i),
    }
    running.append(
      subprocess.Popen(
        [sys.executable, "-c", _PROCESS, str(directory)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
  reports = []
  for process in running:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    reports.append(json.loads(out.splitlines()[-1]))
  return directory, reports


def test_two_processes_share_batch_key_and_mean(two_processes):
  _, reports = two_processes
  key = jax.random.split(jax.random.key(3))[1]
  for report in reports:
    assert report["devices"] == [2, 4]
    assert report["rows"] == list(range(8))
    assert report["gathered"] == [{"of": "a"}, {"of": "ab"}]
    assert report["key"] == jax.random.key_data(key).tolist()
    assert report["mean"] == 17.5  # The mean of 0, 1, 4, ... 49.


def test_two_processes_stop_at_the_same_step(two_processes):
  _, reports = two_processes
  assert reports[0]["stopped"] == reports[1]["stopped"]
  assert 3 <= reports[0]["stopped"] < 10_000


def test_one_process_loads_the_checkpoint_of_two(two_processes):
  import jax.numpy as jnp

  directory, reports = two_processes
  assert reports[0]["restored"] == list(range(8))
  assert reports[0]["data"] == {"next_index": 8}
  assert restore.pick_steps(directory, "best", best="J") == [1]
  target = {"gan": {"w": jnp.zeros(4), "x": jnp.zeros((8, 1))}}
  tree = restore.load_items(directory, 1, target)["gan"]
  assert tree["x"][:, 0].tolist() == list(range(8))
  assert tree["w"].tolist() == [0, 1, 2, 3]


_ARRAY = {
  "SLURM_ARRAY_TASK_ID": "9",
  "SLURM_ARRAY_TASK_MIN": "3",
  "SLURM_ARRAY_TASK_MAX": "9",
  "SLURM_ARRAY_TASK_STEP": "2",
  "SLURM_ARRAY_TASK_COUNT": "4",
}


@pytest.mark.parametrize(
  "environ, expected",
  [
    ({}, (0, 1)),
    (FOREGAN, (2, 3)),
    ({"FOREGAN_NUM_PROCESSES": "4", "JOB_COMPLETION_INDEX": "3"}, (3, 4)),
    ({**MPI, **FOREGAN}, (2, 3)),
    (MPI, (1, 2)),
    (SLURM, (1, 2)),
    ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, (0, 1)),
    ({**_ARRAY, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, (3, 4)),
    ({**_ARRAY, **SLURM}, (7, 8)),
  ],
)
def test_share_of_a_process(environ, expected):
  assert distributed.process_share(environ) == expected


@pytest.mark.parametrize(
  "environ",
  [
    {"FOREGAN_NUM_PROCESSES": "4"},
    {"FOREGAN_NUM_PROCESSES": "4", "FOREGAN_PROCESS_ID": "4"},
    {"FOREGAN_PROCESS_ID": "1"},
    {"JOB_COMPLETION_INDEX": "1"},
  ],
)
def test_share_needs_index_and_number(environ):
  with pytest.raises(ValueError, match="FOREGAN_NUM_PROCESSES is (4|None)"):
    distributed.process_share(environ)


@pytest.mark.parametrize(
  "change",
  [
    {"SLURM_ARRAY_TASK_COUNT": "3"},  # as of --array=3,5,9
    {"SLURM_ARRAY_TASK_ID": "4"},
    {"SLURM_ARRAY_TASK_ID": ""},
  ],
)
def test_uneven_array_raises(change):
  with pytest.raises(ValueError, match="not an even range"):
    distributed.process_share({**_ARRAY, **change})
