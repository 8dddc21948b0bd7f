"""The table of ablations, with a stand-in for training runs."""

import json
import pathlib
import shutil
import types

import pytest

from configs import layered_gan
from foregan_jax import ablate
from foregan_jax.runtime import settings

CONFIG = str(pathlib.Path(layered_gan.__file__))


@pytest.fixture
def trainer(monkeypatch):
  """Replace `python -m foregan_jax.main`; return the list of commands."""
  commands = []

  def run(command, check):
    del check
    commands.append(command)
    workdir = pathlib.Path(command[4].removeprefix("--workdir="))
    arg = command[3].partition(":")[2]
    if "no_info" in arg and len(commands) == 2:
      return types.SimpleNamespace(returncode=1)
    workdir.mkdir(parents=True)
    config = layered_gan.get_config(arg)
    config.alarm_after = 99  # after the end of the run
    (workdir / settings.FILE).write_text(json.dumps(settings.to_json(config)))
    mean = 0.01 if "no_info" in arg else 0.3
    lines = [
      {"step": 2, "generator/mask_mean": mean, "critic/loss": 1.0},
      {"step": 3, "segmenter/loss": 1.0},
      {"step": 3, "eval/segmenter/iou": mean, "eval/disc/iou": 0.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (workdir / "metrics.jsonl").write_text(text)
    return types.SimpleNamespace(returncode=0)

  monkeypatch.setattr(ablate.subprocess, "run", run)
  return commands


def test_every_variant_is_a_row_and_finished_runs_are_kept(trainer, tmp_path):
  with pytest.raises(ValueError, match="variant no_info failed"):
    ablate.run(f"{CONFIG}:smoke", tmp_path, ["--config.seed=1"])
  table = ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  # The second call runs `no_info` again, but not `full`.
  assert len(trainer) == 1 + len(layered_gan.VARIANTS)
  assert trainer[0][3].endswith("layered_gan.py:smoke,variant=full")
  assert trainer[0][-1] == "--config.seed=1"
  rows = [line.split(" | ") for line in table.splitlines()[2:]]
  # The baseline is the same for all variants: one row, the first one.
  assert rows[0] == ["| ", "disc", "0.500", " |"]
  assert [row[0][2:] for row in rows[1:]] == list(layered_gan.VARIANTS)
  assert rows[1][1:] == ["segmenter", "0.300", "none |"]
  assert rows[2][1:] == ["segmenter", "0.010", "all background |"]
  assert (tmp_path / "table.md").read_text() == table
  shutil.rmtree(tmp_path / "ils")
  ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  assert trainer[-1][3].endswith("variant=ils")


@pytest.mark.parametrize(
  "name, content, message",
  [
    ("plain.py", "def get_config(arg): ...\n", "plain.py has no VARIANTS"),
    ("five.py", "VARIANTS = (5,)", "five.py has no VARIANTS"),
    ("README.md", "# Read me", "README.md is not a config file"),
    ("folder.py", None, "folder.py is not a config file"),
    ("empty.py", "", "empty.py has no VARIANTS"),
    ("broken.py", "VARIANTS = (", "broken.py: SyntaxError: '\\(' was never"),
    ("lost.py", "import absent_module", "lost.py: ModuleNotFoundError: No mod"),
  ],
)
def test_file_that_is_no_config_is_refused(tmp_path, name, content, message):
  path = tmp_path / name
  path.mkdir() if content is None else path.write_text(content)
  with pytest.raises(ValueError, match=message):
    ablate.variants(str(path))


@pytest.mark.parametrize(
  "damage, message",
  [
    ("junk\n", r"metrics.jsonl, line 2 is no line of metrics; remove"),
    ("\xff\x00\n", r"metrics.jsonl, line 2 is no line of metrics"),
    ("[" * 5000 + "\n", r"metrics.jsonl, line 2 is no line of metrics"),
    ('{"step": 3, "eval/x/iou": []}\n', r"eval/x/iou is \[\], but must be a"),
  ],
)
def test_broken_metrics_are_named(trainer, tmp_path, damage, message):
  with pytest.raises(ValueError, match="no_info failed"):
    ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  path = tmp_path / "full" / "metrics.jsonl"
  first, *rest = path.read_text().splitlines(keepends=True)
  content = "".join([first, damage, *rest]).encode("latin-1")
  path.write_bytes(content)
  with pytest.raises(ValueError, match=message):
    ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  assert path.read_bytes() == content
  assert len(trainer) == 2  # `full` is not trained again


def test_line_cut_off_and_values_not_finite_are_read(trainer, tmp_path):
  with pytest.raises(ValueError, match="no_info failed"):
    ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  path = tmp_path / "full" / "metrics.jsonl"
  text = path.read_text().replace(
    '"eval/disc/iou": 0.5', '"eval/disc/iou": "nan"'
  )
  path.write_text(text + '{"step": 3, "eva')
  table = ablate.run(f"{CONFIG}:smoke", tmp_path, [])
  assert "| full | disc | nan | " in table


@pytest.mark.parametrize(
  "variant, key, value",
  [
    ("no_info", "w_generator.info", 0.0),
    ("no_info", "w_critic.info", 0.0),
    ("no_perturbation", "perturbation", "none"),
    ("no_bg_seg", "w_generator.bg_seg", 0.0),
    ("ils", "w_generator.leak", 1.0),
  ],
)
def test_variants_change_only_their_part(variant, key, value):
  full = layered_gan.get_config("small")
  changed = layered_gan.get_config(f"small,variant={variant}")
  changes = settings.same_config(
    settings.to_json(full), settings.to_json(changed), ignore=("variant",)
  )
  names = " ".join(changes)
  group, _, field = key.rpartition(".")
  node = changed[group] if group else changed
  assert node[field] == value and key in names
  assert len(changes) == (2 if variant == "no_info" else 1)
