"""The DAVIS source: samples, sequences, flows, and errors."""

import logging
import shutil

import cv2
import numpy as np
import pytest

from foregan_jax.data import davis
from foregan_jax.data import flow as flow_lib
from foregan_jax.media import images


def _frame(root, name, t):
  return root / "JPEGImages" / "tiny" / name / f"{t:05d}.jpg"


def _mask(root, name, t):
  return root / "Annotations" / "tiny" / name / f"{t:05d}.png"


def test_sample(tiny_root, open_davis):
  sample = open_davis(tiny_root)[0]
  assert {k: (v.shape, v.dtype) for k, v in sample.items()} == {
    "video": ((4, 12, 20, 3), np.uint8),
    "ref_mask": ((12, 20, 1), np.uint8),
    "flow_fwd": ((3, 12, 20, 2), np.float32),
  }


def test_frames_mask_and_flow_agree(tiny, tiny_root, open_davis):
  """The red square matches the mask, and moves by the flow."""
  source = open_davis(tiny_root, size=tiny.SIZE, objects=1)
  sample = source[0]
  red = sample["video"].astype(int) @ [1, -1, -1] > 128
  assert np.mean(red[0] == (sample["ref_mask"][..., 0] > 0)) > 0.97
  inside = sample["flow_fwd"][0][8:14, 6:12]
  assert np.allclose(np.median(inside, axis=(0, 1)), (2, 0), atol=0.3)
  sequence = source.sequence("ant")
  inside = sequence["flow_bwd"][0][8:14, 8:14]
  assert np.allclose(np.median(inside, axis=(0, 1)), (-2, 0), atol=0.3)
  assert sequence["labels"][5][10, 14:24].all()


def test_sequence(tiny, tiny_root, open_davis):
  _mask(tiny_root, "ant", 3).unlink()
  sequence = open_davis(tiny_root).sequence("ant")
  assert sequence["frames"].shape == (6, 12, 20, 3)
  assert sequence["flow_fwd"].shape == sequence["flow_bwd"].shape
  assert sequence["flow_fwd"].shape == (5, 12, 20, 2)
  assert sequence["native_size"] == tiny.SIZE
  native = sequence["native_frame"](1)
  np.testing.assert_array_equal(native, images.read_image(sequence["paths"][1]))
  assert sequence["labels"][3] is None
  assert sequence["labels"][0].shape == tiny.SIZE
  assert [path.name for path in sequence["paths"]][:2] == [
    "00000.jpg",
    "00001.jpg",
  ]
  short = open_davis(tiny_root).sequence("ant", num_frames=1)
  assert len(short["frames"]) == len(short["labels"]) == 1
  assert short["flow_fwd"].shape == (0, 12, 20, 2)


def test_true_backgrounds_are_read_on_call(tiny, tiny_root, open_davis):
  folder = tiny_root / "Background" / "tiny" / "ant"
  folder.mkdir(parents=True)
  shutil.copy(_frame(tiny_root, "ant", 4), folder / "00002.jpg")
  cv2.imwrite(str(folder / "00003.png"), np.full((*tiny.SIZE, 3), 9, np.uint8))
  (folder / "00004.jpg").write_bytes(b"no picture")
  cv2.imwrite(str(folder / "00005.png"), np.zeros((30, 50, 3), np.uint8))
  sequence = open_davis(tiny_root).sequence("ant")  # nothing is read yet
  background = sequence["background"]
  assert background(1) is None
  np.testing.assert_array_equal(background(2), sequence["frames"][4])
  np.testing.assert_array_equal(background(3), np.full((12, 20, 3), 9))
  with pytest.raises(images.DataError, match="ant/00004.jpg: .*decoded"):
    background(4)
  with pytest.raises(images.DataError, match="00005.png: size is 50x30, exp"):
    background(5)
  assert open_davis(tiny_root).sequence("cicada")["background"](0) is None


