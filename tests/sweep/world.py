"""A small world for the sweep: data folders, a video, runs of six systems."""

import contextlib
import io
import json
import os
import pathlib
import runpy
import shutil
import sys

import cv2
import numpy as np
from PIL import Image

SIZE = (32, 48)
_FRAMES = 6
_ROOT = pathlib.Path(__file__).resolve().parents[2]
# The name of a run and the config that trains it.
RUNS = {
  "foregan": "davis", "rgmp": "rgmp_davis", "layered": "layered_gan",
  "animation": "animation", "face_parts": "face_parts",
  "face_edits": "face_transfer",
}  # fmt: skip
# Of `ablate`; the finished run of each variant is a copy of a run.
ABLATED = "layered"


def build(folder: pathlib.Path, *, prepared: bool, runs: bool) -> None:
  """Write the world unless it is there: data, prepared data, runs."""
  if not (folder / "data_done").exists():
    _write_data(folder)
    (folder / "data_done").touch()
  if prepared and not (folder / "prepared").exists():
    for kind, root in (
      ("stills", "stills"),
      ("instances", "voc"),
      ("videos", "davis"),
    ):
      _call(f"data.prepared.{kind}", f"{folder}/{root}", f"{folder}/prepared")
  if runs and not (folder / "runs_done").exists():
    for name, config in RUNS.items():
      shutil.rmtree(folder / "runs" / name, ignore_errors=True)
      _call(
        "main",
        f"--config={_ROOT}/configs/{config}.py:smoke",
        f"--workdir={folder}/runs/{name}",
      )
    finished = folder / "ablation" / "full"
    shutil.copytree(folder / "runs" / ABLATED, finished, dirs_exist_ok=True)
    _write_track(folder)
    (folder / "runs_done").touch()


def _write_data(folder: pathlib.Path) -> None:
  for name in ("ant", "bee"):
    _write_video(folder / "davis", name)
  first = "/JPEGImages/tiny/{0}/00000.jpg /Annotations/tiny/{0}/00000.png\n"
  for split in ("train", "val"):
    text = {"2016": first.format("ant") + first.format("bee")}
    text["2017"] = "ant\nbee\n"
    for year, lines in text.items():
      path = folder / "davis" / "ImageSets" / year / f"{split}.txt"
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text(lines)
  rng = np.random.default_rng(0)
  _write_stills(folder / "stills", rng)
  _write_stills(folder / "cub", rng)
  names = ("0.a/x0", "0.a/x1", "1.b/x2", "1.b/x3")
  table = lambda values: "".join(f"{i} {v}\n" for i, v in enumerate(values, 1))
  (folder / "cub/images.txt").write_text(table(f"{n}.jpg" for n in names))
  (folder / "cub/train_test_split.txt").write_text(table((1, 0, 1, 0)))
  _write_voc(folder / "voc", rng)
  _write_faces(folder / "faces", rng)
  video = folder / "davis" / "JPEGImages" / "tiny" / "ant"
  shutil.copytree(video, folder / "video")
  mask = folder / "davis" / "Annotations" / "tiny" / "bee" / "00000.png"
  (folder / "mask").mkdir()
  shutil.copy(mask, folder / "mask" / "mask.png")
  _write_clip(folder / "clip" / "clip.mp4", video)


def _write_track(folder: pathlib.Path) -> None:
  """Write the finished results of `predict track`."""
  _call(
    "predict", "track", f"--workdir={folder}/runs/rgmp",
    f"--video={folder}/video", f"--mask={folder}/mask/mask.png",
    f"--out={folder}/tracked",
  )  # fmt: skip


def _call(module: str, *arguments: str) -> None:
  """Run a program in a child process, and fail if it fails."""
  pid = os.fork()
  if not pid:
    sys.argv = [module, *arguments]
    text, status = io.StringIO(), 1
    with contextlib.redirect_stdout(text):
      try:
        runpy.run_module(f"foregan_jax.{module}", run_name="__main__")
        status = 0
      except SystemExit as stop:
        status = 1 if isinstance(stop.code, str) else int(stop.code or 0)
    os._exit(status)
  if os.waitpid(pid, 0)[1]:
    raise RuntimeError(f"{module} {' '.join(arguments)} failed")


def _labels(t: int) -> np.ndarray:
  labels = np.zeros(SIZE, np.uint8)
  labels[8:20, 6 + 2 * t : 20 + 2 * t] = 1
  return labels


def _write_mask(path: pathlib.Path, labels: np.ndarray) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(labels)
  image.putpalette(list(range(256)) * 3)
  image.save(path)


def _write_video(root: pathlib.Path, name: str) -> None:
  rng = np.random.default_rng(len(name))
  texture = cv2.GaussianBlur(
    rng.integers(0, 256, (*SIZE, 3), np.uint8), (0, 0), 2
  )
  frames = root / "JPEGImages" / "tiny" / name
  frames.mkdir(parents=True)
  for t in range(_FRAMES):
    frame = texture.copy()
    frame[_labels(t) > 0] = (0, 0, 255)
    cv2.imwrite(str(frames / f"{t:05d}.jpg"), frame)
    _write_mask(
      root / "Annotations" / "tiny" / name / f"{t:05d}.png", _labels(t)
    )


def _write_stills(root: pathlib.Path, rng: np.random.Generator) -> None:
  for i in range(8):
    name = f"{i // 4}.{'ab'[i // 4]}/x{i}" if root.name == "stills" else (
      f"{i // 2}.{'abcd'[i // 2]}/x{i}"
    )  # fmt: skip
    path = root / "images" / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (*SIZE, 3), np.uint8))
    if i % 2 or root.name == "cub":
      path = root / "segmentations" / f"{name}.png"
      path.parent.mkdir(parents=True, exist_ok=True)
      cv2.imwrite(str(path), _labels(0) * 255)


def _write_voc(root: pathlib.Path, rng: np.random.Generator) -> None:
  for i in range(4):
    path = root / "JPEGImages" / f"p{i}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (*SIZE, 3), np.uint8))
    for kind in ("SegmentationObject", "SegmentationClass"):
      _write_mask(root / kind / f"p{i}.png", _labels(i))
  lists = root / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text("p0\np1\n")
  (lists / "val.txt").write_text("p2\np3\n")


def _write_faces(root: pathlib.Path, rng: np.random.Generator) -> None:
  """Write pictures, masks, emotions and the names of the classes."""
  classes = {"eyes": 1, "brows": 2, "mouth": 3, "lips": 4}
  rows = []
  for i in range(4):
    path = root / "JPEGImages" / f"f{i}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (64, 64, 3), np.uint8))
    labels = np.zeros((64, 64), np.uint8)
    for left in (14, 36):
      labels[18:24, left : left + 14] = classes["eyes"]
      labels[12:15, left : left + 14] = classes["brows"]
    labels[42:52, 20:44] = classes["lips"]
    labels[45:49, 24:40] = classes["mouth"]
    _write_mask(root / "SegmentationClass" / f"f{i}.png", labels)
    rows.append(f"f{i}.jpg,{('neutral', 'happiness')[i % 2]}\n")
  (root / "labels.csv").write_text("file,emotion\n" + "".join(rows))
  (root / "classes.json").write_text(json.dumps(classes))


def _write_clip(path: pathlib.Path, frames: pathlib.Path) -> None:
  from foregan_jax.media import video_files

  path.parent.mkdir(parents=True)
  pictures = [
    cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB)
    for p in sorted(frames.iterdir())
  ]
  video_files.write_mp4(path, pictures, 24)
