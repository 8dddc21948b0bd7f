"""Read the weights of PyTorch networks safely and without PyTorch.

A `.pth` file is a pickle, and loading a pickle can run any code. This reader
accepts only the few names that a dict of tensors needs and replaces them by
harmless stand-ins. It rejects a file with any other name. It reads both layouts
of `torch.save` (the zip file of 1.6 and later, and the earlier sequence of
pickles) and `.safetensors`.
"""

import collections
import io
import itertools
import json
import math
import os
import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

# Of the legacy layout: magic number, protocol version.
_LEGACY_HEAD = (0x1950A86A20F9469CFC6C, 1001)

# Names as in safetensors. BF16 and BOOL are decoded from these raw types.
_DTYPES = {
  "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "BOOL": "u1",
  "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1",
}  # fmt: skip
_STORAGES = {
  "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16",
  "BFloat16Storage": "BF16", "BoolStorage": "BOOL", "LongStorage": "I64",
  "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
  "ByteStorage": "U8",
}  # fmt: skip
# Keys under which training scripts save the weights, next to other data.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
_PARALLEL = "module."  # the prefix that nn.DataParallel adds to every name
_MAX_NAMES = 5  # of each kind, in an error text
# Tied weights share a storage, so the tensors may need more bytes than the
# file. A file of one kilobyte must not fill the memory.
_MAX_GROWTH = 8


class _RefusedError(ValueError):
  """An error whose text continues the sentence "weight file PATH ..."."""


_Storage = collections.namedtuple("_Storage", "dtype key count")
# Unchecked values of the file; `_extract` checks them.
_Tensor = collections.namedtuple("_Tensor", "storage offset shape strides")


