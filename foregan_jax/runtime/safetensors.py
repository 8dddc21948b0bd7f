"""Write .safetensors files, and read the texts in their headers.

`state_dicts.read` reads their tensors. The format: 8 bytes with the length of
a JSON header, the header (the texts are in `__metadata__`), the tensors.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from foregan_jax import storage

_DTYPES = {np.dtype("f4"): "F32", np.dtype("f2"): "F16"}
_ALIGNMENT = 8


def write(
  path: str | os.PathLike,
  tensors: Mapping[str, np.ndarray],
  metadata: Mapping[str, str],
) -> None:
  """Write float32 or float16 tensors; `path` never has half a file."""
  header: dict[str, Any] = {"__metadata__": dict(metadata)}
  position = 0
  for name, tensor in tensors.items():
    end = position + tensor.nbytes
    header[name] = {
      "dtype": _DTYPES[tensor.dtype],
      "shape": list(tensor.shape),
      "data_offsets": [position, end],
    }
    position = end
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % _ALIGNMENT)

  def save(file: BinaryIO) -> None:
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in tensors.values():
      file.write(np.ascontiguousarray(tensor).tobytes())

  storage.write(storage.open_path(path), save)


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
  """Return the texts in the header, {} without any.

  Raises:
    ValueError: if the file cannot be read.
  """
  try:
    with open(path, "rb") as file:
      length = int.from_bytes(file.read(8), "little")
      if length > os.path.getsize(path):
        raise ValueError("the header is longer than the file")
      metadata = json.loads(file.read(length)).get("__metadata__", {})
    if not all(isinstance(text, str) for text in metadata.values()):
      raise ValueError("its metadata are not texts")
  except Exception as error:  # Damaged headers raise many types.
    raise ValueError(
      f"weight file {path} is missing, truncated or damaged ({error!r})."
    ) from error
  return metadata
