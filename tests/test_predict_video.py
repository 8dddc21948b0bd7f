"""The command line of `predict track`, with a stand-in for the run."""

import csv
import pathlib
import re
import types

import cv2
import numpy as np
import pytest

from foregan_jax import game, predict, runs
from foregan_jax.media import images, pictures
from foregan_jax.nets import propagator
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.predictors import many_videos, mask_tracker
from tests import commands

_SIZE = (16, 20)


class _Repeat(mask_tracker.MaskTracker):
  """A tracker that repeats the masks."""

  def __init__(self, tracker, params, side, *, enlarge):
    assert (params, side, enlarge) == ("of prop", 64, False)
    assert tracker.scales == (0.5, 1.0)

  def begin(self, frame, labels):
    return labels

  def add(self, state, frame, labels):
    return np.where(labels > 0, labels, state)

  def step(self, state, frame):
    rows = np.arange(state.max() + 1)[:, None, None] == state
    return state, rows.astype(np.float32)


class _Run:
  """A run that segments videos, or pictures, by the name of its workdir."""

  def __init__(self, workdir):
    self.workdir = pathlib.Path(workdir)
    self.config = types.SimpleNamespace(
      system="stand_in",
      data=types.SimpleNamespace(height=64, width=112, still_size=8),
    )
    self.system = types.SimpleNamespace(
      name="stand_in", task="stills", heads=("segmenter",),
      predict=lambda *_: 0, sample=lambda *_: None,
    )  # fmt: skip
    if self.workdir.name == "repeat":
      self.system = types.SimpleNamespace(
        task="videos", tracking="objects", heads=("propagator",),
        default_head="propagator",
        tracker=tracker_lib.Tracker(propagator.Propagator()),
      )  # fmt: skip

  def load(self, which):
    params = {"prop": "of prop"} if self.workdir.name == "repeat" else {}
    return 7, game.Nets(params)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
  monkeypatch.setattr(runs, "Run", _Run)
  monkeypatch.setattr(mask_tracker, "MaskTracker", _Repeat)


def _predict(*arguments):
  return commands.run(predict.main, "track", *arguments)


def _mask(path, place):
  labels = np.zeros(_SIZE, np.uint8)
  labels[place, place] = place.start
  pictures.save_labels(path, labels)
  return labels


@pytest.mark.parametrize("layers", [False, True])
def test_track_uses_masks_of_two_frames(tmp_path, layers):
  video = tmp_path / "clip.v2"
  video.mkdir()
  for i in range(5):
    frame = np.full((*_SIZE, 3), i, np.uint8)
    cv2.imwrite(str(video / f"{i}.png"), frame)
  (video / "3.png").write_bytes(b"broken")
  first = _mask(tmp_path / "first.png", slice(2, 6))
  later = _mask(tmp_path / "later.png", slice(9, 12))
  (tmp_path / "repeat" / "checkpoints" / "7").mkdir(parents=True)
  done = _predict(
    f"--workdir={tmp_path}/repeat",
    f"--video={video}",
    f"--mask={tmp_path}/first.png",
    f"--mask=2:{tmp_path}/later.png",
    "--scales=0.5,1",
    *["--layers"] * layers,
  )
  assert done.returncode == 1, done.stderr
  assert "clip.v2/3.png: cannot be decoded" in done.stderr
  assert "1 frames could not be read; the rest is done" in done.stderr
  (out,) = (tmp_path / "repeat" / "predict").glob("clip_v2-*")
  found = {p.stem: images.read_labels(p) for p in out.glob("masks/*.png")}
  assert found.keys() == {"0", "1", "2", "4"}
  np.testing.assert_array_equal(found["1"], first)
  np.testing.assert_array_equal(found["4"], first + later)
  assert (out / "confidence.csv").is_file()
  assert not (out / "background").exists()
  cut = {p.stem: cv2.imread(str(p), -1) for p in out.glob("foreground/*.png")}
  assert cut.keys() == (found.keys() if layers else set())
  if layers:
    np.testing.assert_array_equal(cut["4"][..., 3] > 0, found["4"] > 0)


def test_track_many_videos_in_two_shares(tmp_path, monkeypatch):
  videos, masks = tmp_path / "videos", tmp_path / "masks"
  masks.mkdir()
  for name in ("a", "b", "broken", "c"):
    (videos / name).mkdir(parents=True)
    for i in range(3):
      frame = np.full((*_SIZE, 3), i, np.uint8)
      cv2.imwrite(str(videos / name / f"{i:02d}.png"), frame)
    _mask(masks / f"{name}.png", slice(2, 6))
  for path in (videos / "broken").iterdir():
    path.write_bytes(b"no picture")
  (masks / "c" / ".01.png").parent.mkdir()
  (masks / "c" / ".01.png").touch()  # hidden
  # The mask of a later frame, in a folder.
  (masks / "c.png").unlink()
  later = _mask(masks / "c" / "01.png", slice(3, 9))
  _mask(masks / "c" / "02.png", slice(1, 2))
  (tmp_path / "repeat" / "checkpoints" / "7").mkdir(parents=True)
  arguments = [
    f"--workdir={tmp_path}/repeat", f"--videos={videos}", f"--masks={masks}",
    f"--out={tmp_path}/out", "--scales=0.5,1",
  ]  # fmt: skip
  monkeypatch.setenv("FOREGAN_NUM_PROCESSES", "2")
  monkeypatch.setenv("FOREGAN_PROCESS_ID", "1")  # has b and c
  done = _predict(*arguments)
  assert done.returncode == 0, done.stderr
  assert "2 of 4 videos are finished" in done.stdout
  monkeypatch.setenv("FOREGAN_PROCESS_ID", "0")
  done = _predict(*arguments)
  assert done.returncode == 1
  assert (
    "broken: " in done.stderr
    and "1 videos or frames could not be finished" in done.stderr
  )
  with open(tmp_path / "out" / many_videos.SUMMARY) as file:
    rows = {row["video"]: row for row in csv.DictReader(file)}
  assert rows.keys() == {"a", "b", "c"}
  assert rows["c"] == {
    "video": "c", "frames": "3", "objects": "1", "confidence": "1.0000",
    "least_confidence": "1.0000", "least_frame": "00",
  }  # fmt: skip
  found = images.read_labels(tmp_path / "out" / "c" / "masks" / "00.png")
  np.testing.assert_array_equal(found, later)


