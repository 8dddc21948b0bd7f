import pathlib

import cv2
import numpy as np
import pytest

from configs import animation
from foregan_jax.data import pairs, sources, unlabelled_videos
from foregan_jax.media import images, video_files

_COUNT = 5


def _frames(shade=0, size=(8, 12)):
  """Return frames whose grey level is 40 times their number plus a shade."""
  return [np.full((*size, 3), 40 * t + shade, np.uint8) for t in range(_COUNT)]


def _write(folder, frames):
  folder.mkdir(parents=True)
  for t, frame in enumerate(frames):
    cv2.imwrite(str(folder / f"{t:03d}.png"), frame)


def _pairs(root, split="train", size=8):
  return pairs.Pairs(root, split=split, size=size, year="2016", resolution="")


def _levels(frames):
  return [int(frame.mean()) for frame in frames]


def test_pairs_are_two_frames_of_one_video_in_order(tmp_path):
  for shade in (1, 2):
    _write(tmp_path / "train" / f"v{shade}", _frames(shade))
  source = _pairs(tmp_path)
  assert len(source) == 2 and source.names == ("v1", "v2")
  seen = set()
  for i in range(60):
    sample = source.draw(i % 2, np.random.default_rng(i), 0)["frames"]
    assert sample.shape == (2, 8, 8, 3) and sample.dtype == np.uint8
    one, two = _levels(sample)
    assert one % 40 == two % 40 == i % 2 + 1
    assert one <= two
    seen.add((one // 40, two // 40))
  # All pairs appear, also twice the same frame.
  assert len(seen) == _COUNT * (_COUNT + 1) / 2


def test_samples_are_balanced_by_identity(tmp_path):
  for name in ("a#1", "a#2", "a#3.mp4", "b"):
    _write(tmp_path / "train" / name, _frames(len(name)))
  source = _pairs(tmp_path)
  assert source.names == ("a#1", "a#2", "a#3", "b")
  assert len(source) == 2
  draw = lambda i: source.draw(0, np.random.default_rng(i), 0)["frames"]
  shades = {_levels(draw(i))[0] % 40 for i in range(20)}
  assert shades == {3, 7}


def test_square_is_shared_by_both_frames_and_central_for_evaluation(tmp_path):
  frame = np.zeros((8, 24, 3), np.uint8)
  frame[...] = 10 * np.arange(24)[:, None]
  _write(tmp_path / "train" / "v", [frame, frame])
  source = _pairs(tmp_path)
  lefts = set()
  for i in range(20):
    one, two = source.draw(0, np.random.default_rng(i), 0)["frames"]
    np.testing.assert_array_equal(one, two)
    lefts.add(int(one[0, 0, 0]) // 10)
  assert len(lefts) > 5
  clip = source.clip(0)
  assert clip.shape == (2, 8, 8, 3)
  assert clip[0, 0, 0, 0] == 80


def test_strips_hold_square_frames_side_by_side(tmp_path):
  (tmp_path / "train").mkdir()
  strip = np.concatenate(_frames(size=(8, 8)), axis=1)
  cv2.imwrite(str(tmp_path / "train" / "s.png"), strip)
  source = _pairs(tmp_path)
  assert _levels(source.clip(0)) == [0, 40, 80, 120, 160]
  cv2.imwrite(str(tmp_path / "train" / "s.png"), strip[:, :-1])
  with pytest.raises(images.DataError, match="s.png: size is 39x8, expected"):
    _pairs(tmp_path).clip(0)


def test_video_files_are_read(tmp_path):
  pytest.importorskip("av")
  (tmp_path / "train").mkdir()
  path = tmp_path / "train" / "v.mp4"
  video_files.write_mp4(path, _frames(20, (16, 16)), 10)
  source = _pairs(tmp_path, size=16)
  levels = _levels(source.clip(0))
  np.testing.assert_allclose(levels, [20, 60, 100, 140, 180], atol=3)
  for i in range(4):
    pair = source.draw(0, np.random.default_rng(i), 0)["frames"]
    for level in _levels(pair):
      assert np.abs(np.subtract(levels, level)).min() <= 1


def test_broken_frames_stop_the_evaluation_and_name_the_file(tmp_path):
  _write(tmp_path / "train" / "v", _frames())
  (tmp_path / "train" / "v" / "002.png").write_bytes(b"\x89PNG broken")
  with pytest.raises(images.DataError, match="002.png: picture is truncated"):
    _pairs(tmp_path).clip(0)


def test_a_fifth_is_held_out_without_folders_of_splits(tmp_path):
  names = {f"v{i}" for i in range(10)} | {"v3#b"}
  for name in names:
    (tmp_path / name).mkdir()
  find = lambda split: unlabelled_videos.Videos(
    tmp_path, split=split, year="2016", resolution=""
  )
  train, val = find("train").names, find("val").names
  assert set(train) | set(val) == names
  assert not {n.split("#")[0] for n in train} & {n.split("#")[0] for n in val}
  assert len(find("val").identities) == 2
  assert find("val").names == val


def test_folders_of_splits_and_their_other_names(tmp_path):
  for split, name in (("train", "a"), ("test", "b")):
    _write(tmp_path / split / name, _frames())
  assert _pairs(tmp_path).names == ("a",)
  assert _pairs(tmp_path, "val").names == ("b",)
  with pytest.raises(images.DataError, match="no folder of this split"):
    _pairs(tmp_path, "new")


def test_davis_folders_have_lists(demo_root):
  train, val = _pairs(demo_root), _pairs(demo_root, "val")
  assert len(train) == 10 and len(val) == 4
  assert train[0]["frames"].shape == (2, 8, 8, 3)
  assert not set(train.names) & set(val.names)


def test_known_masks_and_backgrounds_fit_the_central_squares(demo_root):
  source = _pairs(demo_root, "val", size=32)
  clip, truth = source.clip(0), source.truth(0)
  assert truth.masks and set(truth.masks) <= set(truth.backgrounds)
  for t, mask in truth.masks.items():
    assert mask.shape == (32, 32) and 0 < mask.mean() < 0.9
    error = np.abs(clip[t].astype(int) - truth.backgrounds[t]).mean(-1)
    # Occluders and blurred edges are outside of the mask.
    assert error[mask].mean() > 3 * error[~mask].mean()
  # Those of training have no backgrounds.
  assert not _pairs(demo_root, "train").truth(0).backgrounds


def test_nothing_is_known_of_other_folders(tmp_path):
  _write(tmp_path / "train" / "v", _frames())
  truth = _pairs(tmp_path).truth(0)
  assert not truth.masks and not truth.backgrounds


def test_some_frames_are_spaced_over_videos_and_times(tmp_path):
  for shade in (1, 2, 3):
    _write(tmp_path / "train" / f"v{shade}", _frames(shade))
  source = _pairs(tmp_path)
  assert _levels(source.some_frames(2)) == [1, 3]
  assert _levels(source.some_frames(6)) == [1, 161, 2, 162, 3, 163]
  assert len(source.some_frames(1000)) == 3 * _COUNT


def _empty(root):
  (root / "train").mkdir()


def _single(root):
  _write(root / "only", _frames())


def _missing(root):
  root.rmdir()


@pytest.mark.parametrize(
  ("prepare", "message"),
  [
    (_empty, "train: has no videos: expected folders of frames"),
    (_single, "has one video only, expected several"),
    (_missing, "folder does not exist"),
  ],
)
def test_folders_without_videos_are_refused(tmp_path, prepare, message):
  root = pathlib.Path(tmp_path, "data")
  root.mkdir()
  prepare(root)
  with pytest.raises(images.DataError, match=message):
    _pairs(root)


def test_a_frame_of_another_size_is_refused(tmp_path):
  frames = _frames()
  frames[3] = frames[3].transpose(1, 0, 2)
  _write(tmp_path / "train" / "v", frames)
  with pytest.raises(images.DataError, match=r"003.png: size is 8x12"):
    _pairs(tmp_path).clip(0)


def test_configs_read_pairs_and_whole_videos(tmp_path):
  for split in ("train", "val"):
    _write(tmp_path / "in" / split / f"{split}_video", _frames())
  config = animation.get_config("smoke")
  fakes = sources.evaluation(config, tmp_path)
  assert fakes.clip(1).shape == (3, 16, 16, 3) and len(fakes.names) == 2
  sources.point_at(config, str(tmp_path / "in"))
  training = sources.training(config, tmp_path, {})
  assert training[0]["frames"].shape == (2, 16, 16, 3)
  assert training.names == ("train_video",)
  evaluation = sources.evaluation(config, tmp_path)
  assert evaluation.names == ("val_video",)
  assert sources.benchmark(config) == "in-val"
