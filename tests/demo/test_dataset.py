"""Tests of the demo data: layout, labels, restarts and splits."""

import json
import pathlib
import shutil

import cv2
import numpy as np
import PIL.Image
import pytest

from foregan_jax.demo import actors, render, scenery, species, world
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.media import pictures

RECIPE = render.Recipe(
  train_videos=2,
  train_frames=3,
  val_videos=1,
  val_frames=3,
  train_stills=2,
  val_stills=1,
)
RES = render.RESOLUTION


@pytest.fixture(scope="module")
def rendered_root(tmp_path_factory) -> pathlib.Path:
  root = tmp_path_factory.mktemp("demo") / "new" / "root"
  return demo_dataset.prepare(root, recipe=RECIPE, num_workers=1)


@pytest.fixture
def root_copy(rendered_root, tmp_path) -> pathlib.Path:
  return shutil.copytree(rendered_root, tmp_path / "copy")


def read_files(root: pathlib.Path) -> dict[str, bytes]:
  files = [p for p in root.rglob("*") if p.is_file()]
  return {str(p.relative_to(root)): p.read_bytes() for p in files}


def read_labels(path: pathlib.Path) -> np.ndarray:
  picture = PIL.Image.open(path)
  assert picture.mode == "P"
  expected = pictures.PALETTE[:3].ravel().tolist()
  assert picture.getpalette()[:9] == expected
  return np.array(picture)


def iou(a: np.ndarray, b: np.ndarray) -> float:
  return (a & b).sum() / (a | b).sum()


def test_lists_contain_every_frame(rendered_root):
  frames = set()
  for split, videos in (("train", 2), ("val", 1)):
    lines = (rendered_root / "ImageSets/2016" / f"{split}.txt").read_text()
    names = (
      (rendered_root / "ImageSets/2017" / f"{split}.txt").read_text().split()
    )
    assert len(names) == videos
    first = names[0]
    assert lines.startswith(
      f"/JPEGImages/128p/{first}/00000.jpg /Annotations/128p/{first}/00000.png"
    )
    for line in lines.splitlines():
      frame, mask = line.split(" ")
      assert (rendered_root / frame[1:]).is_file()
      assert (rendered_root / mask[1:]).is_file()
      frames.add(rendered_root / frame[1:])
  assert frames == set((rendered_root / "JPEGImages").rglob("*.jpg"))


def test_frames_and_masks_have_expected_content(rendered_root):
  masks = sorted((rendered_root / "Annotations" / RES).rglob("*.png"))
  assert len(masks) == 2 * 3 + 3
  for path in masks:
    mask = read_labels(path)
    assert mask.shape == scenery.FRAME == (128, 224)
    assert set(np.unique(mask)) == {0, render.OBJECT_ID}
    frame = cv2.imread(
      str(rendered_root / "JPEGImages" / RES / path.parent.name / path.stem)
      + ".jpg"
    )
    assert frame.shape == (128, 224, 3)
    assert frame.std() > 10
    if path.stem == "00000":
      assert 0.05 < mask.mean() < 0.2


def test_plates_differ_from_frames_only_near_the_object(rendered_root):
  plates = sorted((rendered_root / "Background").rglob("*.jpg"))
  assert len(plates) == RECIPE.val_frames
  for path in plates:
    name = path.parent.name
    frame = cv2.imread(
      str(rendered_root / "JPEGImages" / RES / name / path.name)
    )
    mask = read_labels(
      rendered_root / "Annotations" / RES / name / f"{path.stem}.png"
    )
    # Motion blur and JPEG affect pixels around the border.
    near = cv2.dilate(mask, np.ones((17, 17), np.uint8)) > 0
    difference = np.abs(frame.astype(int) - cv2.imread(str(path))).mean(-1)
    assert difference[~near].max() < 20
    assert difference[~near].mean() < 1
    assert difference[mask > 0].mean() > 10


def test_void_border_surrounds_the_objects_of_stills(rendered_root):
  voc = rendered_root / "VOCdevkit" / "DEMO"
  for split, count in (("train", 2), ("val", 1)):
    path = voc / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = path.read_text().split()
    assert len(names) == count
    for name in names:
      assert (voc / "JPEGImages" / f"{name}.jpg").is_file()
      objects = read_labels(voc / "SegmentationObject" / f"{name}.png")
      classes = read_labels(voc / "SegmentationClass" / f"{name}.png")
      void = objects == render.VOID
      assert ((classes == render.VOID) == void).all()
      assert ((classes == 0) == (objects == 0)).all()
      ids = np.unique(objects[~void])
      assert ids.tolist() == list(range(len(ids)))
      # A void border separates different labels.
      for a, b in (
        (objects[1:], objects[:-1]),
        (objects.T[1:], objects.T[:-1]),
      ):
        valid = (a != render.VOID) & (b != render.VOID)
        assert (a == b)[valid].all()


def test_workers_do_not_change_the_bytes(rendered_root, tmp_path):
  demo_dataset.prepare(tmp_path / "two", recipe=RECIPE, num_workers=2)
  assert read_files(tmp_path / "two") == read_files(rendered_root)


