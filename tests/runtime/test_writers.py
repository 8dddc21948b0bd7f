"""Tests of the metric writers: JSON lines, TensorBoard, resuming."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.runtime import writers


def _lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def _write_steps(workdir, steps, resume_step=0):
  writer = writers.create(workdir, resume_step=resume_step)
  for step in steps:
    writer.write_scalars(step, {"g/loss": jnp.float32(step / 2)})
  writer.close()


def test_jsonl_writer_writes_one_line_per_call(tmp_path):
  writer = writers.JsonlWriter(tmp_path / "new/m.jsonl", resume_step=0)
  writer.write_hparams({"size": [1, 2]})
  writer.write_scalars(1, {"a": np.float32(0.5), "b": 3, "c": jnp.nan})
  writer.write_texts(1, {"note": "text"})
  writer.write_images(1, {"x": np.zeros((1, 2, 2, 3), np.uint8)})
  writer.flush()
  lines = _lines(tmp_path / "new/m.jsonl")
  assert [line["step"] for line in lines] == [0, 1, 1]
  assert lines[0]["hparams"] == {"size": [1, 2]}
  assert (lines[1]["a"], lines[1]["b"], lines[1]["c"]) == (0.5, 3, "nan")
  assert lines[2]["note"] == "text"
  writer.close()


def test_resume_deletes_lines_that_are_written_again(tmp_path):
  path = tmp_path / writers.JSONL
  _write_steps(tmp_path, [1, 2, 3])
  with path.open("a") as file:
    file.write('{"step": 4, "g/lo')  # The run was killed within a line.
  _write_steps(tmp_path, [2, 3], resume_step=2)
  lines = _lines(path)
  assert [line["step"] for line in lines] == [1, 2, 3]
  assert [line["g/loss"] for line in lines] == [0.5, 1.0, 1.5]
  assert not path.with_name(path.name + ".tmp").exists()


def test_tensorboard_receives_all_kinds_of_data(tmp_path):
  pytest.importorskip("tensorboardX")
  writer = writers.create(tmp_path, resume_step=0)
  writer.write_scalars(1, {"loss_of interest, all": 1.0})
  writer.write_images(1, {"pictures": np.zeros((2, 4, 6, 3), np.uint8)})
  writer.write_texts(1, {"note": "some words"})
  writer.write_hparams({"size": 1})
  writer.close()
  (events,) = tmp_path.glob("events.out.tfevents.*")
  content = events.read_bytes()
  for text in (b"loss_of_interest_all", b"pictures", b"some words", b"config"):
    assert text in content


def test_only_process_0_writes(tmp_path, monkeypatch):
  monkeypatch.setattr(writers.jax, "process_index", lambda: 1)
  _write_steps(tmp_path, [1])
  assert list(tmp_path.iterdir()) == []


def test_jsonl_is_written_without_tensorboardx(tmp_path, monkeypatch):
  def missing(*args, **kwargs):
    raise ModuleNotFoundError("No module named 'tensorboardX'")

  monkeypatch.setattr(writers, "TensorBoardWriter", missing)
  _write_steps(tmp_path, [1])
  assert [p.name for p in tmp_path.iterdir()] == [writers.JSONL]


@pytest.mark.parametrize(
  "garbage",
  [
    b"junk", b"\xff\xfe\0", b"null", b"[1]", b"7", b"{}", b'{"step": "one"}',
    b"[" * 10_000, b'{"step": 1' + b"0" * 5000 + b"}",
  ],
)  # fmt: skip
def test_garbage_lines_are_removed_with_a_warning(tmp_path, caplog, garbage):
  path = tmp_path / writers.JSONL
  _write_steps(tmp_path, [1, 2])
  first, second = path.read_bytes().splitlines()
  path.write_bytes(b"\n".join([first, garbage, second, b'{"step": 3, "g']))
  _write_steps(tmp_path, [3], resume_step=3)
  assert [line["step"] for line in _lines(path)] == [1, 2, 3]
  (record,) = caplog.records
  assert "removed 1 lines that are no metrics, the first is line 2" in (
    record.getMessage()
  )


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_metrics_that_are_no_file_raise(tmp_path, make):
  make(tmp_path / writers.JSONL)
  with pytest.raises(ValueError, match="metrics.jsonl is not a file"):
    writers.create(tmp_path, resume_step=1)
