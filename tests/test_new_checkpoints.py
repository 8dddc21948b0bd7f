"""Tests of the evaluation of a run while it is trained."""

import csv
import shutil
import types

import pytest

from foregan_jax import (
  evaluate,
  game,
  new_checkpoints,
  runs,
  weight_files,
)
from foregan_jax.evaluators import result as result_lib


class _Run(runs.Run):
  """A run whose training saves and deletes checkpoints between two checks."""

  def __init__(self, workdir, saves, *, num_steps=9, best=True):
    self.workdir = workdir
    self.config = types.SimpleNamespace(num_steps=num_steps)
    self.system = types.SimpleNamespace(
      name="puppet",
      best=game.Metric("J", higher_is_better=True) if best else None,
    )
    self._saves = iter(saves)
    self.folder = workdir / "checkpoints"
    self.folder.mkdir(parents=True, exist_ok=True)

  def steps(self, which):
    assert which == "all"
    return sorted(int(path.name) for path in self.folder.iterdir())

  def nets(self, step):
    if step in (4, 5):  # deleted before it is read, or in the middle
      shutil.rmtree(self.folder / str(step))
    if step == 5:
      raise FileNotFoundError(self.folder / "5")
    if not (self.folder / str(step)).exists():
      raise ValueError(f"no step {step}")
    return game.Nets({"step": step})

  def wait(self, seconds):
    assert seconds == 3
    for step in next(self._saves):
      (self.folder / str(step)).mkdir()


@pytest.fixture
def written(monkeypatch):
  """Record the weights that are written, in place of writing them."""
  found = []

  def record(path, nets, config, about):
    assert config == "trained"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    found.append((path.name, nets.params["step"], about))

  monkeypatch.setattr(new_checkpoints.weight_files, "write", record)
  return found


def _evaluate(run, folder, monkeypatch, values, stop_at=None):
  """Evaluate new checkpoints; return their steps."""
  monkeypatch.setattr(new_checkpoints.time, "sleep", run.wait)
  monkeypatch.setattr(new_checkpoints.settings, "load", lambda path: run.config)
  new = new_checkpoints.NewCheckpoints(run, "trained", folder, seconds=3.0)
  seen = []
  for step, nets in new:
    seen.append(step)
    best = values[step] if run.system.best else None
    new.add(
      step, nets, result_lib.Result({"head/J": values[step]}, best, print)
    )
    if step == stop_at:
      break
  return seen


def _rows(folder):
  with open(folder / new_checkpoints.TABLE) as file:
    return list(csv.DictReader(file))


def test_every_step_is_evaluated_once(tmp_path, monkeypatch, written):
  values = {2: 0.5, 6: 0.7, 8: 0.6, 9: 0.7}
  out = tmp_path / "eval"
  run = _Run(tmp_path, [[2, 4, 5], [], [6]])
  assert _evaluate(run, out, monkeypatch, values, stop_at=6) == [2, 6]
  # A second call reads the table of the first one.
  run = _Run(tmp_path, [[8, 9]])
  assert _evaluate(run, out, monkeypatch, values) == [8, 9]
  assert [(row["step"], row["head/J"], row["best"]) for row in _rows(out)] == [
    ("2", "0.5", "0.5"), ("6", "0.7", "0.7"), ("8", "0.6", "0.6"),
    ("9", "0.7", "0.7"),
  ]  # fmt: skip
  assert [step for _, step, _ in written] == [2, 6]
  assert written[0] == (new_checkpoints.BEST, 2, {"step": "2"})


def test_run_may_get_another_length(tmp_path, monkeypatch, written):
  run = _Run(tmp_path, [[1], [3]])
  values = {1: 0.2, 3: 0.3}

  def shorter(seconds, wait=run.wait):
    wait(seconds)
    run.config.num_steps = 3

  monkeypatch.setattr(run, "wait", shorter)
  assert _evaluate(run, tmp_path / "eval", monkeypatch, values) == [1, 3]


def test_any_number_is_better_than_none(tmp_path, monkeypatch, written):
  run = _Run(tmp_path, [[1], [9]])
  values = {1: float("nan"), 9: 0.1}
  _evaluate(run, tmp_path / "eval", monkeypatch, values)
  assert [step for _, step, _ in written] == [1, 9]


def test_newest_weights_are_kept_without_a_best_metric(
  tmp_path, monkeypatch, written
):
  run = _Run(tmp_path, [[1], [9]], best=False)
  _evaluate(run, tmp_path / "eval", monkeypatch, {1: 0.9, 9: 0.1})
  assert [step for _, step, _ in written] == [1, 9]


def test_broken_checkpoint_is_an_error(tmp_path, monkeypatch, written):
  run = _Run(tmp_path, [[1]])
  monkeypatch.setattr(
    run, "nets", lambda step: (_ for _ in ()).throw(ValueError("damaged"))
  )
  with pytest.raises(ValueError, match="damaged"):
    _evaluate(run, tmp_path / "eval", monkeypatch, {})


def test_run_is_evaluated_on_other_objects(smoke_run, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(smoke_run("davis"), workdir)
  options = evaluate.Options(objects="all")
  evaluate.evaluate(workdir, step="new", options=options)
  (table,) = workdir.glob(f"eval/*/{new_checkpoints.TABLE}")
  trained = runs.Run(workdir).config
  last = _rows(table.parent)[-1]
  assert int(last["step"]) == trained.num_steps
  # The weights have the config of the run, not that of the evaluation.
  best = table.with_name(new_checkpoints.BEST)
  written = weight_files.open_file(best, tmp_path / "out")
  assert written.config.data.objects == trained.data.objects


def test_weight_files_have_no_new_checkpoints(tmp_path):
  options = evaluate.Options(data=str(tmp_path))
  with pytest.raises(ValueError, match="--step=new is for runs"):
    evaluate.evaluate(tmp_path, step="new", weights="a.pth", options=options)


def test_empty_table_is_a_new_one(tmp_path):
  (tmp_path / new_checkpoints.TABLE).touch()
  new = new_checkpoints.NewCheckpoints(_Run(tmp_path, []), None, tmp_path)
  assert not new._rows


@pytest.mark.parametrize("text", ["step\nx\n", "head\n1\n", "step,best\n1,x"])
def test_damaged_table_is_one_sentence(tmp_path, text):
  (tmp_path / new_checkpoints.TABLE).write_text(text)
  with pytest.raises(ValueError, match=r"steps.csv is damaged \("):
    new_checkpoints.NewCheckpoints(_Run(tmp_path, []), None, tmp_path)