def test_demo_has_true_backgrounds_for_val_only(demo_root, open_davis):
  for split, has_background in (("val", True), ("train", False)):
    source = open_davis(demo_root, split=split, size=(48, 84))
    sequence = source.sequence(source.names[0])
    background = sequence["background"](3)
    assert (background is not None) == has_background
    if has_background:
      hit = images.resize_mask(sequence["labels"][3], (48, 84))[..., 0]
      off = np.abs(background - 1.0 * sequence["frames"][3]).mean(-1)
      # Equal except for the object (and its shadow).
      assert np.median(off[hit == 0]) < 3 < 12 < np.median(off[hit == 255])


def test_sequence_starts_with_the_sample(tiny_root, open_davis):
  source = open_davis(tiny_root)
  sample, sequence = source[0], source.sequence("ant")
  assert np.array_equal(sample["video"], sequence["frames"][:4])
  assert np.array_equal(sample["ref_mask"], sequence["ref_mask"])
  assert np.array_equal(sample["flow_fwd"], sequence["flow_fwd"][:3])


def test_objects(tiny_root, open_davis):
  source = open_davis(tiny_root)
  assert source.object_ids("ant") == (1, 2)
  merged = source.sequence("ant")["labels"][0]
  second = source.sequence("ant", objects=2)["labels"][0]
  assert (merged.sum(), second.sum()) == (140, 40)
  with pytest.raises(images.DataError, match="ant holds no object.*objects=3"):
    source.sequence("ant", objects=3)
  with pytest.raises(ValueError, match="objects 0 is neither"):
    open_davis(tiny_root, objects=0)


def test_all_objects_at_once(tiny_root, open_davis):
  source = open_davis(tiny_root, objects="all")
  sequence = source.sequence("ant")
  for k in (1, 2):
    alone = source.sequence("ant", objects=k)
    np.testing.assert_array_equal(
      sequence["ref_mask"][..., k - 1 : k], alone["ref_mask"]
    )
    for both, one in zip(sequence["labels"], alone["labels"], strict=True):
      if one is not None:
        np.testing.assert_array_equal(both == k, one == 1)


def test_void_is_not_an_object(tiny, tiny_root, open_davis):
  labels = np.zeros(tiny.SIZE, np.uint8)
  labels[:5], labels[5:10] = 1, 255
  tiny.write_mask(_mask(tiny_root, "ant", 0), labels, "P")
  sequence = open_davis(tiny_root, size=tiny.SIZE).sequence("ant")
  assert np.array_equal(sequence["labels"][0], labels)
  assert not sequence["ref_mask"][5:].any()


def test_2016_lists_and_masks(tiny_root, open_davis):
  source = open_davis(tiny_root, year="2016")
  assert source.names == ("ant", "bee")
  # Only object 1 exists in a mask of 0 and 255.
  assert source.object_ids("bee") == (1,)
  grey, palette = source[1]["ref_mask"], source[0]["ref_mask"]
  assert np.array_equal(grey, palette)


def test_short_videos_give_no_training_sample(tiny_root, open_davis, caplog):
  with caplog.at_level(logging.INFO, logger="absl"):
    source = open_davis(tiny_root)
  assert len(source) == 1
  assert source.names == ("ant", "cicada")
  assert "cicada has 3 frames" in caplog.text
  assert len(open_davis(tiny_root, clip_len=3)) == 2


def test_ambiguous_resolution_raises(tiny_root, open_davis):
  shutil.copytree(
    tiny_root / "JPEGImages" / "tiny", tiny_root / "JPEGImages" / "480p"
  )
  with pytest.raises(images.DataError, match=r"\['480p', 'tiny'\]"):
    open_davis(tiny_root)
  assert open_davis(tiny_root, resolution="tiny").resolution == "tiny"
  with pytest.raises(images.DataError, match="no resolution '1080p'"):
    open_davis(tiny_root, resolution="1080p")


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"split": "test"}, "2017/test.txt: .*missing.*2017/train.txt"),
    ({"year": "2019"}, "2019/train.txt"),
    ({"flow": "lk"}, "flow is 'lk', but must be one of auto, flo, dis"),
    ({"flow_offset": 2}, "flow_offset is 2, but must be 0 or 1"),
    ({"flow": "flo"}, r"no .flo files for sequence ant"),
  ],
)
def test_invalid_arguments_raise(tiny_root, open_davis, changes, message):
  with pytest.raises(ValueError, match=message):
    open_davis(tiny_root, **changes)


