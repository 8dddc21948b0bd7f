"""Build the device mesh and place arrays on it.

The mesh has one axis over every device of every process. Data parallelism is
`jax.jit` with these shardings: parameters are replicated, batches are split
along their first axis. No other module depends on the number of devices.
"""

import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = "data"


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
  """Build a mesh with the one axis `data`.

  Args:
    devices: the devices to use; None means every device of every process.

  Returns:
    A mesh with one axis of type Auto.
  """
  devices = jax.devices() if devices is None else devices
  # The default of jax.make_mesh is Explicit. With it, scans with an unsharded
  # carry and vmapped gathers fail.
  return jax.make_mesh(
    (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """Return the sharding of an array that every device holds completely."""
  return NamedSharding(mesh, P())


def sharded(mesh: Mesh) -> NamedSharding:
  """Return the sharding of an array split along its first axis."""
  return NamedSharding(mesh, P(AXIS))


def check_batch(batch_size: int, mesh: Mesh) -> None:
  """Raise an error if the global batch cannot be split evenly.

  Args:
    batch_size: rows of the global batch.
    mesh: the mesh made by `make_mesh`.

  Raises:
    ValueError: if `batch_size` is not a positive multiple of the number of
      devices.
  """
  if batch_size < 1 or batch_size % mesh.size:
    below = max(batch_size, 0) // mesh.size * mesh.size
    nearest = " or ".join(str(n) for n in (below, below + mesh.size) if n)
    raise ValueError(
      f"batch_size is {batch_size}, but must be a positive multiple of the "
      f"number of devices, {mesh.size}: {nearest} (--config.batch_size=N; "
      "foregan_jax.main also has --batch_per_device=N)."
    )


def local_batch_size(batch_size: int, mesh: Mesh) -> int:
  """Return how many rows of the global batch this process reads.

  Args:
    batch_size: rows of the global batch.
    mesh: the mesh made by `make_mesh`.

  Raises:
    ValueError: if `batch_size` is not a positive multiple of the number of
      devices.
  """
  check_batch(batch_size, mesh)
  return batch_size // mesh.size * mesh.local_mesh.size


def to_global(mesh: Mesh, local_batch: Any) -> Any:
  """Build the global batch from the rows of each process.

  Args:
    mesh: the mesh made by `make_mesh`.
    local_batch: a tree of numpy arrays, leading axis `local_batch_size`.

  Returns:
    The same tree of global arrays, split over the devices along the leading
    axis, whose size is the global batch size.
  """
  sharding = sharded(mesh)
  # With several processes, the transfer guard around the training loop would
  # reject this intended transfer.
  with jax.transfer_guard("allow"):
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(sharding, x), local_batch
    )


def split_rows(tree: Any) -> Any:
  """Split arrays that are drawn on the devices, as the batch is split.

  XLA divides what is computed from the batch. Every device would compute all of
  what is drawn from a key alone, and of what follows from it. Without a mesh in
  context (`jax.set_mesh`), as in evaluations, nothing is changed.

  Args:
    tree: a tree of arrays with the global batch as their first axis.
  """
  if jax.sharding.get_abstract_mesh().empty:
    return tree
  return jax.tree.map(
    lambda x: jax.lax.with_sharding_constraint(x, P(AXIS)), tree
  )


def replicate(mesh: Mesh, tree: Any) -> Any:
  """Copy arrays to every device of every process.

  Args:
    mesh: the mesh made by `make_mesh`.
    tree: a tree of arrays or PRNG keys; every process passes the same values.

  Returns:
    The same tree of global arrays, complete on each device.
  """
  # device_put fails for keys if the mesh has devices of other processes.
  return jax.jit(lambda x: x, out_shardings=replicated(mesh))(tree)


def barrier(name: str) -> None:
  """Wait until every process has reached this call.

  Args:
    name: a name for the barrier; every process passes the same one.
  """
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def gather(value: Any, name: str) -> list[Any]:
  """Return the value of every process, in their order.

  Every process must call it.

  Args:
    value: what JSON can hold. Arrays become lists, and keys become texts.
    name: a name for the barrier before the exchange, see `barrier`.
  """
  text = json.dumps(value, default=lambda array: array.tolist()).encode()
  barrier(name)  # an exchange over the network waits for 30 s only
  fetch = multihost_utils.process_allgather
  sizes = fetch(np.array([len(text)])).reshape(-1)
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: len(text)] = np.frombuffer(text, np.uint8)
  rows = fetch(padded).reshape(len(sizes), -1)
  return [
    json.loads(row[:size].tobytes())
    for row, size in zip(rows, sizes, strict=True)
  ]
