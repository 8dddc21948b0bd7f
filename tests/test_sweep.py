"""A sample of the sweep of bad inputs, and that the sweep finds failures."""

import os
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# Cases of every program that end before anything is compiled.
_SAMPLE = (
  "ablate, the config is README.md",
  "check, frame: bomb of 2^31 pixels",
  "check, list: UTF-16",
  "check, davis/JPEGImages/tiny is a link to itself",
  "clips, mask: bomb of 2^31 pixels",
  "config file: empty",
  "demo, the output is text",
  "flags of bench --config: misspelt --config",
  "flags of evaluate --workdir: without --workdir",
  "flags of predict track: none",
  "flags of main --config: num_processes=x",
  "prepare videos, the output is text",
  "prepare cub/images.txt: three columns",
  "prepare voc/JPEGImages/p0.jpg: a pipe",
  "train, the output is text",
  "words of layered_gan: 'smok'",
)
_SCRIPT = """
import pathlib, sys
from tests.sweep import __main__ as sweep, commands
sweep._TIMEOUT = 1.0
root = pathlib.Path(sys.argv[1])
(root / "world" / "mask").mkdir(parents=True)
(root / "world" / "mask" / "mask.png").write_bytes(b"whole")
for name in (*sweep._WRONG, "refused", "accepted"):
  case = commands.Case(name, "tests.sweep.broken", (name, "{mask}"))
  found = sweep.run(case, root / "world", root / "case")
  assert found.result == name, (found, name)
  print(found.result, *found.files, sep=", ")
"""


def _run(*arguments):
  done = subprocess.run(
    [sys.executable, *arguments], cwd=_ROOT, capture_output=True, text=True,
    env=os.environ | {"PYTHONPATH": str(_ROOT)}, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr[-3000:]
  return done.stdout.splitlines()


def test_sample_of_bad_inputs_is_refused():
  lines = _run("-m", "tests.sweep", *(f"--case={name}" for name in _SAMPLE))
  counts = dict(line.rsplit(maxsplit=1) for line in lines[1:])
  assert lines[0].startswith(f"{len(_SAMPLE)} cases in")
  assert counts["refused"] == str(len(_SAMPLE))


def test_sweep_finds_what_goes_wrong(tmp_path):
  lines = _run("-c", _SCRIPT, str(tmp_path))
  assert lines == [
    "traceback", "hang", "crash", "changed input, mask/mask.png",
    "stray file, stray", "refused", "accepted",
  ]  # fmt: skip
