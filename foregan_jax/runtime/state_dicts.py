"""Read the weights of PyTorch networks, without PyTorch and without trust.

A `.pth` file is a pickle, and a pickle is a program. This reader knows the few
names that a dict of tensors needs, puts harmless stand-ins in their place and
refuses the file at any other name. Both layouts of `torch.save` are read, the
zip of 1.6 and later and the earlier row of pickles, and `.safetensors`.
"""

import collections
import io
import json
import math
import os
import pathlib
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_HEAD = (0x1950A86A20F9469CFC6C, 1001)  # magic number, protocol version

# Names as in safetensors. BF16 and BOOL are decoded from these raw numbers.
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
# Where a training script keeps the weights among other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
_PARALLEL = "module."  # what nn.DataParallel puts before every name
_MAX_NAMES = 5


class _RefusedError(ValueError):
  """What is wrong with a file, as the end of a sentence about it."""


_Storage = collections.namedtuple("_Storage", "dtype key count")
# As the file says; checked where the tensor is cut out of its storage.
_Tensor = collections.namedtuple("_Tensor", "storage offset shape strides")


class _Dict(dict):
  """Stands in for OrderedDict, which would let a file set attributes."""

  __slots__ = ()

  def __setstate__(self, state):
    """Drop the versions of modules that a state dict carries."""


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Read the tensors of a weight file; nothing in the file is ever run.

  The file holds a dict of tensors, or has one under the key state_dict,
  model_state_dict, model_state or model; what lies beside that key (epoch,
  optimizer) is ignored. If all names begin with "module.", that is taken off.

  Args:
    path: a .pth or .pt file that `torch.save` wrote, or a .safetensors file.

  Returns:
    The tensors by name, contiguous and writable; bfloat16 as float32.

  Raises:
    ValueError: if the file is missing, damaged, no weight file, or asks for
      more than a weight file has need of.
  """
  path = pathlib.Path(path)
  try:
    content = path.read_bytes()
    if path.suffix == ".safetensors":
      tensors = _read_safetensors(content)
    elif content.startswith(b"PK\x03\x04"):
      tensors = _read_zip(content)
    else:
      tensors = _read_legacy(content)
    _require(len(tensors) > 0, "holds no tensors, expected at least one")
  except _RefusedError as error:
    raise ValueError(f"weight file {path} {error}.") from error
  except Exception as error:  # Damage makes parsers raise almost anything.
    raise ValueError(
      f"weight file {path} is missing, truncated or damaged ({error!r})."
    ) from error
  if all(name.startswith(_PARALLEL) for name in tensors):
    tensors = {k.removeprefix(_PARALLEL): v for k, v in tensors.items()}
  return tensors


def expect(
  tensors: Mapping[str, np.ndarray],
  shapes: Mapping[str, tuple[int, ...]],
  path: str | os.PathLike,
  *,
  ignore: tuple[str, ...] = (),
) -> None:
  """Refuse tensors that are not those of a network.

  Args:
    tensors: what `read` returned.
    shapes: the network's tensors, by name.
    path: the file, for the sentence.
    ignore: endings of names that the file may have and the network lacks.

  Raises:
    ValueError: if tensors are missing, surplus or of another shape.
  """
  found = {name: tensor.shape for name, tensor in tensors.items()}
  kinds = {"missing": [], "surplus": [], "misshapen": []}
  for name in {**shapes, **found}:
    has, needs = found.get(name), shapes.get(name)
    if has is None:
      kinds["missing"].append(f"{name} {needs}")
    elif needs is None and not name.endswith(ignore):
      kinds["surplus"].append(f"{name} {has}")
    elif needs not in (None, has):
      kinds["misshapen"].append(f"{name} (found {has}, expected {needs})")
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


def _require(fine: bool, reason: str) -> None:
  if not fine:
    raise _RefusedError(reason)


class _Unpickler(pickle.Unpickler):
  """Builds containers and descriptions of tensors, and nothing else."""

  def __init__(self, stream: io.BytesIO):
    super().__init__(stream, encoding="utf-8")  # Python 2 wrote bytes.
    self.storages: set[_Storage] = set()

  def find_class(self, module: str, name: str) -> Any:
    # A pickle can set attributes of what it is given here, and they would
    # outlive this read: not so on a lambda made anew, nor on a string or on a
    # class whose __setstate__ wants an instance, which do not let it.
    known = {
      "collections.OrderedDict": _Dict,
      "torch._utils._rebuild_tensor_v2": lambda *args: self._tensor(*args),
      "torch._utils._rebuild_parameter": lambda tensor, *unused_rest: tensor,
    }
    # Early PyTorch names the storages of a GPU torch.cuda's.
    if module in ("torch", "torch.cuda") and name in _STORAGES:
      return _STORAGES[name]
    asked = f"{module}.{name}"
    if asked not in known:
      raise _RefusedError(
        f"asks for {ascii(asked)[1:-1]}, which a weight file has no need of; "
        "refused before anything was run"
      )
    return known[asked]

  def persistent_load(self, pid: Any) -> _Storage:
    match pid:
      case ("storage", str(dtype), str(key), _, int(count), *view):
        storage = _Storage(dtype, key, count)
        self.storages.add(storage)
        # A view of another storage: PyTorch has long ceased to write them.
        if dtype in _DTYPES and not any(view):
          return storage
    raise _RefusedError("describes a storage as PyTorch does not")

  def _tensor(self, storage, offset, shape, strides, *rest) -> _Tensor:
    # The rest: gradient, hooks, and whether what is stored is to be negated.
    _require(not any(rest[2:]), "has a negated tensor, expected plain ones")
    return _Tensor(storage, offset, shape, strides)


def _read_zip(content: bytes) -> dict[str, np.ndarray]:
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    for entry in archive.infolist():
      stored = entry.compress_type == zipfile.ZIP_STORED
      encrypted = entry.flag_bits & 1
      found = f"has {entry.filename!r} compressed or encrypted"
      _require(stored and not encrypted, f"{found}, expected it plain")
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    _require(len(pickles) == 1, f"has data.pkl {len(pickles)} times, not once")
    top = pickles[0].removesuffix("data.pkl")
    if f"{top}byteorder" in names:
      order = archive.read(f"{top}byteorder")
      _require(order == b"little", f"has byte order {order}, expected little")
    unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])))
    tensors = _tensors_in(unpickler.load())
    values = {
      storage: _decode(storage, archive.read(f"{top}data/{storage.key}"))
      for storage in unpickler.storages
    }
  return {name: _cut(name, x, values) for name, x in tensors.items()}


def _read_legacy(content: bytes) -> dict[str, np.ndarray]:
  stream = io.BytesIO(content)
  known = content.startswith(pickle.PROTO)
  known = known and all(_Unpickler(stream).load() == n for n in _HEAD)
  _require(known, "is no weight file, expected .pth or .safetensors")
  _Unpickler(stream).load()  # The writing machine; the data is little-endian.
  unpickler = _Unpickler(stream)
  tensors = _tensors_in(unpickler.load())
  storages = {storage.key: storage for storage in unpickler.storages}
  keys = _Unpickler(stream).load()
  _require(sorted(keys) == sorted(storages), "lists other storages than used")
  values = {}
  for key in keys:
    storage = storages[key]
    count = int.from_bytes(stream.read(8), "little")
    _require(count == storage.count, f"has {count}, not {storage.count} values")
    size = count * np.dtype(_DTYPES[storage.dtype]).itemsize
    values[storage] = _decode(storage, stream.read(size))
  return {name: _cut(name, x, values) for name, x in tensors.items()}


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
  start = 8 + int.from_bytes(content[:8], "little")
  size = len(content)
  _require(start <= size, f"has {size} bytes, expected {start} of header")
  tensors = {}
  for name, entry in json.loads(content[8:start]).items():
    if name == "__metadata__":
      continue
    dtype, shape = entry["dtype"], entry["shape"]
    first, stop = entry["data_offsets"]
    _require(dtype in _DTYPES, f"has dtype {dtype}, expected {[*_DTYPES]}")
    inside = _are_counts(first, stop, *shape) and stop <= size - start
    found = f"has {name!r}, {shape}, at bytes {first} to {stop}"
    _require(inside, f"{found}, expected it within {size - start}")
    raw = content[start + first : start + stop]
    values = _decode(_Storage(dtype, name, math.prod(shape)), raw)
    tensors[name] = values.reshape(shape).copy()
  return tensors


def _tensors_in(tree: Any) -> dict[str, _Tensor]:
  """Returns the dict of tensors, which may lie one level down."""
  if isinstance(tree, dict):
    inner = [tree[k] for k in _WRAPPERS if isinstance(tree.get(k), dict)]
    _require(len(inner) < 2, f"has two dicts among {_WRAPPERS}, expected one")
    tree = inner[0] if inner else tree
  kind = type(tree).__name__
  _require(isinstance(tree, dict), f"holds {kind}, expected a dict of tensors")
  for name, value in tree.items():
    kind = type(value).__name__
    fine = isinstance(name, str) and isinstance(value, _Tensor)
    _require(fine, f"holds {kind} at {name!r}, expected named tensors alone")
  return dict(tree)


def _cut(name: str, tensor: _Tensor, values: Mapping) -> np.ndarray:
  """Returns a copy of what the tensor views of its storage."""
  storage, start, shape, strides = tensor
  sizes = list(zip(shape, strides, strict=True))
  fine = isinstance(storage, _Storage) and _are_counts(start, *shape, *strides)
  _require(fine, f"describes {name!r} as PyTorch does not")
  flat = values[storage]
  if 0 in shape:
    return np.zeros(shape, flat.dtype)
  last = start + sum((size - 1) * stride for size, stride in sizes)
  found = f"has {name!r} end at element {last}"
  _require(last < flat.size, f"{found}, expected below {flat.size}")
  # An axis of one entry may have any stride, even one beyond 64 bits.
  steps = [stride * flat.itemsize * (size > 1) for size, stride in sizes]
  # Unlike as_strided, this checks the bounds once more.
  view = np.ndarray(shape, flat.dtype, flat, start * flat.itemsize, steps)
  return view.copy()


def _decode(storage: _Storage, raw: bytes) -> np.ndarray:
  """Returns a storage's elements in this machine's byte order."""
  dtype = np.dtype(_DTYPES[storage.dtype]).newbyteorder("<")
  size = storage.count * dtype.itemsize
  found = f"has {len(raw)} bytes of {storage.key!r}"
  _require(len(raw) == size, f"{found}, expected {size}; is it truncated?")
  values = np.frombuffer(raw, dtype)
  if storage.dtype == "BF16":  # the upper half of a float32
    return (values.astype(np.uint32) << 16).view(np.float32)
  if storage.dtype == "BOOL":
    return values != 0
  return values.astype(dtype.newbyteorder("="), copy=False)


def _are_counts(*values: Any) -> bool:
  return all(type(value) is int and value >= 0 for value in values)
