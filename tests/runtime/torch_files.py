"""Write weight files like PyTorch does, valid and invalid, without PyTorch."""

import collections
import io
import json
import pickle
import zipfile

import numpy as np

HEAD = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
KINDS = {
  "Float": "f4", "Double": "f8", "Half": "f2", "Long": "i8", "Int": "i4",
  "Short": "i2", "Char": "i1", "Byte": "u1", "BFloat16": "u2", "Bool": "u1",
}  # fmt: skip


def named(module, name):
  """Return a stand-in for an object of PyTorch; pickled by its name."""
  return type(name, (), {"__module__": module})


class Storage:
  """A storage of numbers in PyTorch's format, with the name of its type."""

  def __init__(self, values, kind="Float", cut=None):
    self.type = named("torch", f"{kind}Storage")
    self.count = len(values)
    self.raw = np.asarray(values, f"<{KINDS[kind]}").tobytes()[:cut]


class Call:
  """An object whose pickle calls a function."""

  def __init__(self, function, *args):
    self.call = function, args

  def __reduce__(self):
    return self.call


def tensor(storage, offset, shape, strides, *metadata):
  rebuild = named("torch._utils", "_rebuild_tensor_v2")
  hooks = collections.OrderedDict()
  return Call(rebuild, storage, offset, shape, strides, False, hooks, *metadata)


def matrix():
  return tensor(Storage(range(6)), 0, (2, 3), (3, 1))


class Pickler(pickle._Pickler):
  """A pickler of names that do not exist and of storages like PyTorch's."""

  def save_global(self, obj, name=None):
    self.write(f"c{obj.__module__}\n{name or obj.__name__}\n".encode())
    self.memoize(obj)

  def persistent_id(self, obj):
    if isinstance(obj, Storage):
      self.stored += [] if obj in self.stored else [obj]
      key = str(self.stored.index(obj))
      return ("storage", obj.type, key, "cuda:0", obj.count, *self.view)


def write(path, tree, layout, **kwargs):
  stream = io.BytesIO()
  pickler = Pickler(stream, protocol=2)
  pickler.stored, pickler.view = [], [None] * (layout == "legacy")
  pickler.dump(tree)
  save = write_zip if layout == "zip" else write_legacy
  return save(path, stream.getvalue(), pickler.stored, **kwargs)


def write_zip(path, content, stored=(), *, order="little", **kwargs):
  with zipfile.ZipFile(path, "w", **kwargs) as archive:
    archive.writestr("archive/data.pkl", content)
    if order:
      archive.writestr("archive/byteorder", order)
    for key, storage in enumerate(stored):
      archive.writestr(f"archive/data/{key}", storage.raw)
  return path


def write_legacy(path, content, stored, *, head=HEAD, keys=None, count=None):
  keys = keys or [str(key) for key in range(len(stored))]
  parts = [pickle.dumps(part, 2) for part in head]
  parts += [content, pickle.dumps(keys, 2)]
  for storage in stored:
    size = (count or storage.count).to_bytes(8, "little", signed=True)
    parts += [size, storage.raw]
  path.write_bytes(b"".join(parts))
  return path


def write_safetensors(path, header, data):
  """Write a file; the header has (dtype, shape, place) by name, or is bytes."""
  if not isinstance(header, bytes):
    keys = ("dtype", "shape", "data_offsets")
    header = {k: dict(zip(keys, v, strict=True)) for k, v in header.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
  path = path.with_suffix(".safetensors")
  path.write_bytes(len(header).to_bytes(8, "little") + header + data)
  return path


def array(values):
  """Return a tensor that holds an array unchanged."""
  kind = {"f4": "Float", "i8": "Long"}[values.dtype.str[1:]]
  strides = tuple(n // values.itemsize for n in values.strides)
  return tensor(Storage(values.ravel(), kind), 0, values.shape, strides)


def write_arrays(path, arrays, layout):
  """Write named arrays; the layout is zip, legacy or safetensors."""
  if layout != "safetensors":
    tree = {name: array(np.ascontiguousarray(x)) for name, x in arrays.items()}
    return write(path, tree, layout)
  names = {"f4": "F32", "i8": "I64"}
  header, data = {}, b""
  for name, x in arrays.items():
    place = [len(data), len(data) + x.nbytes]
    header[name] = (names[x.dtype.str[1:]], list(x.shape), place)
    data += np.ascontiguousarray(x).tobytes()
  return write_safetensors(path, header, data)
