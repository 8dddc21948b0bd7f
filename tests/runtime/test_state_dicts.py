"""Tests of weight files: tensors are read, and no code of the file runs."""

import collections
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from foregan_jax.runtime import state_dicts
from tests.runtime import torch_files as files

both_layouts = pytest.mark.parametrize("layout", ["zip", "legacy"])


@pytest.fixture
def path(tmp_path):
  return tmp_path / "net.pth"


def check_rejected(path, message):
  with pytest.raises(
    ValueError, match=f"^weight file .*{path.name} .*{message}"
  ):
    state_dicts.read(path)


@both_layouts
def test_views_of_one_storage_are_read(path, layout):
  shared = files.Storage(range(12))
  whole = np.arange(12, dtype=np.float32).reshape(3, 4)
  views = {
    "whole": (0, (3, 4), (4, 1), whole),
    "transposed": (0, (4, 3), (1, 4), whole.T),
    "offset": (5, (2, 2), (4, 1), whole[1:, 1:3]),
    "expanded": (7, (2, 3), (0, 0), np.full((2, 3), 7)),
    "scalar": (11, (), (), np.array(11)),
    "empty": (0, (0, 3), (3, 1), np.zeros((0, 3))),
    "row": (4, (1, 4), (2**70, 1), whole[1:2]),
  }
  hooks = collections.OrderedDict()
  tree = collections.OrderedDict()
  tree._metadata = {"": {"version": 1}}
  for name, (*place, _) in views.items():
    plain = files.tensor(shared, *place, None)
    rebuild = files.named("torch._utils", "_rebuild_parameter")
    tree[name] = (
      files.Call(rebuild, plain, True, hooks) if "s" in name else plain
    )
  found = state_dicts.read(files.write(path, tree, layout))
  assert list(found) == list(views)
  for name, array in found.items():
    assert array.dtype == np.float32
    assert array.shape == views[name][-1].shape
    assert np.array_equal(array, views[name][-1]), name
    assert array.flags.c_contiguous and array.flags.writeable
  found["whole"][:] = 0
  assert found["offset"].all()  # The tensors do not share memory.


@both_layouts
def test_number_types_are_read(path, layout):
  numbers = {kind: [100, 0, 3] for kind in files.KINDS}
  numbers["BFloat16"] = [0x3FC0, 0xC010, 1]
  expected = {kind: (dtype, [100, 0, 3]) for kind, dtype in files.KINDS.items()}
  expected["BFloat16"] = ("f4", [1.5, -2.25, 2.0**-133])
  expected["Bool"] = ("?", [True, False, True])
  tree = {
    k: files.tensor(files.Storage(v, k), 0, (3,), (1,))
    for k, v in numbers.items()
  }
  found = state_dicts.read(files.write(path, tree, layout))
  for kind, (dtype, values) in expected.items():
    assert found[kind].dtype == np.dtype(dtype), kind
    assert found[kind].tolist() == values
  assert found["Bool"].tobytes() == b"\1\0\1"


@both_layouts
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state"])
def test_weights_one_level_down_are_read(path, layout, key):
  inner = {"module.a.w": files.matrix(), "module.b": files.matrix()}
  tree = {
    "epoch": 3,
    "optimizer": [{0: {"m": files.matrix()}}, 0.1],
    key: inner,
  }
  found = state_dicts.read(files.write(path, tree, layout))
  assert list(found) == ["a.w", "b"]
  assert found["a.w"].tolist() == [[0, 1, 2], [3, 4, 5]]


@both_layouts
@pytest.mark.parametrize(
  "tree, message",
  [
    (
      {"w": files.matrix(), "epoch": 3},
      "holds int at 'epoch', expected only named",
    ),
    (
      {"state_dict": {"w": files.matrix(), "lr": 0.1}},
      "holds float at 'lr'",
    ),
    ({1: files.matrix()}, "at 1, expected only named tensors"),
    ([files.matrix()], "holds list, expected a dict of tensors"),
    ({"model": {}, "state_dict": {}}, "has two dicts"),
    ({}, "holds no tensors"),
    (
      {"w": files.tensor("0", 0, (), ())},
      "has 'w' in a form that PyTorch does not write",
    ),
    (
      {"w": files.tensor(files.Storage([1]), 0, (1,), (1,), {"neg": True})},
      "negated",
    ),
    (
      {"w": files.tensor(files.Storage([1, 2], cut=4), 0, (), ())},
      "has 4 bytes in '0'",
    ),
  ],
)
def test_other_contents_are_rejected(path, layout, tree, message):
  check_rejected(files.write(path, tree, layout), message)


