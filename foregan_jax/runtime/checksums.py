"""Checksums of the arrays in a checkpoint.

Orbax compresses arrays without a checksum: of 18 single bytes that a test
flipped in its files, 16 gave other weights without an error.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

# An optimiser may hold infinities; a network must not.
_NETS = ("params", "variables", "ema")


class DamagedError(ValueError):
  """A checkpoint that cannot be read, or not with the values that it had."""


def compute(tree: Any) -> dict[str, int]:
  """Return the CRC-32 of each array, by its path in the tree.

  Arrays that are split over several processes have none.
  """
  return {name: zlib.crc32(_to_bytes(x)) for name, x in _leaves(tree)}


def check(tree: Any, recorded: Mapping[str, int], origin: str) -> None:
  """Compare arrays that were read with the checksums that were saved.

  Args:
    tree: the arrays, or a part of those that were saved.
    recorded: from `compute`. Arrays without a checksum, as in checkpoints of
      earlier versions, are only checked for values that are not finite.
    origin: item and checkpoint, for the error.

  Raises:
    DamagedError: naming the first array that differs, or is part of a network
      and not finite.
  """
  for name, leaf in _leaves(tree):
    if name in recorded and zlib.crc32(_to_bytes(leaf)) != recorded[name]:
      raise DamagedError(
        f"{origin} is damaged: {name} has other values than were saved"
      )
    if name.startswith(_NETS) and not _is_finite(leaf):
      raise DamagedError(f"{origin} has values in {name} that are not finite")


def _leaves(tree: Any) -> Iterator[tuple[str, np.ndarray]]:
  """Yield the arrays that this process has whole, on the host."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
      if not leaf.is_fully_replicated:
        continue
      leaf = leaf.addressable_data(0)
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    yield name, np.asarray(leaf)


def _to_bytes(array: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _is_finite(array: np.ndarray) -> bool:
  return array.dtype.kind in "iub" or bool(np.isfinite(array).all())
