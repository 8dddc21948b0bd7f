"""Tests of the video and the animation of predicted masks."""

import types

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import (
  animations,
  images,
  overlays,
  pictures,
  video_files,
)
from foregan_jax.media import footage as footage_lib

NUM_FRAMES = 12
SIZE = (24, 33)


@pytest.fixture
def video(tmp_path):
  """Write a video of noise and one mask per frame; return its paths."""
  frames, masks = tmp_path / "video", tmp_path / "masks"
  frames.mkdir()
  rng = np.random.default_rng(0)
  for i in range(NUM_FRAMES):
    frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(frames / f"f{i}.png"), frame)
    labels = np.zeros(SIZE, np.uint8)
    labels[4:12, i + 4 : i + 12] = 1
    pictures.save_labels(masks / f"f{i}.png", labels)
  return types.SimpleNamespace(frames=frames, masks=masks, out=tmp_path / "out")


def write(video):
  """Write the overlays of a video."""
  footage = footage_lib.Footage(video.frames)
  overlays.write(footage, masks=video.masks, out=video.out)


def test_missing_animation_is_written_again(video):
  write(video)
  animation = video.out / overlays.ANIMATION_NAME
  before = animation.read_bytes()
  animation.unlink()
  write(video)
  assert animation.read_bytes() == before


def test_complete_overlays_are_kept(video, monkeypatch):
  write(video)
  monkeypatch.setattr(pictures, "animate", None)
  write(video)


def test_animation_limits_frames_and_width(video, monkeypatch):
  monkeypatch.setattr(animations, "_MAX_FRAMES", 5)
  monkeypatch.setattr(animations, "_MAX_WIDTH", 11)
  (video.frames / "f3.png").write_bytes(b"broken")
  write(video)
  with Image.open(video.out / overlays.ANIMATION_NAME) as animation:
    assert (animation.n_frames, animation.size) == (4, (11, 8))
    animation.load()
    # Same duration as the video: every third frame of 24 per second.
    assert animation.info["duration"] == 125


def test_video_shows_the_masks(video):
  pytest.importorskip("av")
  (video.frames / "f3.png").write_bytes(b"broken")
  write(video)
  footage = footage_lib.Footage(video.out / overlays.VIDEO_NAME)
  assert (footage.num_frames, footage.size) == (NUM_FRAMES - 1, (24, 34))
  _, frame = next(iter(footage))
  original = images.read_image(video.frames / "f0.png")
  labels = images.read_labels(video.masks / "f0.png")
  expected = pictures.overlay(original, labels)
  distance = lambda x: np.abs(frame[:, :33].astype(int) - x).mean()
  assert distance(expected) < distance(original)


def test_without_pyav_only_the_animation_is_written(video, monkeypatch):
  monkeypatch.setattr(video_files, "can_write_mp4", lambda: False)
  write(video)
  assert not (video.out / overlays.VIDEO_NAME).exists()
  with Image.open(video.out / overlays.ANIMATION_NAME) as animation:
    assert animation.n_frames == NUM_FRAMES