@both_layouts
@pytest.mark.parametrize("nested", [False, True])
def test_code_is_rejected_before_it_runs(path, tmp_path, layout, nested):
  witness = tmp_path / "witness"
  call = files.Call(os.system, f"touch {witness}")
  tree = {"state_dict": {"w": files.matrix()}, "x": [call]} if nested else call
  message = "refers to posix.system, .*; rejected before running any code"
  check_rejected(files.write(path, tree, layout), message)
  assert not witness.exists()
  # A plain pickle.loads does run the code.
  pickle.loads(pickle.dumps(call))
  assert witness.exists()


@pytest.mark.parametrize("place", range(4))
def test_code_in_any_pickle_of_the_legacy_layout_is_rejected(
  path, tmp_path, place
):
  witness = tmp_path / "witness"
  call = files.Call(os.mkdir, str(witness))
  head = [call if place == k else part for k, part in enumerate(files.HEAD)]
  keys = [call] if place == 3 else None
  files.write(path, {"w": files.matrix()}, "legacy", head=head, keys=keys)
  check_rejected(path, "refers to posix.mkdir")
  assert not witness.exists()


@pytest.mark.parametrize(
  "code, message",
  [
    (b"cbuiltins\neval\n", "refers to builtins.eval, which"),
    (b"ctorch._utils\n_rebuild_qtensor\n", "refers to torch._utils._rebuild_q"),
    (b"ctorch\nComplexStorage\n", "refers to torch.ComplexStorage, which"),
    (b"cos\nFloatStorage\n", "refers to os.FloatStorage, which"),
    # Unlike GLOBAL, STACK_GLOBAL accepts any text: the error must escape it.
    (b"\x8c\x03a\nb\x8c\x02\x1b[\x93", r"refers to a\\nb\.\\x1b\[, which"),
    (b"K\x07Q", "has a storage in a form that PyTorch does not write"),
    (
      b"(X\x01\x00\x00\x00xK\x01tQ",
      "has a storage in a form that PyTorch does not write",
    ),
  ],
)
def test_other_names_are_rejected(path, code, message):
  check_rejected(files.write_zip(path, b"\x80\x04" + code + b"."), message)


