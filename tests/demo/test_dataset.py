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
def rendered(tmp_path_factory) -> pathlib.Path:
  root = tmp_path_factory.mktemp("demo") / "new" / "root"
  return demo_dataset.prepare(root, recipe=RECIPE, num_workers=1)


@pytest.fixture
def copy(rendered, tmp_path) -> pathlib.Path:
  return shutil.copytree(rendered, tmp_path / "copy")


def content(root: pathlib.Path) -> dict[str, bytes]:
  files = [p for p in root.rglob("*") if p.is_file()]
  return {str(p.relative_to(root)): p.read_bytes() for p in files}


def labels(path: pathlib.Path) -> np.ndarray:
  picture = PIL.Image.open(path)
  assert picture.mode == "P"
  expected = pictures.PALETTE[:3].ravel().tolist()
  assert picture.getpalette()[:9] == expected
  return np.array(picture)


def iou(a: np.ndarray, b: np.ndarray) -> float:
  return (a & b).sum() / (a | b).sum()


def test_lists_name_exactly_what_is_there(rendered):
  frames = set()
  for split, videos in (("train", 2), ("val", 1)):
    lines = (rendered / "ImageSets/2016" / f"{split}.txt").read_text()
    names = (rendered / "ImageSets/2017" / f"{split}.txt").read_text().split()
    assert len(names) == videos
    first = names[0]
    assert lines.startswith(
      f"/JPEGImages/128p/{first}/00000.jpg /Annotations/128p/{first}/00000.png"
    )
    for line in lines.splitlines():
      frame, mask = line.split(" ")
      assert (rendered / frame[1:]).is_file()
      assert (rendered / mask[1:]).is_file()
      frames.add(rendered / frame[1:])
  assert frames == set((rendered / "JPEGImages").rglob("*.jpg"))


def test_frames_and_masks(rendered):
  masks = sorted((rendered / "Annotations" / RES).rglob("*.png"))
  assert len(masks) == 2 * 3 + 3
  for path in masks:
    mask = labels(path)
    assert mask.shape == scenery.FRAME == (128, 224)
    assert set(np.unique(mask)) == {0, render.OBJECT_ID}
    frame = cv2.imread(
      str(rendered / "JPEGImages" / RES / path.parent.name / path.stem) + ".jpg"
    )
    assert frame.shape == (128, 224, 3)
    assert frame.std() > 10
    if path.stem == "00000":
      assert 0.05 < mask.mean() < 0.2


def test_plates_show_what_is_behind(rendered):
  plates = sorted((rendered / "Background").rglob("*.jpg"))
  assert len(plates) == RECIPE.val_frames
  for path in plates:
    name = path.parent.name
    frame = cv2.imread(str(rendered / "JPEGImages" / RES / name / path.name))
    mask = labels(rendered / "Annotations" / RES / name / f"{path.stem}.png")
    # The shutter and JPEG smear the border.
    near = cv2.dilate(mask, np.ones((17, 17), np.uint8)) > 0
    apart = np.abs(frame.astype(int) - cv2.imread(str(path))).mean(-1)
    assert apart[~near].max() < 20
    assert apart[~near].mean() < 1
    assert apart[mask > 0].mean() > 10


def test_stills_have_objects_within_void_borders(rendered):
  voc = rendered / "VOCdevkit" / "DEMO"
  for split, count in (("train", 2), ("val", 1)):
    path = voc / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = path.read_text().split()
    assert len(names) == count
    for name in names:
      assert (voc / "JPEGImages" / f"{name}.jpg").is_file()
      objects = labels(voc / "SegmentationObject" / f"{name}.png")
      classes = labels(voc / "SegmentationClass" / f"{name}.png")
      void = objects == render.VOID
      assert ((classes == render.VOID) == void).all()
      assert ((classes == 0) == (objects == 0)).all()
      ids = np.unique(objects[~void])
      assert ids.tolist() == list(range(len(ids)))
      # No two labels touch without a border between them.
      for a, b in (
        (objects[1:], objects[:-1]),
        (objects.T[1:], objects.T[:-1]),
      ):
        both = (a != render.VOID) & (b != render.VOID)
        assert (a == b)[both].all()


