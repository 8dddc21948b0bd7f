"""Where a propagation stands: one small file, so that a killed one goes on."""

import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.media import pictures

# What reading a file of another kind, or a broken one, may raise.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclasses.dataclass
class Point:
  """How far a propagation has come.

  Attributes:
    done: frames that are dealt with, in order of the propagation.
    table_bytes: length of the table of confidences.
    lost: why a frame has no mask, by the frame's index.
    leaves: arrays of the tracker's state; none at the start and at the end.
    written: names of the files and folders beside the point that are ours.
  """

  done: int = 0
  table_bytes: int = 0
  lost: dict[int, str] = dataclasses.field(default_factory=dict)
  leaves: list[np.ndarray] = dataclasses.field(default_factory=list)
  written: Sequence[str] = ()


class File:
  """The file that holds a point, of the inputs that it belongs to."""

  def __init__(self, path: pathlib.Path, fingerprint: str):
    self._path = path
    self._fingerprint = fingerprint

  def save(self, point: Point) -> None:
    """Writes a point atomically."""
    # As bytes: NumPy's own format forgets what bfloat16 is.
    leaves = {
      f"leaf_{i}": np.ascontiguousarray(x).reshape(-1).view(np.uint8)
      for i, x in enumerate(point.leaves)
    }
    meta = {
      "fingerprint": self._fingerprint,
      "done": point.done,
      "table_bytes": point.table_bytes,
      "lost": list(point.lost.items()),
      "written": list(point.written),
      "leaves": [(x.dtype.name, x.shape) for x in point.leaves],
    }
    leaves["meta"] = np.array(json.dumps(meta))
    pictures.write_atomically(self._path, lambda file: np.savez(file, **leaves))

  def load(self) -> Point | None:
    """Returns the point; None if there is none, or one of other inputs."""
    try:
      with np.load(self._path) as arrays:
        meta = json.loads(str(arrays["meta"]))
        if meta["fingerprint"] != self._fingerprint:
          return None
        leaves = [
          arrays[f"leaf_{i}"].view(np.dtype(dtype)).reshape(shape)
          for i, (dtype, shape) in enumerate(meta["leaves"])
        ]
    except _UNREADABLE:
      return None
    return Point(
      meta["done"],
      meta["table_bytes"],
      dict(meta["lost"]),
      leaves,
      meta.get("written", ()),
    )

  def written(
    self, *, unsaid: Sequence[str], broken: Sequence[str]
  ) -> Sequence[str]:
    """Returns the names of what an earlier call wrote, of whatever inputs.

    Args:
      unsaid: is returned if the file is of the time when it did not say.
      broken: is returned if it cannot be read.
    """
    if not self._path.exists():
      return ()
    try:
      with np.load(self._path) as arrays:
        return json.loads(str(arrays["meta"])).get("written", unsaid)
    except _UNREADABLE:
      return broken


def fill(state: Any, leaves: list[np.ndarray]) -> Any:
  """Returns a state of the given one's structure with other leaves.

  Raises:
    ValueError: if their number is another.
  """
  likes, structure = jax.tree.flatten(state)
  if len(likes) != len(leaves):
    raise ValueError(
      f"the saved state has {len(leaves)} arrays, the tracker's {len(likes)}: "
      "it was saved by another version of the program, give another --out"
    )
  # Copied: a tracker may give its buffers away.
  filled = [
    jnp.array(leaf) if isinstance(like, jax.Array) else leaf
    for like, leaf in zip(likes, leaves, strict=True)
  ]
  return jax.tree.unflatten(structure, filled)
