"""One mesh axis over every device of every process, and how arrays lie on it.

Data parallelism is `jax.jit` with these shardings: parameters replicated,
batches split along their first axis. Nothing else knows how many devices
there are.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = "data"


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
  """Lay all devices (or those given) along the one axis, `data`.

  Args:
    devices: the devices to use; None means every device of every process.

  Returns:
    A one-axis mesh of Auto type.
  """
  devices = jax.devices() if devices is None else devices
  # The type is named because make_mesh's own default is Explicit, under which
  # scans with an unsharded carry and vmapped gathers fail.
  return jax.make_mesh(
    (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """Describe an array of which every device holds a whole copy."""
  return NamedSharding(mesh, P())


def sharded(mesh: Mesh) -> NamedSharding:
  """Describe an array split along its first axis."""
  return NamedSharding(mesh, P(AXIS))


def check_batch(batch_size: int, mesh: Mesh) -> None:
  """Refuse a global batch that the devices cannot share evenly.

  Raises:
    ValueError: if `batch_size` is not a positive multiple of the devices.
  """
  if batch_size < 1 or batch_size % mesh.size:
    raise ValueError(
      f"batch_size is {batch_size}, but must be a positive multiple of the "
      f"number of devices, {mesh.size}."
    )


def local_batch_size(batch_size: int, mesh: Mesh) -> int:
  """Return how many rows of the global batch this process reads.

  Raises:
    ValueError: if `batch_size` is not a positive multiple of the devices.
  """
  check_batch(batch_size, mesh)
  return batch_size // mesh.size * mesh.local_mesh.size


def to_global(mesh: Mesh, local_batch: Any) -> Any:
  """Turn this process's rows into the global batch, split over the devices.

  Args:
    mesh: the mesh made by `make_mesh`.
    local_batch: a tree of numpy arrays, leading axis `local_batch_size`.

  Returns:
    The same tree of global arrays, leading axis the global batch.
  """
  place = sharded(mesh)
  # This transfer is meant, but a guard around the training loop would count it
  # among the accidental ones in a run of several processes.
  with jax.transfer_guard("allow"):
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(place, x), local_batch
    )


def replicate(mesh: Mesh, tree: Any) -> Any:
  """Copy arrays, the same in every process, to every device of all of them.

  Args:
    mesh: the mesh made by `make_mesh`.
    tree: a tree of arrays or PRNG keys of this process.

  Returns:
    The same tree of global arrays, whole on each device.
  """
  # device_put refuses keys where devices of other processes are concerned.
  return jax.jit(lambda x: x, out_shardings=replicated(mesh))(tree)


def barrier(name: str) -> None:
  """Wait until every process has come here; one process does not wait.

  Args:
    name: what was reached, the same in every process.
  """
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