@pytest.mark.parametrize(
  "code",
  [b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"]
  + [b"ctorch._utils\n_rebuild_" + x for x in (b"tensor_v2\n", b"parameter\n")],
)
@pytest.mark.parametrize("slots", [False, True])
def test_pickle_cannot_change_the_reader(path, code, slots):
  # BUILD sets attributes of an object, by __dict__ or by setattr.
  state = b"}X\x07\x00\x00\x00spoiledK\x01s"
  state = b"N" + state + b"\x86" if slots else state
  check_rejected(files.write_zip(path, b"\x80\x02" + code + state + b"b."), "")
  parts = [*vars(state_dicts).values(), *vars(state_dicts._Unpickler).values()]
  assert not any(hasattr(part, "spoiled") for part in parts)


@both_layouts
@pytest.mark.parametrize(
  "place, message",
  [
    ((7, (2, 3), (3, 1)), "has 'w' with last element 12, expected below 6"),
    ((6, (), ()), "with last element 6, "),
    ((0, (2**40, 2**40), (2**40, 1)), r"with last element \d{20}"),
    ((-1, (2,), (1,)), "has 'w' in a form"),
    ((5, (2,), (-1,)), "has 'w' in a form"),
    ((0, (-2,), (1,)), "has 'w' in a form"),
    ((0, (2.0,), (1,)), "has 'w' in a form"),
    ((None, (2,), (1,)), "has 'w' in a form"),
    ((0, "23", "31"), "has 'w' in a form"),
    ((0, (2, 3), (1,)), "damaged"),
    ((0, (2**62, 2**62), (0, 0)), "of shape .* in a storage of 6 values"),
    ((0, (2**46,), (0,)), "of shape .* in a storage of 6 values"),
    ((0, (0, 2**70), (1, 1)), "damaged"),
  ],
)
def test_tensor_outside_its_storage_is_rejected(path, layout, place, message):
  check_rejected(
    files.write(
      path,
      {"w": files.tensor(files.Storage(range(6)), *place)},
      layout,
    ),
    message,
  )


@pytest.mark.parametrize("layout", ["zip", "legacy", "safetensors"])
def test_truncated_file_is_rejected(path, layout):
  if layout == "safetensors":
    path = files.write_safetensors(
      path, {"w": ("F32", [6], [0, 24])}, bytes(24)
    )
  else:
    files.write(path, {"w": files.matrix()}, layout)
  assert state_dicts.read(path)["w"].size == 6
  content = path.read_bytes()
  for size in range(len(content)):
    path.write_bytes(content[:size])
    check_rejected(path, "")


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"count": 5}, "has 5 values in storage '0', expected 6"),
    ({"count": -6}, r"has \d+ values in storage '0', expected 6"),
    ({"keys": ["1"]}, "lists other storages than its tensors use"),
    ({"keys": ["0", "0"]}, "lists other storages than its tensors use"),
    ({"head": (1, *files.HEAD[1:])}, "is no weight file"),
    ({"head": (files.HEAD[0], 1002, {})}, "is no weight file"),
  ],
)
def test_inconsistent_legacy_file_is_rejected(path, changes, message):
  check_rejected(
    files.write(path, {"w": files.matrix()}, "legacy", **changes),
    message,
  )


def test_inconsistent_zip_file_is_rejected(path):
  files.write(
    path, {"w": files.matrix()}, "zip", compression=zipfile.ZIP_DEFLATED
  )
  check_rejected(path, "'archive/data.pkl' compressed or")
  check_rejected(
    files.write(path, {"w": files.matrix()}, "zip", order="big"),
    "order b'big'",
  )
  content = files.write(
    path, {"w": files.matrix()}, "zip", order=""
  ).read_bytes()
  encrypted = bytearray(content)
  encrypted[content.index(b"PK\x01\x02") + 8] |= 1  # flags in the directory
  data = np.arange(6, dtype="<f4").tobytes()
  for change, message in (
    (encrypted, "'archive/data.pkl' compressed or encrypted, expected unc"),
    (content.replace(data, b"\1" + data[1:]), "damaged .*CRC"),
    (content.replace(b"data/0", b"data/1"), "archive/data/0"),
    (
      content.replace(b"data.pkl", b"data.txt"),
      "has 0 files data.pkl, expected 1",
    ),
  ):
    path.write_bytes(change)
    check_rejected(path, message)
  path.write_bytes(content)
  assert state_dicts.read(path)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x05\x06"])
def test_other_files_are_rejected(path, content):
  check_rejected(path, "is missing.*FileNotFound")
  path.write_bytes(content)
  check_rejected(path, "is no weight file, expected .pth or .safetensors")


def test_safetensors_are_read(path):
  header = {
    "module.w": ("F32", [3, 2], [5, 29]),
    "n": ("U8", [], [0, 1]),
    "module.h": ("BF16", [2], [1, 5]),
  }
  data = b"\x07\xc0\x3f\x10\xc0" + np.arange(6, dtype="<f4").tobytes()
  found = state_dicts.read(files.write_safetensors(path, header, data))
  assert list(found) == ["module.w", "n", "module.h"]
  assert found["module.w"].tolist() == [[0, 1], [2, 3], [4, 5]]
  assert found["n"].tolist() == 7
  assert found["module.h"].tolist() == [1.5, -2.25]
  assert [x.dtype for x in found.values()] == ["f4", "u1", "f4"]
  assert all(x.flags.writeable and x.flags.aligned for x in found.values())