@pytest.mark.parametrize(
  ("made", "message"),
  [
    (["masks/a.png"], "videos: folder does not exist"),
    (["videos/a/0.png"], "masks: folder does not exist"),
    (["videos/notes.txt", "masks/a.png"], "videos: has no videos: expected"),
    (
      [*(f"videos/{name}/0.png" for name in "abcdefg"), "masks/c.png"],
      "has no mask for a, b, d, e, f and 1 more: expected NAME.png",
    ),
    (["videos/a.mp4", "videos/a.avi", "masks/a.png"], "has the name of"),
  ],
)
def test_wrong_folders_of_videos_are_one_sentence(tmp_path, made, message):
  for name in made:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  done = _predict(
    f"--workdir={tmp_path}/repeat", f"--videos={tmp_path}/videos",
    f"--masks={tmp_path}/masks",
  )  # fmt: skip
  assert done.returncode == 2
  assert message in done.stderr
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("--workdir=a --video=b", "give either --video=VIDEO and --mask=MASK, or"),
    ("--workdir=a --videos=b --mask=c", "give either --video=VIDEO and"),
    ("--workdir=a --videos=b --masks=c --video=d", "give either --video=VID"),
    ("--video=b --mask=c", "without --workdir, --out=FOLDER is needed"),
    ("--weights=a --video=b --mask=c", "without --workdir, --out=FOLDER is"),
    (
      "--workdir=repeat --weights=a --video=b --mask=c",
      "one of --workdir=RUN and --weights=FILE, not both",
    ),
    (
      "--workdir=repeat --video=b --mask=c --mask=0:d",
      "--mask=0:d: frame 0 has the mask c already",
    ),
    ("--workdir=repeat --video=gone --mask=c", "gone: video is missing"),
    ("--workdir=picture --video={} --mask=c", "use `predict cutout`"),
    (
      "--workdir=repeat --video={} --mask=c --scales=1,0",
      "--scales=1,0: expected numbers between 0.05 and 8.0",
    ),
    (
      "--workdir=repeat --video={} --mask=c --side=8",
      "--side=8: expected 32 to 4320 pixels",
    ),
    ("--workdir=repeat --video={} --mask=c --scales=inf", "--scales=inf: exp"),
    ("--workdir=repeat --video={} --mask=c --scales=1,nan", "--scales=1,nan: "),
    ("--workdir=repeat --video={} --mask=c --scales=1000", "--scales=1000: "),
    ("--weights=odd.pth --video={} --mask=c --out=d", "weight file odd.pth is"),
    (
      "--workdir=repeat --video={} --mask=c --head=propagater",
      "no such head; its heads are propagator. Did you",
    ),
    (
      "--weights=a.pth --video={} --mask=c --out=d --head=average",
      "--head=average: a.pth has no such head; its heads are propagator",
    ),
  ],
)
def test_wrong_arguments_raise_one_sentence(
  tmp_path, monkeypatch, arguments, message
):
  monkeypatch.chdir(tmp_path)
  for name in ("repeat", "picture"):
    (tmp_path / name).mkdir()
  for name in ("0.png", "1.png"):
    cv2.imwrite(str(tmp_path / name), np.zeros((*_SIZE, 3), np.uint8))
  done = _predict(*arguments.format(tmp_path).split())
  assert done.returncode == 2
  assert re.search(message, done.stderr)
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
  ("masks", "message"),
  [
    (["a\nb.png"], r"a\nb.png: mask is missing"),
    (["0:a\nb.png"], r"a\nb.png: mask is missing"),
    (["\n"], r"\n: mask is missing"),
    (["1:\udcff.png"], r"\udcff.png: mask is missing"),
    (["a\nb", "0:c"], r"--mask=0:c: frame 0 has the mask a\nb already; give"),
    (["0:c", "a\nb"], r"--mask=a\nb: frame 0 has the mask c already; give"),
    (["7:a.png"], "a.png is for frame 7, but"),
    ([f"{'9' * 5000}:a.png"], "999:a.png: mask is missing"),
    (["\u0663:a.png"], "\u0663:a.png: mask is missing"),
    ([""], "mask is missing"),
  ],
)  # fmt: skip
def test_odd_masks_are_one_sentence(tmp_path, masks, message):
  (tmp_path / "repeat" / "checkpoints" / "7").mkdir(parents=True)
  for name in ("0.png", "1.png"):
    cv2.imwrite(str(tmp_path / name), np.zeros((*_SIZE, 3), np.uint8))
  done = _predict(
    f"--workdir={tmp_path}/repeat",
    f"--video={tmp_path}",
    "--scales=0.5,1",
    *(f"--mask={mask}" for mask in masks),
  )
  assert done.returncode == 2
  assert message in done.stderr
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