def test_separate_objects_are_samples_of_their_own(tiny_root, open_davis):
  merged = open_davis(tiny_root, clip_len=3)
  each = open_davis(tiny_root, clip_len=3, objects=davis.ALL)
  assert each.samples == (
    ("ant", 1), ("ant", 2), ("cicada", 1), ("cicada", 2),
  )  # fmt: skip
  assert (len(each), len(merged)) == (4, 2)
  first, second = each[0], each[1]
  np.testing.assert_array_equal(first["video"], second["video"])
  assert first["ref_mask"].shape == second["ref_mask"].shape == (12, 20, 1)
  both = np.maximum(first["ref_mask"], second["ref_mask"])
  np.testing.assert_array_equal(both, merged[0]["ref_mask"])
  assert not (first["ref_mask"] & second["ref_mask"]).any()


@pytest.mark.parametrize("source", ["dis", "flo"])
def test_flow_offset_gives_the_flow_of_the_next_transition(
  tiny_root, open_davis, source
):
  if source == "flo":
    for t in range(5):
      folder = tiny_root / "OpticalFlow" / "tiny" / "ant"
      flow_lib.write_flo(folder / f"{t:05d}.flo", np.full((24, 40, 2), t, "f4"))
  (tiny_root / "ImageSets" / "2017" / "train.txt").write_text("ant\n")
  now, late = (
    open_davis(tiny_root, flow=source, flow_offset=k) for k in (0, 1)
  )
  (a, b), whole = (now[0], late[0]), now.sequence("ant")
  assert a["flow_fwd"].shape == b["flow_fwd"].shape == (3, 12, 20, 2)
  np.testing.assert_array_equal(b["flow_fwd"], whole["flow_fwd"][1:4])
  np.testing.assert_array_equal(b["video"], a["video"])
  shifted = late.sequence("ant")
  np.testing.assert_array_equal(
    shifted["flow_fwd"], whole["flow_fwd"][[1, 2, 3, 4, 4]]
  )
  np.testing.assert_array_equal(shifted["flow_bwd"], whole["flow_bwd"])
  assert np.abs(b["flow_fwd"] - a["flow_fwd"]).max() > 0.1


def test_wrong_root_error_suggests_a_folder(tiny_root, open_davis):
  with pytest.raises(images.DataError, match=f"did you mean {tiny_root}"):
    open_davis(tiny_root.parent)
  with pytest.raises(images.DataError, match="does not exist"):
    open_davis(tiny_root / "nowhere")


def test_missing_files_raise_on_opening(tiny, tiny_root, open_davis):
  tiny.write_list(tiny_root, "2017", "val", ["ant", "dragonfly"])
  with pytest.raises(images.DataError, match="sequence dragonfly is missing"):
    open_davis(tiny_root, split="val")
  _mask(tiny_root, "ant", 0).unlink()
  with pytest.raises(images.DataError, match="ant has no mask for its first"):
    open_davis(tiny_root)
  _frame(tiny_root, "ant", 2).unlink()
  with pytest.raises(images.DataError, match="00003.jpg: .*expected 2"):
    open_davis(tiny_root)


def test_broken_file_errors_name_the_file(tiny, tiny_root, open_davis):
  source = open_davis(tiny_root)
  path = _frame(tiny_root, "ant", 1)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  with pytest.raises(images.DataError, match="ant/00001.jpg: .*truncated"):
    source[0]
  shutil.copy(_frame(tiny_root, "ant", 2), path)
  tiny.write_video(tiny_root, "large", size=(30, 50))
  shutil.copy(_frame(tiny_root, "large", 1), path)
  with pytest.raises(images.DataError, match="00001.jpg: size is 50x30, exp"):
    source[0]
  shutil.copy(_frame(tiny_root, "ant", 2), path)
  shutil.copy(_mask(tiny_root, "large", 0), _mask(tiny_root, "ant", 0))
  with pytest.raises(images.DataError, match="00000.png: size is 50x30, exp"):
    source[0]
  tiny.write_mask(
    _mask(tiny_root, "ant", 0), np.zeros(tiny.SIZE, np.uint8), "P"
  )
  with pytest.raises(images.DataError, match="first mask of ant holds no obj"):
    source.sequence("ant")


