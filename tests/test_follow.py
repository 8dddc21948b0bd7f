"""Tests of the follower of a run that is being trained."""

import csv
import shutil
import types

import pytest

from foregan_jax import follow, game, runs
from foregan_jax.evaluators import result as result_lib


class _Run(runs.Run):
  """A run whose training saves and deletes checkpoints between two looks."""

  def __init__(self, workdir, looks, *, num_steps=9, best=True):
    self.workdir = workdir
    self.config = types.SimpleNamespace(num_steps=num_steps)
    self.system = types.SimpleNamespace(
      name="puppet",
      best=game.Metric("J", higher_is_better=True) if best else None,
    )
    self._looks = iter(looks)
    self.folder = workdir / "checkpoints"
    self.folder.mkdir(parents=True, exist_ok=True)

  def steps(self, which):
    assert which == "all"
    return sorted(int(path.name) for path in self.folder.iterdir())

  def nets(self, step):
    if step == 4:  # deleted before it is read
      shutil.rmtree(self.folder / "4")
    if not (self.folder / str(step)).exists():
      raise ValueError(f"no step {step}")
    return game.Nets({"step": step})

  def wait(self, seconds):
    assert seconds == 3
    for step in next(self._looks):
      (self.folder / str(step)).mkdir()


@pytest.fixture
def written(monkeypatch):
  """Record the weights that are written, in place of writing them."""
  found = []
  record = lambda path, nets, config, about: found.append(
    (path.name, nets.params["step"], about)
  )
  monkeypatch.setattr(follow.weight_files, "write", record)
  return found


def _follow(run, folder, monkeypatch, values, stop_at=None):
  monkeypatch.setattr(follow.time, "sleep", run.wait)
  follower = follow.Follower(run, folder, seconds=3.0)
  seen = []
  for step, nets in follower:
    seen.append(step)
    best = values[step] if run.system.best else None
    follower.add(
      step, nets, result_lib.Result({"head/J": values[step]}, best, print)
    )
    if step == stop_at:
      break
  return seen


def test_every_step_is_evaluated_once(tmp_path, monkeypatch, written):
  values = {2: 0.5, 6: 0.7, 8: 0.6, 9: 0.7}
  run = _Run(tmp_path, [[2, 4], [], [6]])
  out = tmp_path / "eval"
  assert _follow(run, out, monkeypatch, values, stop_at=6) == [2, 6]
  # A second call knows the table of the first one.
  run = _Run(tmp_path, [[8, 9]])
  assert _follow(run, out, monkeypatch, values) == [8, 9]
  with open(out / follow.TABLE) as file:
    rows = list(csv.DictReader(file))
  assert [(row["step"], row["head/J"], row["best"]) for row in rows] == [
    ("2", "0.5", "0.5"), ("6", "0.7", "0.7"), ("8", "0.6", "0.6"),
    ("9", "0.7", "0.7"),
  ]  # fmt: skip
  assert [step for _, step, _ in written] == [2, 6]
  assert written[0] == (follow.BEST, 2, {"step": "2"})


def test_newest_weights_are_kept_without_a_best_metric(
  tmp_path, monkeypatch, written
):
  run = _Run(tmp_path, [[1], [9]], best=False)
  _follow(run, tmp_path / "eval", monkeypatch, {1: 0.9, 9: 0.1})
  assert [step for _, step, _ in written] == [1, 9]


def test_broken_checkpoint_is_an_error(tmp_path, monkeypatch, written):
  run = _Run(tmp_path, [[1]])
  monkeypatch.setattr(
    run, "nets", lambda step: (_ for _ in ()).throw(ValueError("damaged"))
  )
  with pytest.raises(ValueError, match="damaged"):
    _follow(run, tmp_path / "eval", monkeypatch, {})


@pytest.mark.parametrize(
  "text", ["", "step\nx\n", "head\n1\n", "step,best\n1,x"]
)
def test_damaged_table_is_one_sentence(tmp_path, text):
  (tmp_path / follow.TABLE).write_text(text)
  if not text:
    assert not follow.Follower(_Run(tmp_path, []), tmp_path)._rows
    return
  with pytest.raises(ValueError, match=r"steps.csv is damaged \("):
    follow.Follower(_Run(tmp_path, []), tmp_path)