@pytest.mark.parametrize(
  "header, message",
  [
    (b"[" * 100_000, "damaged"),
    (b"{}", "holds no tensors"),
    (b'{"w": {"dtype": "F32", "shape": [1]}}', "damaged .*data_offsets"),
    ({"w": ("F8_E4M3", [4], [0, 4])}, "has dtype F8_E4M3, expected .*'F32'"),
    ({"w": ("F32", [2], [0, 4])}, "has 4 bytes in 'w', expected 8"),
    ({"w": ("F32", [2], [0, 8])}, "expected within 0 to 4"),
    ({"w": ("F32", [1], [-4, 0])}, "expected within 0 to 4"),
    ({"w": ("F32", [-1, -1], [0, 4])}, "expected within 0 to 4"),
  ],
)
def test_invalid_safetensors_are_rejected(path, header, message):
  path = files.write_safetensors(path, header, bytes(4))
  check_rejected(path, message)
  path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
  check_rejected(path, "has 10 bytes, its header needs 9223")


def test_check_shapes_lists_all_differences():
  tensors = {f"new{k}": np.zeros(k) for k in range(5)}
  tensors |= {"w": np.zeros((2, 3)), "s": np.zeros(()), "bn.seen": np.zeros(1)}
  shapes = {name: array.shape for name, array in tensors.items()}
  state_dicts.check_shapes(tensors, shapes, "a.pth")
  shapes = {"w": (3, 2), "s": (1,)} | {f"old{k}": (k,) for k in range(7)}
  with pytest.raises(ValueError) as caught:
    state_dicts.check_shapes(
      tensors, shapes, "dir/a.pth", ignore=("other", "seen")
    )
  assert str(caught.value) == (
    "weight file dir/a.pth does not fit the network; missing: old0 (0,), "
    "old1 (1,), old2 (2,), old3 (3,), old4 (4,), 2 more; unexpected: "
    "new0 (0,), new1 (1,), new2 (2,), new3 (3,), new4 (4,); wrong shape: "
    "w (found (2, 3), expected (3, 2)), s (found (), expected (1,))."
  )


@pytest.mark.parametrize("zipped", [True, False])
def test_files_written_by_torch_are_read(path, zipped):
  torch = pytest.importorskip("torch")
  tree = torch.nn.Sequential(torch.nn.BatchNorm2d(4)).state_dict()
  base = torch.arange(24.0).reshape(4, 6)
  tree |= {"transposed": base.T, "view": base[1:, 2:4], "truths": base > 3}
  tree |= {"half": base.half(), "brain": base.bfloat16()}
  tree |= {"scalar": torch.tensor(3.5), "param": torch.nn.Parameter(base)}
  for content in (tree, {"epoch": 1, "state_dict": tree}):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = state_dicts.read(path)
    assert found.keys() == tree.keys()
    for name, value in tree.items():
      value = value.float() if name == "brain" else value
      assert found[name].dtype == value.detach().numpy().dtype
      assert np.array_equal(found[name], value.detach().numpy()), name


@both_layouts
def test_small_file_with_huge_tensors_is_rejected(path, layout):
  few = files.Storage(range(4))
  tree = {"big": files.tensor(few, 0, (40_000, 40_000), (0, 0))}
  check_rejected(files.write(path, tree, layout), "'big' of shape .*4 values")
  many = files.Storage(range(1000))
  tree = {str(i): files.tensor(many, 0, (1000,), (1,)) for i in range(500)}
  check_rejected(files.write(path, tree, layout), "needs more than .*8 times")


def test_huge_memo_index_is_rejected(path):
  """Python would allocate 34 GB for it."""
  content = b"\x80\x02}r\xff\xff\xff\xff."
  check_rejected(
    files.write_zip(path, content), "memo index 4294967295 in a pickle of 4"
  )


def test_overlapping_safetensors_are_rejected(tmp_path):
  entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
  other = {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}
  header = json.dumps({"a": entry, "b": other}).encode()
  path = tmp_path / "net.safetensors"
  path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
  check_rejected(path, "'a' and 'b' at the same bytes")
