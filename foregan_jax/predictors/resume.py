"""The saved state of a propagation, to continue an interrupted call."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax import storage


@dataclasses.dataclass
class Snapshot:
  """The progress of a propagation.

  Attributes:
    done: number of processed frames, in order of the propagation.
    table_bytes: length of the table of confidences.
    unreadable: errors of the frames that cannot be read, by index of the frame.
    leaves: arrays of the tracker's state; empty at the start and at the end.
    written: names of the files and folders beside the snapshot that earlier
      calls wrote.
  """

  done: int = 0
  table_bytes: int = 0
  unreadable: dict[int, str] = dataclasses.field(default_factory=dict)
  leaves: list[np.ndarray] = dataclasses.field(default_factory=list)
  written: Sequence[str] = ()


class SnapshotFile:
  """A file with a snapshot, valid for one set of inputs."""

  def __init__(self, path: pathlib.Path, fingerprint: str):
    """Set the place; neither read nor write.

    Args:
      path: of the file.
      fingerprint: of the inputs.
    """
    self._path = path
    self._fingerprint = fingerprint

  def save(self, snapshot: Snapshot) -> None:
    """Write a snapshot atomically."""
    # As bytes, because NumPy's own format does not keep the dtype bfloat16.
    leaves = {
      f"leaf_{i}": np.ascontiguousarray(x).reshape(-1).view(np.uint8)
      for i, x in enumerate(snapshot.leaves)
    }
    meta = {
      "fingerprint": self._fingerprint,
      "done": snapshot.done,
      "table_bytes": snapshot.table_bytes,
      "lost": list(snapshot.unreadable.items()),  # key of existing files
      "written": list(snapshot.written),
      "leaves": [(x.dtype.name, x.shape) for x in snapshot.leaves],
    }
    leaves["meta"] = np.array(json.dumps(meta))
    storage.write(self._path, lambda file: np.savez(file, **leaves))

  def load(self) -> Snapshot | None:
    """Read the snapshot.

    Returns:
      The snapshot; None if the file is missing, broken or of other inputs.
    """
    try:
      with self._open() as arrays:
        meta = _read_meta(arrays)
        if meta["fingerprint"] != self._fingerprint:
          return None
        leaves = [
          arrays[f"leaf_{i}"].view(np.dtype(dtype)).reshape(shape)
          for i, (dtype, shape) in enumerate(meta["leaves"])
        ]
        return Snapshot(
          meta["done"],
          meta["table_bytes"],
          dict(meta["lost"]),
          leaves,
          meta.get("written", ()),
        )
    except Exception:  # NumPy and the zip format raise many kinds
      return None

  def read_written(self, *, unlisted: Sequence[str]) -> Sequence[str]:
    """Return the names that earlier calls wrote, with these or other inputs.

    Args:
      unlisted: result if the file has an old format without this list.

    Returns:
      Names of files and folders; none if there is no file.

    Raises:
      ValueError: if the file cannot be read.
    """
    if not self._path.exists():
      return ()
    try:
      with self._open() as arrays:
        return _read_meta(arrays).get("written", unlisted)
    except Exception as error:  # NumPy and the zip format raise many kinds
      raise ValueError(
        f"{self._path} is damaged, so it is unknown which files beside it are "
        "results of an earlier call; remove it and them, or give another --out"
      ) from error

  def _open(self):
    # Reading a pipe or a device may never end.
    if not self._path.is_file():
      raise ValueError(f"{self._path} is not a file")
    return np.load(self._path)


def _read_meta(arrays: Any) -> dict[str, Any]:
  """Read all fields but the arrays.

  Raises:
    ValueError: if one has another type than `SnapshotFile.save` writes.
  """
  meta = json.loads(str(arrays["meta"]))
  numbers = meta["done"], meta["table_bytes"]
  names = meta.get("written", [])
  if (
    not all(type(number) is int and number >= 0 for number in numbers)
    or not isinstance(names, list)
    or not all(isinstance(name, str) for name in names)
  ):
    raise ValueError("the fields have other types")
  return meta


def restore_leaves(state: Any, leaves: list[np.ndarray]) -> Any:
  """Return a state with the structure of `state` and other leaves.

  Raises:
    ValueError: if the number of leaves differs.
  """
  likes, structure = jax.tree.flatten(state)
  if len(likes) != len(leaves):
    raise ValueError(
      f"the saved state has {len(leaves)} arrays, the tracker's {len(likes)}: "
      "another version of the program saved it; give another --out"
    )
  # Copied, because a tracker may donate its buffers.
  restored = [
    jnp.array(leaf) if isinstance(like, jax.Array) else leaf
    for like, leaf in zip(likes, leaves, strict=True)
  ]
  return jax.tree.unflatten(structure, restored)
