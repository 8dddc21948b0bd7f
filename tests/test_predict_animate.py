"""The command line of `predict animate`, with a stand-in for the run."""

import pathlib
import re
import types

import cv2
import numpy as np
import pytest

from foregan_jax import game, predict, runs
from foregan_jax.media import images
from tests import commands, puppets

_SIZE = (20, 30)


class _Run:
  """A run that animates; without background nets if its name is `plain`."""

  def __init__(self, workdir):
    swaps = pathlib.Path(workdir).name != "plain"
    self.system = puppets.Puppets(swaps_backgrounds=swaps)
    self.config = types.SimpleNamespace(system="puppets")

  def load(self, which):
    return 7, game.Nets({})


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
  monkeypatch.setattr(runs, "Run", _Run)


def _picture(path, size=_SIZE, level=0, channels=3):
  path.parent.mkdir(parents=True, exist_ok=True)
  cv2.imwrite(str(path), np.full((*size, channels), level, np.uint8))


@pytest.fixture
def world(tmp_path):
  """Write runs, a source, backgrounds and a driving video."""
  for name in ("run", "plain"):
    (tmp_path / name / "checkpoints" / "7").mkdir(parents=True)
  for t in range(3):
    _picture(tmp_path / "clip" / f"{t}.png", level=10 * t)
  _picture(tmp_path / "source.png", level=100)
  _picture(tmp_path / "third.jpg", (40, 40), 50)
  return tmp_path


def _animate(world, *more, run="run", source="source.png", driving="clip"):
  return commands.run(
    predict.main, "animate", f"--workdir={world}/{run}",
    f"--source={world}/{source}", f"--driving={world}/{driving}",
    *(text.format(world) for text in more),
  )  # fmt: skip


def test_results_lie_in_the_run(world):
  done = _animate(world, "--background={}/third.jpg", "--hole=none")
  assert done.returncode == 0, done.stderr
  assert "frames, masks, the animation and a sheet" in done.stdout
  (out,) = (world / "run" / "predict").glob("source_png-clip-*")
  made = images.read_image(out / "frames" / "2.png")
  np.testing.assert_array_equal(made, np.full((16, 16, 3), 60))
  assert images.read_image(out / "swapped" / "2.png").mean() == 50
  assert (out / "animation.webp").is_file() and (out / "sheet.png").is_file()


def test_sides_are_cut_off_not_stretched(world, caplog):
  for t in range(3):
    frame = np.zeros((20, 60, 3), np.uint8)
    frame[:, 20:40] = 100 + t  # the central square
    cv2.imwrite(str(world / "clip" / f"{t}.png"), frame)
  done = _animate(world, f"--out={world}/out")
  assert done.returncode == 0, done.stderr
  made = images.read_image(world / "out" / "frames" / "2.png")
  np.testing.assert_array_equal(made, np.full((16, 16, 3), 101))
  (text,) = [x for x in caplog.messages if "/clip has" in x]
  assert "60x20 pixels, but the model makes squares: only the central" in text
  assert any("source.png has 30x20 pixels" in x for x in caplog.messages)


def test_frames_of_another_size_are_left_out(world):
  _picture(world / "clip" / "1.png", (30, 20))
  done = _animate(world, f"--out={world}/out")
  assert done.returncode == 1
  assert "clip/1.png: size is 20x30, expected 30x20 as other" in done.stderr
  assert "1 frames could not be read; the rest is done" in done.stderr
  names = {p.name for p in (world / "out" / "frames").glob("*.png")}
  assert names == {"0.png", "2.png"}


def test_video_without_motion_gets_a_warning(world, caplog):
  done = _animate(world, f"--out={world}/out")
  assert done.returncode == 0 and "does not move" not in caplog.text
  for t in range(3):
    _picture(world / "clip" / f"{t}.png", level=7)
  done = _animate(world, f"--out={world}/out")
  assert done.returncode == 0
  (text,) = [x for x in caplog.messages if "does not move" in x]
  assert text.startswith(f"{world}/clip does not move")


def _one_frame(world):
  for t in (1, 2):
    (world / "clip" / f"{t}.png").unlink()


def _alpha(world):
  _picture(world / "source.png", level=128, channels=4)


def _small_background(world):
  _picture(world / "third.jpg", (15, 40))


_THIRD = "--background={}/third.jpg"


@pytest.mark.parametrize(
  ("prepare", "arguments", "message"),
  [
    (_one_frame, (), "clip: video has one frame only, expected at least two"),
    (_alpha, (), "source.png: has transparent pixels, expected a picture"),
    (
      _small_background, (_THIRD,),
      "third.jpg: size is 40x15, expected at least 16x16, the size of the",
    ),
    (None, ("--hole=none",), "--hole=none needs --background=IMAGE"),
    (None, ("--background={}/gone.png",), "gone.png: file is missing"),
    (None, ("--head=hihg",), "its heads are high, low. Did you mean 'high'"),
    (None, ("--weights=x",), "give one of --workdir=RUN and --weights=FILE"),
    (None, (_THIRD, "--workdir={}/plain"), "without a background network"),
  ],
)  # fmt: skip
def test_bad_input_raises_one_sentence(world, prepare, arguments, message):
  if prepare:
    prepare(world)
  done = _animate(world, *arguments, f"--out={world}/out")
  assert done.returncode == 2
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
  assert re.search(message, done.stderr), done.stderr
  assert not (world / "out").exists()


def test_opaque_alpha_is_accepted(world):
  picture = np.full((*_SIZE, 4), 255, np.uint8)
  cv2.imwrite(str(world / "source.png"), picture)
  done = _animate(world, f"--out={world}/out")
  assert done.returncode == 0, done.stderr


def test_other_verbs_name_this_one(world):
  done = commands.run(
    predict.main, "cutout", f"--workdir={world}/run", f"--images={world}/clip"
  )
  assert done.returncode == 2
  assert "a run that animates pictures: use `predict animate`" in done.stderr


def test_help_explains_the_holes():
  done = commands.run(predict.main, "animate", "--help")
  assert done.returncode == 0
  assert "--hole {own,none,actor}" in done.stdout
