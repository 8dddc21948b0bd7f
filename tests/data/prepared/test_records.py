"""What prepared data sets have in common: lazy, checked, no TensorFlow."""

import os
import subprocess
import sys

import pytest
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.core.data_sources import base

from foregan_jax.data import clips, instances, stills
from foregan_jax.data.prepared import instances as prepared_instances
from foregan_jax.data.prepared import records
from foregan_jax.data.prepared import videos as prepared_videos
from foregan_jax.media import images

INFO = "dataset_info.json"
PREPARE = (prepared_instances.prepare, prepared_videos.prepare)


@pytest.fixture
def prepared(tiny_root, tmp_path):
  return prepared_instances.prepare(tiny_root, tmp_path / "tfds")


def _open(root):
  return instances.Instances(root, split="train", size=8)


def test_nothing_is_read_before_it_is_wanted(prepared, monkeypatch):
  def fail(*_):
    raise AssertionError("read a record")

  monkeypatch.setattr(base.BaseDataSource, "__getitem__", fail)
  source = _open(prepared)
  assert source.names == ("ant", "cicada")
  with pytest.raises(images.DataError, match="read a record"):
    source[0]


@pytest.mark.parametrize("prepare", PREPARE)
def test_a_wrong_folder_is_named(prepare, tmp_path):
  (tmp_path / "empty").mkdir()
  (tmp_path / "other/photos").mkdir(parents=True)
  for name, message in (
    ("nowhere", "does not exist"),
    ("empty", "no folder JPEGImages"),
    ("other", "no folder JPEGImages"),
  ):
    root = tmp_path / name
    with pytest.raises(images.DataError, match=f"{root}: .*{message}"):
      prepare(root, tmp_path / "tfds")
    assert not (tmp_path / "tfds").exists()


@pytest.mark.parametrize("prepare", PREPARE)
def test_a_missing_list_is_named(prepare, tiny_root, tmp_path):
  with pytest.raises(images.DataError, match="test.txt: .*is missing"):
    prepare(tiny_root, tmp_path / "tfds", splits=("train", "test"))
  assert not list((tmp_path / "tfds").rglob(INFO))


@pytest.mark.parametrize(
  "pattern", ["metadata.json", INFO, "features.json", "*-train.array_record*"]
)
@pytest.mark.parametrize("rest", [0, 0.5, None])
def test_a_damaged_folder_is_named(prepared, pattern, rest):
  (path,) = prepared.glob(pattern)
  content = path.read_bytes()
  path.unlink()
  if rest is not None:
    path.write_bytes(content[: int(rest * len(content))])
  message = "prepare it again"
  if rest is None and pattern == INFO:
    message = "no folder JPEGImages"  # looks like any other folder
  with pytest.raises(images.DataError, match=f"{prepared}.*{message}"):
    source = _open(prepared)
    if rest is not None:  # what is missing is noticed at once
      source[0]


def test_records_of_another_kind_are_refused(prepared):
  with pytest.raises(images.DataError, match="holds instances, expected vid"):
    clips.find(prepared, year="2017", split="train", resolution="")
  with pytest.raises(images.DataError, match="holds instances, expected sti"):
    stills.find(prepared, "train")


def test_what_is_there_already_is_kept_or_refused(prepared, tiny_root):
  out = prepared.parents[1]
  before = (prepared / INFO).stat().st_mtime_ns
  assert prepared_instances.prepare(tiny_root, out) == prepared
  assert (prepared / INFO).stat().st_mtime_ns == before
  with pytest.raises(images.DataError, match="delete it or prepare elsewhere"):
    prepared_instances.prepare(tiny_root, out, splits=("val",))
  other = tiny_root.rename(tiny_root.with_name("other"))
  with pytest.raises(images.DataError, match="expected .*other"):
    prepared_instances.prepare(other, out)


def test_large_splits_need_no_tensorflow_either(
  tiny_root, tmp_path, monkeypatch
):
  monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 100)
  prepared = prepared_videos.prepare(tiny_root, tmp_path, year="2017")
  assert records.is_prepared(prepared)


def test_importing_and_preparing_never_import_tensorflow(tiny_root, tmp_path):
  fake = tmp_path / "path/tensorflow"
  fake.mkdir(parents=True)
  (fake / "__init__.py").write_text("raise SystemExit('imported')")
  code = """if True:
    import importlib, pkgutil, sys
    import foregan_jax
    for module in pkgutil.walk_packages(foregan_jax.__path__, "foregan_jax."):
      importlib.import_module(module.name)
    from foregan_jax.data import instances
    from foregan_jax.data.prepared import instances as prepared_instances
    prepared_instances.main(sys.argv[1:])
    instances.Instances(
      f"{sys.argv[2]}/instances/1.0.0", split="train", size=8
    )[0]
    assert "tensorflow" not in sys.modules
  """
  path = os.pathsep.join([str(fake.parent), *sys.path])
  done = subprocess.run(
    [sys.executable, "-c", code, tiny_root, tmp_path],
    capture_output=True,
    text=True,
    check=False,
    env={**os.environ, "PYTHONPATH": path},
  )
  assert done.returncode == 0, done.stderr
