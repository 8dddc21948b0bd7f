"""Runs in a cloud, and the one function that writes files."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from configs import face_parts
from foregan_jax import evaluate, models, predict_common, storage, train
from tests import cloud


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> pathlib.Path:
  """Return the local folder that is gs://bucket."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  cloud.use(tmp_path / "cloud", monkeypatch)
  return tmp_path / "cloud" / "bucket"


def _files(folder):
  """Return what a run has written, without what only a local folder has."""
  found = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}
  # In a cloud Orbax marks a whole checkpoint by a file, else by its name.
  names = (".lock", "commit_success.txt")
  local = lambda p: p.name in names or p.name.startswith("events.")
  # checkpoints/STEP/ITEM; files of arrays have random names.
  return {pathlib.Path(*p.parts[:3]) if p.parts[0] == "checkpoints" else p
    for p in found if not local(p)}  # fmt: skip


def _losses(folder):
  lines = (folder / "metrics.jsonl").read_text().splitlines()
  lines = [line for line in map(json.loads, lines) if "hparams" not in line]
  names = ("parts/loss", "step")
  return [{n: line[n] for n in names if n in line} for line in lines]


def test_run_in_a_cloud_is_that_of_a_folder(bucket, smoke_run, capsys):
  here = smoke_run("face_parts")
  train.train_and_evaluate(face_parts.get_config("smoke"), "gs://bucket/run")
  run = bucket / "run"
  assert _files(run) == _files(here)
  assert _losses(run) == _losses(here) and len(_losses(run)) >= 3

  # It continues from the second step if the third is damaged.
  for path in ("checkpoints/3/parts", "eval"):
    shutil.rmtree(run / path)
  train.train_and_evaluate(face_parts.get_config("smoke"), "gs://bucket/run")
  assert _losses(run) == _losses(here)
  assert (run / "damaged" / "3" / "expressions").is_dir()

  shutil.rmtree(run / "eval")
  evaluate.evaluate("gs://bucket/run", step="latest")
  assert "gs://bucket/run/eval/" in capsys.readouterr().out
  assert list((run / "eval").glob("*/step-3/scores.json"))
  assert "step 3" in models.load("gs://bucket/run").description


def test_cache_is_beside_a_folder_and_local_for_a_cloud(bucket, monkeypatch):
  beside = storage.open_path("runs/one")
  assert storage.cache(beside) == pathlib.Path("runs").absolute()
  cache = bucket.parents[1] / "cache" / "foregan_jax"
  assert storage.cache(storage.open_path("gs://bucket/run")) == cache
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setenv("HOME", "/home/somebody")
  cache = pathlib.Path("/home/somebody/.cache/foregan_jax")
  assert storage.cache(storage.open_path("gs://bucket/run")) == cache


def test_results_of_a_run_in_a_cloud_need_a_folder():
  with pytest.raises(ValueError, match="give --out=FOLDER"):
    predict_common.default_folder("gs://bucket/run", pathlib.Path("a.mp4"))


@pytest.mark.parametrize(
  "path", ["gs://", "s3://bucket/run", "http://host", "://run"]
)
def test_other_addresses_are_refused(path):
  with pytest.raises(ValueError, match="gs://BUCKET/FOLDER"):
    storage.open_path(path)


def test_missing_package_is_named(monkeypatch):
  def lacks(self):
    raise ImportError("no module gcsfs")

  monkeypatch.setattr(type(storage.epath.Path("gs://bucket")), "exists", lacks)
  with pytest.raises(ValueError, match=r"gcsfs \(pip install 'foregan_jax\["):
    storage.open_path("gs://bucket/run")


@pytest.mark.parametrize("root", ["", "gs://bucket/"])
def test_write_replaces_whole_files(root, bucket, tmp_path):
  path = storage.open_path(root or tmp_path) / "a" / "b"
  for content in ("text", b"bytes", lambda file: file.write(b"saved")):
    storage.write(path, content)
  assert path.read_bytes() == b"saved"

  def fail(file):
    file.write(b"half")
    raise OSError("no space left")

  with pytest.raises(OSError, match="no space"):
    storage.write(path, fail)
  assert path.read_bytes() == b"saved"
  assert [p.name for p in path.parent.iterdir()] == ["b"]
  storage.write(path, np.arange(3).tobytes())
  assert len(path.read_bytes()) == 3 * np.arange(3).itemsize
