"""Verbs of `predict` for pictures, with a `smoke` run."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from configs import layered_gan
from foregan_jax import evaluate, predict, runs, train
from foregan_jax.data import check, stills
from tests import commands


@pytest.fixture(scope="module")
def run(smoke_run, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(smoke_run("layered_gan"), workdir)
  return workdir


def test_labels_choose_no_checkpoint(run):
  """The method uses no labels, so those of the test split choose nothing."""
  # Without a score nothing but the newest steps is kept.
  assert not (run / "checkpoints" / "3" / "metrics").exists()
  trained = runs.Run(run)
  assert trained.steps("best") == trained.steps("latest") == [3]
  assert trained.load("best")[0] == 3
  scores = run / "eval" / "fake-val" / "step-3" / "scores.json"
  scores.unlink()
  evaluate.evaluate(run)
  assert scores.is_file()


def _predict(*arguments):
  return commands.run(predict.main, *arguments)


def test_cut_outs_have_the_size_of_their_pictures(run, tmp_path):
  folder, out = tmp_path / "in", tmp_path / "out"
  sizes = {"a": (20, 30), "b/c.v2": (64, 16), "d": (10, 10)}
  rng = np.random.default_rng(0)
  for name, size in sizes.items():
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (*size, 3), np.uint8))
  (folder / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
  command = (
    f"{sys.executable} -m foregan_jax.predict cutout --workdir={run} "
    f"--images={folder} --out={out}"
  )
  done = subprocess.run(
    command.split(), capture_output=True, text=True, check=False
  )
  assert done.returncode == 1
  assert f"{folder}/broken.jpg: picture is truncated" in done.stderr
  for name, (height, width) in sizes.items():
    mask = Image.open(out / "masks" / f"{name}.png")
    assert (mask.mode, mask.size) == ("P", (width, height))
    cutout = np.asarray(Image.open(out / "cutouts" / f"{name}.png"))
    picture = cv2.imread(str(folder / f"{name}.png"))[..., ::-1]
    np.testing.assert_array_equal(cutout[..., :3], picture)
    # The palette mask is the alpha with a threshold of one half.
    np.testing.assert_array_equal(np.asarray(mask) == 1, cutout[..., 3] > 127)
  assert (out / "sheet.png").is_file()


def test_generated_data_set_is_valid_and_trains(run, tmp_path):
  out = tmp_path / "generated"
  done = _predict("dataset", f"--workdir={run}", "--count=70", f"--out={out}")
  assert done.returncode == 0, done.stderr
  assert check.check(out) == []
  found = {s: stills.Stills(out, split=s, size=16) for s in ("train", "val")}
  assert {s: len(x) for s, x in found.items()} == {"train": 63, "val": 7}
  assert 0.03 < found["val"].mask(0).mean() < 0.9
  config = layered_gan.get_config(f"data={out},smoke")
  config.num_steps = 1
  train.train_and_evaluate(config, tmp_path / "again")
  again = _predict("dataset", f"--workdir={run}", "--count=5", f"--out={out}")
  assert again.returncode == 2
  assert "has a data set already" in again.stderr


def test_sample_writes_a_sheet(run, tmp_path):
  done = _predict(
    "sample", f"--workdir={run}", "--count=5", f"--out={tmp_path}"
  )
  assert done.returncode == 0, done.stderr
  with Image.open(tmp_path / "samples.png") as sheet:
    # Two rows of up to four samples, four pictures of 64 pixels each.
    assert sheet.width >= 16 * 64 and sheet.height >= 2 * 64


def test_verbs_have_their_own_help():
  done = _predict("sample", "--help")
  assert done.returncode == 0
  assert "--count" in done.stdout and "--video" not in done.stdout


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((), "the following arguments are required: VERB"),
    (("sample",), "the following arguments are required: --workdir"),
    (("paint",), "invalid choice: 'paint'"),
    (("sample", "--workdir=w", "--seed=-1"), "-1 is not between 0 and 2^32"),
    (("sample", "--workdir=w", f"--seed={2**70}"), "is not between 0 and"),
  ],
)
def test_missing_arguments_are_named(arguments, message):
  done = _predict(*arguments)
  assert done.returncode == 2
  assert message in done.stderr
