"""Reading prepared folders: imports, access on demand, errors."""

import json
import os
import subprocess
import sys

import pytest
from tensorflow_datasets.core.data_sources import base

from foregan_jax.data import clips, instances, stills
from foregan_jax.data.prepared import builder, records
from foregan_jax.data.prepared import instances as prepared_instances
from foregan_jax.media import images
from tests.media import bombs

INFO = "dataset_info.json"


@pytest.fixture
def prepared(tiny_root, tmp_path):
  return prepared_instances.prepare(tiny_root, tmp_path / "tfds")


def _open(root):
  return instances.Instances(root, split="train", size=8)


def test_importing_sources_imports_neither_tfds_nor_builders():
  code = """if True:
    import sys
    import foregan_jax.data.clips
    import foregan_jax.data.instances
    import foregan_jax.data.stills
    assert "tensorflow_datasets" not in sys.modules
    package = "foregan_jax.data.prepared."
    print(*(name for name in sys.modules if name.startswith(package)))
  """
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.split() == ["foregan_jax.data.prepared.records"]


def test_opening_reads_no_record(prepared, monkeypatch):
  def fail(*_):
    raise AssertionError("read a record")

  monkeypatch.setattr(base.BaseDataSource, "__getitem__", fail)
  source = _open(prepared)
  assert source.names == ("ant", "cicada")
  with pytest.raises(images.DataError, match="read a record"):
    source[0]


@pytest.mark.parametrize(
  "pattern", ["metadata.json", INFO, "features.json", "*-train.array_record*"]
)
@pytest.mark.parametrize("rest", [0, 0.5, None])
def test_damaged_folder_error_names_the_folder(prepared, pattern, rest):
  (path,) = prepared.glob(pattern)
  content = path.read_bytes()
  path.unlink()
  if rest is not None:
    path.write_bytes(content[: int(rest * len(content))])
  message = "prepare it again"
  if rest is None and pattern == INFO:
    message = "no folder JPEGImages"  # such a folder is not a prepared one
  with pytest.raises(images.DataError, match=f"{prepared}.*{message}"):
    source = _open(prepared)
    if rest is not None:  # opening already fails for a missing file
      source[0]


def test_records_of_another_builder_are_refused(prepared):
  with pytest.raises(images.DataError, match="holds instances, expected vid"):
    clips.open_reader(prepared, year="2017", split="train", resolution="")
  with pytest.raises(images.DataError, match="holds instances, expected sti"):
    stills.open_reader(prepared, "train")


@pytest.mark.parametrize("name", ["../../../x", "/etc/x", ".."])
def test_names_that_leave_the_folder_are_refused(prepared, name):
  """Results are written under the names of records."""
  (path,) = prepared.glob("metadata.json")
  content = path.read_text()
  assert '"ant"' in content or r"\"ant\"" in content
  path.write_text(content.replace("ant", name, 1))
  with pytest.raises(images.DataError, match="is not the name of a file"):
    _open(prepared)


@pytest.mark.parametrize(
  "content",
  [b"", b"junk", b"\x89PNG\r\n\x1a\n", bombs.png(2**16, 2**16)],
  ids=["empty", "junk", "cut", "bomb"],
)
def test_damaged_mask_of_a_record_is_named(prepared, monkeypatch, content):
  source = _open(prepared)
  record = source._reader.record(0) | {"labels": content}
  monkeypatch.setattr(source._reader, "record", lambda index: record)
  with pytest.raises(images.DataError, match="1.0.0/ant: mask is damaged"):
    source[0]


def test_mask_of_another_size_is_refused(prepared, monkeypatch):
  source = _open(prepared)
  small = builder.encode_grey(None).getvalue()
  record = source._reader.record(0) | {"labels": small}
  monkeypatch.setattr(source._reader, "record", lambda index: record)
  with pytest.raises(images.DataError, match="ant: size is 1x1, expected 40x"):
    source[0]


@pytest.mark.parametrize(
  "entries", ["[5]", '[{"name": "ant"}]', "5", '["a/.."]']
)
def test_damaged_index_is_named(prepared, entries):
  path = prepared / "metadata.json"
  fields = json.loads(path.read_text())
  fields["index"] = {"train": json.loads(entries)}
  path.write_text(json.dumps(fields))
  info = prepared / "dataset_info.json"
  info.write_text(info.read_text().replace("instances", "videos"))
  with pytest.raises(images.DataError, match="damaged|is not the name"):
    records.VideoRecords(prepared, year="", split="train", resolution="")


@pytest.mark.parametrize("name", [INFO, "features.json", "metadata.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_pipes_and_folders_in_place_of_files_are_named(prepared, name, make):
  (prepared / name).unlink()
  make(prepared / name)
  with pytest.raises(images.DataError, match=f"{name}: is not a file"):
    records.InstanceRecords(prepared, "train", resolution="")