def test_prepare_skips_complete_data(rendered_root, monkeypatch):
  monkeypatch.setattr(demo_dataset, "_render_all", None)
  assert demo_dataset.prepare(rendered_root, recipe=RECIPE) == rendered_root


def test_prepare_completes_a_killed_run(rendered_root, root_copy):
  expected = read_files(rendered_root)
  first, second = (root_copy / "ImageSets/2017/train.txt").read_text().split()
  # Simulate a run killed between two renames of folders, and within a still.
  shutil.rmtree(root_copy / "JPEGImages" / RES / first)
  (root_copy / "Annotations" / RES / first / "00001.png").unlink()
  (root_copy / "VOCdevkit/DEMO/JPEGImages/train_000000.jpg").unlink()
  (root_copy / render.SCRATCH / "left").mkdir(parents=True)
  marker = json.loads((root_copy / "demo.json").read_text())
  (root_copy / "demo.json").write_text(json.dumps(marker | {"finished": False}))
  kept = root_copy / "JPEGImages" / RES / second / "00000.jpg"
  modified = kept.stat().st_mtime_ns
  demo_dataset.prepare(root_copy, recipe=RECIPE, num_workers=1)
  assert read_files(root_copy) == expected
  assert kept.stat().st_mtime_ns == modified


def test_other_version_or_force_renders_again(rendered_root, root_copy):
  expected = read_files(rendered_root)
  damaged = next((root_copy / "JPEGImages").rglob("*.jpg"))
  for change, force in (({}, True), ({"version": "older"}, False)):
    damaged.write_bytes(b"")
    marker = json.loads((root_copy / "demo.json").read_text())
    (root_copy / "demo.json").write_text(json.dumps(marker | change))
    demo_dataset.prepare(root_copy, recipe=RECIPE, num_workers=1, force=force)
    assert read_files(root_copy) == expected


def test_prepare_rejects_a_folder_with_other_files(tmp_path):
  other = tmp_path / "JPEGImages" / "480p" / "bear"
  other.mkdir(parents=True)
  for force in (False, True):
    with pytest.raises(ValueError, match="not empty"):
      demo_dataset.prepare(tmp_path, recipe=RECIPE, force=force)
  assert other.is_dir()


def test_failed_worker_raises(tmp_path):
  version = RECIPE.version()
  marker = json.dumps({"version": version, "finished": False})
  (tmp_path / "demo.json").write_text(marker)
  name = f"{species.KINDS['val'][0].__name__}-000"
  (tmp_path / "Annotations" / RES).mkdir(parents=True)
  (tmp_path / "Annotations" / RES / name).write_text("a file")
  with pytest.raises(RuntimeError, match="failed: NotADirectory"):
    demo_dataset.prepare(tmp_path, recipe=RECIPE, num_workers=2)
  assert json.loads((tmp_path / "demo.json").read_text())["finished"] is False


def test_version_depends_on_the_recipe():
  assert render.Recipe(seed=1).version() != render.Recipe(seed=2).version()


def test_splits_share_no_kind_coat_or_place():
  for table in (species.KINDS, actors.COATS, scenery.PLACES):
    assert table["train"] and table["val"]
    assert not set(table["train"]) & set(table["val"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_creature_leaves_its_first_mask(split):
  near, far = [], []
  for kind in range(5):
    rng = np.random.default_rng(kind)
    views = world.render(rng, split, 13, [kind], plates=False)
    masks = [view.labels > 0 for view in views]
    near += [iou(masks[0], mask) for mask in masks[1:5]]
    far += [iou(masks[0], mask) for mask in masks[9:]]
  assert 0.45 < np.mean(near) < 0.8
  assert np.mean(far) < 0.35


def test_only_the_creature_moves_in_calm_videos(tmp_path):
  recipe = render.Recipe(
    train_videos=1, val_videos=1, val_frames=6, train_frames=6,
    train_stills=0, val_stills=0, calm=True,
  )  # fmt: skip
  root = demo_dataset.prepare(tmp_path / "calm", recipe=recipe, num_workers=1)
  for split in ("train", "val"):
    name = render.video_name(split, 0)
    frames, masks = [], []
    for i in range(6):
      path = root / "JPEGImages" / RES / name / f"{i:05d}.jpg"
      frames.append(cv2.imread(str(path)).astype(int))
      masks.append(
        read_labels(root / "Annotations" / RES / name / f"{i:05d}.png")
      )
    height, width, _ = frames[0].shape
    assert height == width
    moving = np.any(masks, axis=0).astype(np.uint8)
    # Shadow and blur reach beyond the masks.
    still = cv2.dilate(moving, np.ones((31, 31))) == 0
    change = np.abs(frames[0] - frames[-1]).mean(-1)
    assert change[still].mean() < 8 < change[masks[0] != masks[-1]].mean()
    assert iou(masks[0] > 0, masks[-1] > 0) < 0.9
