"""Preparing a folder: errors, existing output, no TensorFlow."""

import os
import subprocess
import sys
import tempfile

import pytest
from tensorflow_datasets.core import shuffle

from foregan_jax.data.prepared import instances, records, videos
from foregan_jax.media import images
from tests import commands

INFO = "dataset_info.json"
PREPARE = (instances.prepare, videos.prepare)


@pytest.mark.parametrize("prepare", PREPARE)
def test_unknown_layout_error_names_the_folder(prepare, tmp_path):
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
def test_missing_list_error_names_the_list(prepare, tiny_root, tmp_path):
  with pytest.raises(images.DataError, match="test.txt: .*is missing"):
    prepare(tiny_root, tmp_path / "tfds", splits=("train", "test"))
  assert not list((tmp_path / "tfds").rglob(INFO))


def test_existing_output_is_kept_or_refused(tiny_root, tmp_path):
  out = tmp_path / "tfds"
  prepared = instances.prepare(tiny_root, out)
  before = (prepared / INFO).stat().st_mtime_ns
  assert instances.prepare(tiny_root, out) == prepared
  assert (prepared / INFO).stat().st_mtime_ns == before
  with pytest.raises(images.DataError, match="delete it or prepare elsewhere"):
    instances.prepare(tiny_root, out, splits=("val",))
  other = tiny_root.rename(tiny_root.with_name("other"))
  with pytest.raises(images.DataError, match="expected .*other"):
    instances.prepare(other, out)


def test_large_splits_need_no_tensorflow(tiny_root, tmp_path, monkeypatch):
  monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 100)
  prepared = videos.prepare(tiny_root, tmp_path, year="2017")
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


@pytest.mark.parametrize("place", [".", "below/it"])
def test_output_that_is_a_file_is_one_sentence(tiny_root, tmp_path, place):
  (tmp_path / "out").write_text("mine")
  done = commands.run(
    lambda: instances.main([str(tiny_root), str(tmp_path / "out" / place)])
  )
  assert done.returncode == 1
  assert "out" in done.stderr and "directory" in done.stderr.lower()
  assert (tmp_path / "out").read_text() == "mine"


def test_nothing_is_left_in_the_temporary_folder(
  tiny_root, tmp_path, monkeypatch
):
  temporary = tmp_path / "temporary"
  temporary.mkdir()
  monkeypatch.setattr(tempfile, "tempdir", str(temporary))
  prepared = instances.prepare(tiny_root, tmp_path / "tfds")
  records.InstanceRecords(prepared, "train", resolution="").read(0)
  assert list(temporary.iterdir()) == []
