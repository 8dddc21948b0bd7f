"""Every config trains, saves and evaluates at its smoke size."""

import json
import pathlib

import pytest

_CONFIGS = pathlib.Path(__file__).resolve().parents[1] / "configs"
_NAMES = sorted(path.stem for path in _CONFIGS.glob("[a-z]*.py"))
# Its system is that of rgmp_voc.
_SLOW = ("rgmp_davis",)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name
    for name in _NAMES
  ],
)
def test_run_ends_with_checkpoint_scores_and_samples(name, smoke_run):
  workdir = smoke_run(name)
  assert (workdir / "checkpoints" / "3").is_dir()
  (scores,) = (workdir / "eval").glob("*/step-3/scores.json")
  assert json.loads(scores.read_text())
  assert list((workdir / "samples").glob("step_000002_*.png"))
