"""Weight files of our own: written, read, used in place of a run."""

import json
import shutil

import jax
import numpy as np
import pytest

from foregan_jax import evaluate, export, models, runs, weight_files
from foregan_jax.runtime import safetensors, settings, state_dicts
from tests.data import conftest as folders


@pytest.fixture(scope="module")
def run(smoke_run, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(smoke_run("memory"), workdir)
  # Of another machine, to find out whether it is exported.
  config = workdir / settings.FILE
  fields = json.loads(config.read_text())
  fields["data"]["stills_root"] = "/somewhere/stills"
  config.write_text(json.dumps(fields))
  return workdir


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
  path = tmp_path_factory.mktemp("exported") / "deep" / "own.safetensors"
  export.export(run, path, float32=True, about="a test")
  return path


def test_exported_nets_are_those_of_the_run(run, file):
  _, want = runs.Run(run).load("best")
  number, got = weight_files.open_file(file).load("best")
  assert number == 0
  assert set(got.params) == {"prop", "trunk"}
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_half_precision_is_the_default_and_close(run, file, tmp_path):
  path = tmp_path / "half.safetensors"
  export.export(run, path)
  assert path.stat().st_size < 0.6 * file.stat().st_size
  _, want = weight_files.open_file(file).load("latest")
  _, got = weight_files.open_file(path).load("latest")
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
  jax.tree.map(close, got.params["prop"], want.params["prop"])
  assert got.params["prop"]["head"]["kernel"].dtype == np.float32


def test_header_has_no_paths_of_the_machine(run, file):
  assert b"somewhere" not in file.read_bytes()
  metadata = safetensors.read_metadata(file)
  (step,) = runs.Run(run).steps("best")
  assert (metadata["about"], metadata["step"]) == ("a test", str(step))
  config = json.loads(metadata["foregan_jax_config"])
  assert config["system"] == "memory"


def test_video_is_segmented_as_with_the_run(run, file):
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 40, 56, 3), np.uint8)
  labels = np.zeros((40, 56), np.uint8)
  labels[5:20, 5:20], labels[22:38, 20:45] = 1, 2
  want = models.load(run, step="best").segment(frames, labels)
  np.testing.assert_array_equal(models.load(file).segment(frames, labels), want)


def test_file_is_evaluated(file, tmp_path, capsys):
  root, out = tmp_path / "DAVIS", tmp_path / "out"
  folders.write_video(root, "ant", num_frames=3)
  folders.write_list(root, "2016", "val", ["ant"])
  with pytest.raises(ValueError, match="also needs --data"):
    evaluate.evaluate(out, weights=str(file))
  options = evaluate.Options(data=str(root))
  evaluate.evaluate(out, weights=str(file), options=options)
  assert "memory (large) on DAVIS-2016-val, step 0" in capsys.readouterr().out
  assert (out / "eval/DAVIS-2016-val/step-0/scores.json").is_file()


def test_other_files_are_refused(run, file, tmp_path):
  with pytest.raises(ValueError, match=r"--out=a.npz: expected a name that"):
    export.export(run, "a.npz")
  foreign = tmp_path / "foreign.safetensors"
  safetensors.write(foreign, {"a": np.zeros(2, np.float32)}, {})
  with pytest.raises(ValueError, match="foreign.safetensors was not written"):
    weight_files.WeightFile(foreign)
  with pytest.raises(ValueError, match="foreign.safetensors does not fit"):
    weight_files.open_file(foreign).load("best")
  damaged = tmp_path / "damaged.safetensors"
  damaged.write_bytes(file.read_bytes()[:100])
  with pytest.raises(ValueError, match="damaged.safetensors is missing, trunc"):
    weight_files.open_file(damaged)
  tensors = state_dicts.read(file)
  tensors.pop(next(iter(tensors)))
  less = tmp_path / "less.safetensors"
  safetensors.write(less, tensors, safetensors.read_metadata(file))
  with pytest.raises(ValueError, match="less.safetensors does not fit the"):
    weight_files.open_file(less).load("best")


def test_packaged_weights_track_a_moving_object(tmp_path):
  """A textured square moves over another texture; no training is needed."""
  rng = np.random.default_rng(0)
  noise = lambda low, high: rng.uniform(low, high, (12, 16, 3))
  grow = lambda x: np.kron(x, np.ones((10, 10, 1)))
  behind, square = grow(noise(0, 90)), grow(noise(150, 255))[:50, :50]
  frames, truth = [], []
  for t in range(8):
    frame, mask = behind.copy(), np.zeros((120, 160), np.uint8)
    place = slice(30 + 3 * t, 80 + 3 * t), slice(20 + 8 * t, 70 + 8 * t)
    frame[place], mask[place] = square, 1
    frames.append(frame.astype(np.uint8))
    truth.append(mask)
  labels = models.load().segment(frames, truth[0])
  overlap = np.minimum(labels, truth).sum() / np.maximum(labels, truth).sum()
  assert overlap > 0.8
