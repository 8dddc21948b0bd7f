"""The checker: it finds all of many damages, and none in intact data."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import check, check_files
from foregan_jax.data import flow as flow_lib

FLOW_SIZE = (128, 224)


@pytest.fixture(scope="module")
def intact_root(demo_root, tmp_path_factory):
  """A copy of the demo data with .flo files for two videos."""
  root = tmp_path_factory.mktemp("intact") / "demo"
  shutil.copytree(demo_root, root)
  videos = sorted((root / "JPEGImages" / "128p").iterdir())
  for video in videos[8:10]:
    for frame in sorted(video.iterdir())[:-1]:
      folder = root / "OpticalFlow" / "128p" / video.name
      zeros = np.zeros((*FLOW_SIZE, 2), np.float32)
      flow_lib.write_flo(folder / f"{frame.stem}.flo", zeros)
  return root


def _cut(path):
  path.write_bytes(path.read_bytes()[:-200])


def _shrink(path):
  with Image.open(path) as image:
    image.resize((112, 64), Image.Resampling.NEAREST).save(path)


def _blacken(path):
  with Image.open(path) as image:
    black = image.point(lambda _: 0)
    black.putpalette(image.getpalette())
  black.save(path)


def _to_colours(path):
  with Image.open(path) as image:
    colours = image.convert("RGB")
  colours.save(path)


def _to_nan(path):
  flow_lib.write_flo(path, np.full((*FLOW_SIZE, 2), np.nan, np.float32))


def _to_square(path):
  flow_lib.write_flo(path, np.zeros((64, 64, 2), np.float32))


def _name_another(path):
  path.write_text(path.read_text() + "unicorn\n")


# The file, the damage and the expected message. {0} to {12} are videos, each
# damaged once; {s} and {t} are pictures of the VOC folder.
DAMAGES = {
  "gap": (
    "JPEGImages/128p/{0}/00004.jpg",
    lambda path: path.unlink(),
    "frame is missing",
  ),
  "truncated frame": ("JPEGImages/128p/{1}/00003.jpg", _cut, "truncated"),
  "unreadable frame": (
    "JPEGImages/128p/{2}/00005.jpg",
    lambda path: path.write_bytes(b"<html>404</html>"),
    "cannot be decoded",
  ),
  "empty file": (
    "JPEGImages/128p/{3}/00002.jpg",
    lambda path: path.write_bytes(b""),
    "file is empty",
  ),
  "frame size changes": (
    "JPEGImages/128p/{4}/00001.jpg",
    _shrink,
    "size is 112x64, expected 224x128 as most frames",
  ),
  "mask size": (
    "Annotations/128p/{5}/00000.png",
    _shrink,
    "size is 112x64, expected 224x128 as its frame",
  ),
  "mask in colours": (
    "Annotations/128p/{6}/00000.png",
    _to_colours,
    "mode RGB",
  ),
  "empty first mask": (
    "Annotations/128p/{7}/00000.png",
    _blacken,
    "mask is empty",
  ),
  "flow of NaN": ("OpticalFlow/128p/{8}/00002.flo", _to_nan, "NaN"),
  "flow of wrong size": (
    "OpticalFlow/128p/{9}/00001.flo",
    _to_square,
    "size is 64x64, expected 224x128",
  ),
  "unknown sequence": (
    "ImageSets/2016/val.txt",
    _name_another,
    "names sequence unicorn",
  ),
  "no first mask": (
    "Annotations/128p/{10}/00000.png",
    lambda path: path.unlink(),
    "mask of the first frame is missing",
  ),
  "mask without frame": (
    "Annotations/128p/{11}/00042.png",
    lambda path: shutil.copy(path.with_name("00000.png"), path),
    "no frame of the same name",
  ),
  "truncated mask": ("Annotations/128p/{12}/00000.png", _cut, "decoded"),
  "picture without mask": (
    "VOCdevkit/DEMO/SegmentationObject/{s}.png",
    lambda path: path.unlink(),
    "mask is missing",
  ),
  "mask without picture": (
    "VOCdevkit/DEMO/JPEGImages/{t}.jpg",
    lambda path: path.unlink(),
    "picture is missing",
  ),
}


def _apply(root, damage):
  """Damage one file; return it and the expected message."""
  videos = sorted(p.name for p in (root / "JPEGImages" / "128p").iterdir())
  voc = root / "VOCdevkit" / "DEMO" / "SegmentationClass"
  pictures = sorted(path.stem for path in voc.iterdir())
  place, change, reason = DAMAGES[damage]
  path = root / place.format(*videos, s=pictures[0], t=pictures[-1])
  change(path)
  return path, reason


def test_intact_data_has_no_problem(intact_root, capsys):
  assert check.check(intact_root) == []
  assert check.main([str(intact_root)]) == 0
  assert "no problems in" in capsys.readouterr().out


def test_all_damages_are_found_at_once(intact_root, tmp_path, capsys):
  root = tmp_path / "damaged"
  shutil.copytree(intact_root, root)
  expected = [_apply(root, damage) for damage in DAMAGES]
  lists = root / "VOCdevkit/DEMO/ImageSets/Segmentation"
  _name_another(lists / "val.txt")
  # The mask of the deleted frame is a problem too.
  orphan = expected[0][0].relative_to(root / "JPEGImages").with_suffix(".png")
  expected.append((root / "Annotations" / orphan, "no frame of the same name"))
  # The listed name without files lacks a picture and two masks.
  voc = root / "VOCdevkit" / "DEMO"
  expected.append((voc / "JPEGImages" / "unicorn.jpg", "val.txt names it"))
  for kind in ("SegmentationObject", "SegmentationClass"):
    expected.append((voc / kind / "unicorn.png", "mask is missing"))
  assert check.main([str(root)]) == 1
  *lines, last = capsys.readouterr().out.splitlines()
  assert last == f"{len(expected)} problems in {root}"
  for path, reason in expected:
    (found,) = [line for line in lines if line.startswith(f"{path}: ")]
    assert reason in found


def _write_voc(root, tiny):
  folder = root / "VOC2007"
  (folder / "JPEGImages").mkdir(parents=True)
  Image.new("RGB", (40, 24)).save(folder / "JPEGImages" / "7.jpg")
  for kind in ("SegmentationObject", "SegmentationClass"):
    tiny.write_mask(folder / kind / "7.png", np.ones((24, 40), np.uint8), "P")
  lists = folder / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text("7\n")
  return folder


@pytest.mark.parametrize("place", [".", "VOC2007", "VOC2007/.."])
def test_voc_is_found_at_any_level(tmp_path, tiny, place):
  folder = _write_voc(tmp_path, tiny)
  assert check.check(tmp_path / place) == []
  (folder / "JPEGImages" / "7.jpg").unlink()
  (problem,) = check.check(tmp_path / place)
  assert problem.path.name == "7.jpg"


def test_all_problems_of_salience_data_are_found(tmp_path, tiny):
  for name in ("good", "cut", "unmasked", "empty", "wide"):
    picture = tmp_path / "images" / f"{name}.jpg"
    picture.parent.mkdir(exist_ok=True)
    Image.effect_noise((40, 24), 50).convert("RGB").save(picture)
    mask = np.full((24, 40), 200 if name != "empty" else 0, np.uint8)
    mask = mask[:, :38] if name == "wide" else mask
    if name != "unmasked":
      tiny.write_mask(tmp_path / "masks" / f"{name}.png", mask, "L")
  _cut(tmp_path / "images" / "cut.jpg")
  found = {p.path.name: p.reason for p in check.check(tmp_path)}
  assert "truncated" in found["cut.jpg"]
  assert found["unmasked.jpg"] == "picture has no mask unmasked.png"
  assert found["empty.png"] == "mask holds no object"
  assert "38x24, expected 40x24" in found["wide.png"]
  assert len(found) == 4


def _write_videos(root, suffix=".jpg"):
  """Write three videos of four frames."""
  for k, name in enumerate("abc"):
    (root / name).mkdir(parents=True)
    for t in range(4):
      frame = np.full((24, 40, 3), 50 * k + 9 * t, np.uint8)
      Image.fromarray(frame).save(root / name / f"{t}{suffix}")


@pytest.mark.parametrize("place", ["", "train"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_all_problems_of_videos_without_masks_are_found(
  tmp_path, place, suffix
):
  root = tmp_path / place
  _write_videos(root, suffix)
  assert check.check(tmp_path) == []
  cut = root / "a" / f"1{suffix}"
  cut.write_bytes(cut.read_bytes()[:-20])
  _shrink(root / "b" / f"2{suffix}")
  for t in (1, 2, 3):
    shutil.copy(root / "c" / f"0{suffix}", root / "c" / f"{t}{suffix}")
  found = {
    str(p.path.relative_to(root)): p.reason for p in check.check(tmp_path)
  }
  assert "truncated" in found.pop(f"a/1{suffix}")
  assert "size is 112x64, expected 40x24" in found.pop(f"b/2{suffix}")
  assert found == {"c": "video does not move: all frames are equal"}


def test_problems_of_video_files_and_strips(tmp_path):
  for split in ("train", "test"):
    (tmp_path / split).mkdir()
  strip = np.arange(60, dtype=np.uint8)[:, None].repeat(20, 1).T
  Image.fromarray(strip).save(tmp_path / "train" / "strip.png")
  Image.fromarray(strip[:, :50]).save(tmp_path / "train" / "odd.png")
  (tmp_path / "train" / "clip.mp4").write_bytes(b"no video")
  found = {p.path.name: p.reason for p in check.check(tmp_path)}
  assert "size is 50x20, expected two or more square" in found.pop("odd.png")
  assert found.pop("clip.mp4")
  assert "has no videos" in found.pop("test")
  assert not found


def test_void_masks_and_spaced_masks_are_valid(tiny_root, tiny):
  masks = tiny_root / "Annotations" / "tiny" / "ant"
  labels = np.zeros(tiny.SIZE, np.uint8)
  labels[:5], labels[5:10] = 1, 255
  tiny.write_mask(masks / "00000.png", labels, "P")
  for t in (1, 3, 5):
    (masks / f"{t:05d}.png").unlink()
  assert check.check(tiny_root) == []
  tiny.write_mask(masks / "00001.png", labels, "P")
  found = {problem.path.name for problem in check.check(tiny_root)}
  assert found == {"00003.png", "00005.png"}


def test_more_problems(tiny_root, tiny):
  soft = np.tile(np.arange(40, dtype=np.uint8) * 6, (24, 1))
  soft[:, -30:] = np.arange(720, dtype=np.uint16).reshape(24, 30) % 250
  tiny.write_mask(tiny_root / "Annotations/tiny/ant/00000.png", soft, "L")
  (tiny_root / "JPEGImages/tiny/ant/cover.jpg").write_bytes(b"x")
  (tiny_root / "JPEGImages/tiny/empty").mkdir()
  Image.new("L", (40, 24)).save(tiny_root / "Annotations/tiny/bee/00000.jpg")
  tiny.write_list(tiny_root, "2017", "val", [])
  shutil.copytree(
    tiny_root / "Annotations/tiny/ant", tiny_root / "Annotations/tiny/wasp"
  )
  found = {p.path.name: p.reason for p in check.check(tiny_root)}
  assert "soft mask" in found.pop("00000.png")
  assert "not a number" in found.pop("cover.jpg")
  assert "no frames" in found.pop("empty")
  assert "JPEG" in found.pop("00000.jpg")
  assert "empty" in found.pop("val.txt")
  assert "no frames in JPEGImages" in found.pop("wasp")
  assert not found


def test_flows_in_a_folder_of_the_split(tiny_root):
  for t in range(5):
    path = tiny_root / "OpticalFlows" / "training" / "ant" / f"{t:06d}.flo"
    flow_lib.write_flo(path, np.zeros((48, 80, 2), np.float32))
  assert check.check(tiny_root) == []
  path.with_name("000003.flo").unlink()
  (problem,) = check.check(tiny_root)
  assert problem.path.name == "000003.flo"


def test_folder_without_data(tmp_path):
  (problem,) = check.check(tmp_path)
  assert "neither a DAVIS data set" in problem.reason
  (problem,) = check.check(tmp_path / "nowhere")
  assert "does not exist" in problem.reason


def test_loader_agrees(tiny_root, open_davis):
  """The loader reads a folder without problems."""
  assert check.check(tiny_root) == []
  source = open_davis(tiny_root, year="2016")
  for index in range(len(source)):
    assert source[index]["ref_mask"].any()


@pytest.mark.parametrize("folder", ["DAVIS", "VOCdevkit"])
def test_real_data_has_no_problem(shared_data, folder):
  assert check.check(shared_data / folder) == []


@pytest.mark.parametrize("number", [10**11, 10**30])
def test_huge_frame_number_is_one_problem(tmp_path, number):
  """The check must not list every frame in between."""
  paths = [tmp_path / f"{i}.jpg" for i in (0, 1, number)]
  (found,) = check_files.missing_numbers(paths, "frame", step=1, last=number)
  assert found.path == paths[1]
  assert found.reason == f"{number - 2} frames after this one are missing"


def test_masks_of_every_fifth_frame_may_lack_one(tmp_path):
  paths = [tmp_path / f"{i:05d}.png" for i in (0, 5, 15, 40)]
  found = check_files.missing_numbers(paths, "mask", step=5, last=27)
  assert [p.path.name for p in found] == [
    "00010.png", "00020.png", "00025.png",
  ]  # fmt: skip


def test_frame_named_with_superscripts_is_no_number(tmp_path):
  """These are digits for `isdigit`, and an error for `int`."""
  folder = tmp_path / "JPEGImages" / "480p" / "bear"
  folder.mkdir(parents=True)
  (folder / "²²².jpg").write_bytes(b"")
  problems = {p.path.name: p.reason for p in check.check(tmp_path)}
  assert problems["²²².jpg"] == "frame's name is not a number"


@pytest.mark.parametrize(
  "content", ["ant\n".encode("utf-16"), b"b\xe4r\n", bytes(range(256))]
)
def test_lists_that_are_no_text_are_problems(tiny_root, tiny, content):
  voc = _write_voc(tiny_root, tiny)
  lists = (
    tiny_root / "ImageSets" / "2016" / "train.txt",
    voc / "ImageSets" / "Segmentation" / "train.txt",
  )
  for path in lists:
    path.write_bytes(content)
  found = {p.path: p.reason for p in check.check(tiny_root)}
  assert set(found) == set(lists)
  assert all("is not text in UTF-8" in reason for reason in found.values())


def test_odd_names_and_links_to_themselves_are_problems(tiny_root):
  frames = tiny_root / "JPEGImages" / "tiny" / "ant"
  odd = os.path.join(os.fsencode(frames), b"\xff.jpg")
  shutil.copy(frames / "00000.jpg", odd)
  for path in (frames / "00001.jpg", tiny_root / "JPEGImages" / "loop"):
    path.unlink(missing_ok=True)
    path.symlink_to(path)
  command = [sys.executable, "-m", "foregan_jax.data.check", str(tiny_root)]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 1, done.stderr
  *problems, last = done.stdout.splitlines()
  assert len(problems) == 2 and last.startswith("2 problems")
  assert "00001.jpg: cannot be read (Too many levels" in problems[0]
  assert "ant/\\udcff.jpg: frame's name is not a number" in problems[1]