class _Dict(dict):
  """A replacement of OrderedDict that a file cannot set attributes on."""

  __slots__ = ()

  def __setstate__(self, state):
    """Ignore the module versions that a state dict contains."""


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Read the tensors of a weight file without running code from it.

  The file contains a dict of tensors, or has one under the key state_dict,
  model_state_dict, model_state or model. Other keys next to it (epoch,
  optimizer) are ignored. If all names begin with "module.", this prefix is
  removed.

  Args:
    path: a .pth or .pt file that `torch.save` wrote, or a .safetensors file.

  Returns:
    The tensors by name, contiguous and writable; bfloat16 as float32.

  Raises:
    ValueError: if the file is missing, damaged or no weight file, or if its
      pickle contains a name that a weight file does not need.
  """
  path = pathlib.Path(path)
  try:
    # Reading a pipe or a device may never end.
    _require(path.is_file() or not path.exists(), "is not a file")
    content = path.read_bytes()
    limit = _MAX_GROWTH * len(content)
    if path.suffix == ".safetensors":
      tensors = _read_safetensors(content)
    elif content.startswith(b"PK\x03\x04"):
      tensors = _read_zip(content, limit)
    else:
      tensors = _read_legacy(content, limit)
    _require(len(tensors) > 0, "holds no tensors, expected at least one")
  except _RefusedError as error:
    raise ValueError(f"weight file {path} {error}.") from error
  except Exception as error:  # Parsers of damaged files raise many types.
    raise ValueError(
      f"weight file {path} is missing, truncated or damaged ({error!r})."
    ) from error
  if all(name.startswith(_PARALLEL) for name in tensors):
    tensors = {k.removeprefix(_PARALLEL): v for k, v in tensors.items()}
  return tensors


def check_shapes(
  tensors: Mapping[str, np.ndarray],
  shapes: Mapping[str, tuple[int, ...]],
  path: str | os.PathLike,
  *,
  ignore: tuple[str, ...] = (),
) -> None:
  """Raise an error if names or shapes of tensors differ from a network's.

  Args:
    tensors: the tensors that `read` returned.
    shapes: the shapes of the network's tensors, by name.
    path: the file, for the error text.
    ignore: suffixes of names that the file may have and the network does not.

  Raises:
    ValueError: if tensors are missing, unexpected or of another shape.
  """
  found = {name: tensor.shape for name, tensor in tensors.items()}
  kinds = {"missing": [], "unexpected": [], "wrong shape": []}
  for name in {**shapes, **found}:
    shape, expected = found.get(name), shapes.get(name)
    if shape is None:
      kinds["missing"].append(f"{name} {expected}")
    elif expected is None and not name.endswith(ignore):
      kinds["unexpected"].append(f"{name} {shape}")
    elif expected not in (None, shape):
      kinds["wrong shape"].append(
        f"{name} (found {shape}, expected {expected})"
      )
  parts = []
  for kind, names in kinds.items():
    more = len(names) - _MAX_NAMES
    shown = names[:_MAX_NAMES] + ([f"{more} more"] if more > 0 else [])
    if names:
      parts.append(f"{kind}: {', '.join(shown)}")
  if parts:
    raise ValueError(
      f"weight file {path} does not fit the network; {'; '.join(parts)}."
    )


def _require(condition: bool, reason: str) -> None:
  if not condition:
    raise _RefusedError(reason)


class _Unpickler(pickle.Unpickler):
  """An unpickler that builds only containers and descriptions of tensors."""

  def __init__(self, stream: io.BytesIO):
    super().__init__(stream, encoding="utf-8")  # Python 2 wrote bytes.
    self._stream = stream
    self.storages: set[_Storage] = set()

  def load(self) -> Any:
    # Python allocates as many memo entries as the largest index in the file.
    start, count, largest = self._stream.tell(), 0, 0
    for opcode, value, _ in pickletools.genops(self._stream):
      count += 1
      if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
        largest = max(largest, value)
    found = f"has memo index {largest} in a pickle of {count} operations"
    _require(largest <= count, f"{found}, which PyTorch does not write")
    self._stream.seek(start)
    return super().load()

  def find_class(self, module: str, name: str) -> Any:
    # A pickle can set attributes of the objects returned here, and on shared
    # objects they would persist after this read. So the functions are new
    # lambdas. A string and a class whose __setstate__ needs an instance do not
    # accept attributes.
    known = {
      "collections.OrderedDict": _Dict,
      "torch._utils._rebuild_tensor_v2": lambda *args: self._tensor(*args),
      "torch._utils._rebuild_parameter": lambda tensor, *unused_rest: tensor,
    }
    # Early versions of PyTorch save storages of a GPU as torch.cuda.*.
    if module in ("torch", "torch.cuda") and name in _STORAGES:
      return _STORAGES[name]
    full_name = f"{module}.{name}"
    if full_name not in known:
      raise _RefusedError(
        f"refers to {ascii(full_name)[1:-1]}, which a weight file does not "
        "need; rejected before running any code"
      )
    return known[full_name]

  def persistent_load(self, pid: Any) -> _Storage:
    match pid:
      case ("storage", str(dtype), str(key), _, int(count), *view):
        storage = _Storage(dtype, key, count)
        self.storages.add(storage)
        # A view of another storage is rejected: PyTorch no longer writes it.
        if dtype in _DTYPES and not any(view):
          return storage
    raise _RefusedError("has a storage in a form that PyTorch does not write")

  def _tensor(self, storage, offset, shape, strides, *rest) -> _Tensor:
    # The rest: gradient flag, hooks, and metadata such as a negation flag.
    _require(not any(rest[2:]), "has a negated tensor, which is not supported")
    return _Tensor(storage, offset, shape, strides)


def _read_zip(content: bytes, limit: int) -> dict[str, np.ndarray]:
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    for entry in archive.infolist():
      stored = entry.compress_type == zipfile.ZIP_STORED
      encrypted = entry.flag_bits & 1
      found = f"has {entry.filename!r} compressed or encrypted"
      _require(stored and not encrypted, f"{found}, expected uncompressed data")
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    found = f"has {len(pickles)} files data.pkl"
    _require(len(pickles) == 1, f"{found}, expected 1")
    top = pickles[0].removesuffix("data.pkl")
    if f"{top}byteorder" in names:
      order = archive.read(f"{top}byteorder")
      _require(order == b"little", f"has byte order {order!r}, expected little")
    unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])))
    tensors = _tensors_in(unpickler.load())
    values = {
      storage: _decode(storage, archive.read(f"{top}data/{storage.key}"))
      for storage in unpickler.storages
    }
  return _extract_all(tensors, values, limit)


def _read_legacy(content: bytes, limit: int) -> dict[str, np.ndarray]:
  stream = io.BytesIO(content)
  known = content.startswith(pickle.PROTO)
  known = known and all(_Unpickler(stream).load() == n for n in _LEGACY_HEAD)
  _require(known, "is no weight file, expected .pth or .safetensors")
  # The properties of the machine that wrote it; the data is little-endian.
  _Unpickler(stream).load()
  unpickler = _Unpickler(stream)
  tensors = _tensors_in(unpickler.load())
  storages = {storage.key: storage for storage in unpickler.storages}
  keys = _Unpickler(stream).load()
  fine = sorted(keys) == sorted(storages)
  _require(fine, "lists other storages than its tensors use")
  values = {}
  for key in keys:
    storage = storages[key]
    count = int.from_bytes(stream.read(8), "little")
    found = f"has {count} values in storage {key!r}"
    _require(count == storage.count, f"{found}, expected {storage.count}")
    size = count * np.dtype(_DTYPES[storage.dtype]).itemsize
    values[storage] = _decode(storage, stream.read(size))
  return _extract_all(tensors, values, limit)


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
  start = 8 + int.from_bytes(content[:8], "little")
  size = len(content)
  _require(start <= size, f"has {size} bytes, its header needs {start}")
  entries = json.loads(content[8:start])
  entries.pop("__metadata__", None)
  places = []
  for name, entry in entries.items():
    dtype, shape = entry["dtype"], entry["shape"]
    first, stop = entry["data_offsets"]
    _require(dtype in _DTYPES, f"has dtype {dtype}, expected {[*_DTYPES]}")
    inside = _are_counts(first, stop, *shape) and stop <= size - start
    found = f"has {name!r} of shape {shape} at bytes {first} to {stop}"
    _require(inside, f"{found}, expected within 0 to {size - start}")
    places.append((first, stop, name))
  neighbours = itertools.pairwise(sorted(places))
  for (_, end, one), (first, _, other) in neighbours:
    _require(end <= first, f"has {one!r} and {other!r} at the same bytes")
  tensors = {}
  for first, stop, name in places:
    dtype, shape = entries[name]["dtype"], entries[name]["shape"]
    raw = content[start + first : start + stop]
    values = _decode(_Storage(dtype, name, math.prod(shape)), raw)
    tensors[name] = values.reshape(shape).copy()
  return tensors


def _tensors_in(tree: Any) -> dict[str, _Tensor]:
  """Return the dict of tensors, which may be one level down."""
  if isinstance(tree, dict):
    inner = [tree[k] for k in _WRAPPERS if isinstance(tree.get(k), dict)]
    _require(len(inner) < 2, f"has two dicts among {_WRAPPERS}, expected one")
    tree = inner[0] if inner else tree
  kind = type(tree).__name__
  _require(isinstance(tree, dict), f"holds {kind}, expected a dict of tensors")
  for name, value in tree.items():
    kind = type(value).__name__
    fine = isinstance(name, str) and isinstance(value, _Tensor)
    _require(fine, f"holds {kind} at {name!r}, expected only named tensors")
  return dict(tree)


def _extract_all(
  tensors: Mapping[str, _Tensor], values: Mapping, limit: int
) -> dict[str, np.ndarray]:
  """Return copies of all tensors; refuse more than `limit` bytes."""
  extracted, left = {}, limit
  for name, tensor in tensors.items():
    extracted[name] = _extract(name, tensor, values)
    left -= extracted[name].nbytes
    found = f"needs more than {limit} bytes of memory for its tensors"
    _require(left >= 0, f"{found}, {_MAX_GROWTH} times its size")
  return extracted


def _extract(name: str, tensor: _Tensor, values: Mapping) -> np.ndarray:
  """Return a copy of the elements that the tensor views in its storage."""
  storage, start, shape, strides = tensor
  sizes = list(zip(shape, strides, strict=True))
  fine = isinstance(storage, _Storage) and _are_counts(start, *shape, *strides)
  _require(fine, f"has {name!r} in a form that PyTorch does not write")
  flat = values[storage]
  if 0 in shape:
    return np.zeros(shape, flat.dtype)
  last = start + sum((size - 1) * stride for size, stride in sizes)
  found = f"has {name!r} with last element {last}"
  _require(last < flat.size, f"{found}, expected below {flat.size}")
  found = f"has {name!r} of shape {shape} in a storage of {flat.size} values"
  _require(math.prod(shape) <= flat.size, found)
  # An axis of size 1 may have any stride, even one of more than 64 bits.
  steps = [stride * flat.itemsize * (size > 1) for size, stride in sizes]
  # Unlike as_strided, np.ndarray checks the bounds again.
  view = np.ndarray(shape, flat.dtype, flat, start * flat.itemsize, steps)
  return view.copy()


def _decode(storage: _Storage, raw: bytes) -> np.ndarray:
  """Return the elements of a storage in the native byte order."""
  dtype = np.dtype(_DTYPES[storage.dtype]).newbyteorder("<")
  size = storage.count * dtype.itemsize
  found = f"has {len(raw)} bytes in {storage.key!r}"
  _require(len(raw) == size, f"{found}, expected {size}; is it truncated?")
  values = np.frombuffer(raw, dtype)
  if storage.dtype == "BF16":  # the upper half of a float32
    return (values.astype(np.uint32) << 16).view(np.float32)
  if storage.dtype == "BOOL":
    return values != 0
  return values.astype(dtype.newbyteorder("="), copy=False)


def _are_counts(*values: Any) -> bool:
  return all(type(value) is int and value >= 0 for value in values)