def test_workers_do_not_change_the_bytes(rendered, tmp_path):
  demo_dataset.prepare(tmp_path / "two", recipe=RECIPE, num_workers=2)
  assert content(tmp_path / "two") == content(rendered)


def test_finished_returns_at_once(rendered, monkeypatch):
  monkeypatch.setattr(demo_dataset, "_render_all", None)
  assert demo_dataset.prepare(rendered, recipe=RECIPE) == rendered


def test_killed_run_is_completed(rendered, copy):
  whole = content(rendered)
  first, second = (copy / "ImageSets/2017/train.txt").read_text().split()
  # As if killed between two renames of a folder, and within a still.
  shutil.rmtree(copy / "JPEGImages" / RES / first)
  (copy / "Annotations" / RES / first / "00001.png").unlink()
  (copy / "VOCdevkit/DEMO/JPEGImages/train_000000.jpg").unlink()
  (copy / render.SCRATCH / "left").mkdir(parents=True)
  marker = json.loads((copy / "demo.json").read_text())
  (copy / "demo.json").write_text(json.dumps(marker | {"finished": False}))
  kept = copy / "JPEGImages" / RES / second / "00000.jpg"
  before = kept.stat().st_mtime_ns
  demo_dataset.prepare(copy, recipe=RECIPE, num_workers=1)
  assert content(copy) == whole
  assert kept.stat().st_mtime_ns == before


def test_other_version_and_force_render_anew(rendered, copy):
  whole = content(rendered)
  spoilt = next((copy / "JPEGImages").rglob("*.jpg"))
  for change, force in (({}, True), ({"version": "older"}, False)):
    spoilt.write_bytes(b"")
    marker = json.loads((copy / "demo.json").read_text())
    (copy / "demo.json").write_text(json.dumps(marker | change))
    demo_dataset.prepare(copy, recipe=RECIPE, num_workers=1, force=force)
    assert content(copy) == whole


def test_foreign_folder_is_left_alone(tmp_path):
  mine = tmp_path / "JPEGImages" / "480p" / "bear"
  mine.mkdir(parents=True)
  for force in (False, True):
    with pytest.raises(ValueError, match="not empty"):
      demo_dataset.prepare(tmp_path, recipe=RECIPE, force=force)
  assert mine.is_dir()


def test_dead_worker_is_reported(tmp_path):
  version = RECIPE.version()
  marker = json.dumps({"version": version, "finished": False})
  (tmp_path / "demo.json").write_text(marker)
  name = f"{species.KINDS['val'][0].__name__}-000"
  (tmp_path / "Annotations" / RES).mkdir(parents=True)
  (tmp_path / "Annotations" / RES / name).write_text("in the way")
  with pytest.raises(RuntimeError, match="failed: NotADirectory"):
    demo_dataset.prepare(tmp_path, recipe=RECIPE, num_workers=2)
  assert json.loads((tmp_path / "demo.json").read_text())["finished"] is False


def test_version_follows_the_recipe():
  assert render.Recipe(seed=1).version() != render.Recipe(seed=2).version()


def test_splits_share_no_kind_coat_or_place():
  for table in (species.KINDS, actors.COATS, scenery.PLACES):
    assert table["train"] and table["val"]
    assert not set(table["train"]) & set(table["val"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_first_mask_is_left_behind(split):
  near, far = [], []
  for kind in range(5):
    rng = np.random.default_rng(kind)
    views = world.render(rng, split, 13, [kind], plates=False)
    masks = [view.labels > 0 for view in views]
    near += [iou(masks[0], mask) for mask in masks[1:5]]
    far += [iou(masks[0], mask) for mask in masks[9:]]
  assert 0.45 < np.mean(near) < 0.8
  assert np.mean(far) < 0.35