@pytest.mark.parametrize("digits", [5, 6])
@pytest.mark.parametrize("folder", ["OpticalFlow/tiny", "OpticalFlows/train"])
def test_flo_files_are_preferred_and_resized(
  tiny_root, open_davis, digits, folder
):
  for t in range(5):
    value = np.full((48, 40, 2), (t, 8 * t), np.float32)
    path = tiny_root / folder / "ant" / f"{t:0{digits}d}.flo"
    flow_lib.write_flo(path, value)
  for flow, is_used in (("auto", True), ("flo", True), ("zeros", False)):
    changes = {"year": "2017", "split": "val", "flow": flow}
    found = open_davis(tiny_root, **changes)[0]["flow_fwd"]
    # 40x48 -> 20x12: dx is halved, dy quartered.
    expected = np.array([[t / 2, 2 * t] for t in range(3)])[:, None, None]
    assert np.allclose(found, expected * is_used)
  estimated = open_davis(tiny_root, flow="dis")[0]["flow_fwd"]
  assert not np.allclose(estimated, expected)
  path.with_name(f"{2:0{digits}d}.flo").unlink()
  with pytest.raises(images.DataError, match="00002.flo: flow of frame 2 to 3"):
    open_davis(tiny_root)


def test_flows_are_cached_outside_the_root(tiny_root, open_davis, tmp_path):
  before = sorted(tiny_root.rglob("*"))
  source = open_davis(tiny_root)
  source.cache_flows(show_progress=False)
  cached = sorted((tmp_path / "flow_cache").rglob("*.png"))
  assert len(cached) == 3
  stamps = [path.stat().st_mtime_ns for path in cached]
  first = source[0]["flow_fwd"]
  open_davis(tiny_root).cache_flows(show_progress=False)
  assert [path.stat().st_mtime_ns for path in cached] == stamps
  assert np.array_equal(open_davis(tiny_root)[0]["flow_fwd"], first)
  assert sorted(tiny_root.rglob("*")) == before


def test_changed_pictures_get_new_flows(tiny_root, open_davis):
  first = open_davis(tiny_root)[0]["flow_fwd"]
  shutil.copy(_frame(tiny_root, "ant", 3), _frame(tiny_root, "ant", 0))
  assert not np.array_equal(open_davis(tiny_root)[0]["flow_fwd"], first)


@pytest.mark.parametrize(
  "folder, resolution, count, native",
  [("DAVIS240", "240p", 30, (240, 427)), ("DAVIS", "480p", 2, (480, 854))],
)
def test_real_davis(shared_data, open_davis, folder, resolution, count, native):
  source = open_davis(
    shared_data / folder, year="2016", size=(32, 56), clip_len=4
  )
  assert (source.resolution, len(source)) == (resolution, count)
  sample = source[source.clip_names.index("rollerblade")]
  assert sample["video"].shape == (4, 32, 56, 3)
  sequence = source.sequence("rollerblade", num_frames=4)
  assert sequence["native_size"] == native
  assert set(np.unique(sequence["labels"][0])) == {0, 1}


def test_real_davis_is_similar_at_both_resolutions(shared_data, open_davis):
  small, large = (
    open_davis(shared_data / folder, year="2016", size=(64, 112)).sequence(
      "dog-agility", num_frames=2
    )
    for folder in ("DAVIS240", "DAVIS")
  )
  difference = lambda name: np.abs(small[name] - 1.0 * large[name]).mean()
  assert difference("frames") < 4
  assert difference("ref_mask") < 4
  assert difference("flow_fwd") < 0.5
