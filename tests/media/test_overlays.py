"""Film and animation of found masks."""

import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, overlays, pictures, video_files


def test_missing_overlays_are_drawn_again(world, one, conveyor, asleep):
  world.write(conveyor(), one)
  animation = world.out / overlays.ANIMATION
  before = animation.read_bytes()
  animation.unlink()
  world.write(asleep, one)
  assert animation.read_bytes() == before


def test_animation_is_short_and_small(world, one, monkeypatch, conveyor):
  monkeypatch.setattr(overlays, "_MAX_STILLS", 5)
  monkeypatch.setattr(overlays, "_MAX_WIDTH", 11)
  (world.video / "f3.png").write_bytes(b"broken")
  world.write(conveyor(), one)
  with Image.open(world.out / overlays.ANIMATION) as animation:
    assert (animation.n_frames, animation.size) == (4, (11, 8))
    animation.load()
    # As long as the video: every third frame of 24 per second.
    assert animation.info["duration"] == 125


def test_film_shows_the_masks(world, one, conveyor):
  pytest.importorskip("av")
  (world.video / "f3.png").write_bytes(b"broken")
  world.write(conveyor(), one)
  film = footage_lib.Footage(world.out / overlays.FILM)
  assert (film.num_frames, film.size) == (world.NUM_FRAMES - 1, (24, 34))
  _, frame = next(iter(film))
  original = images.read_image(world.video / "f0.png")
  drawn = pictures.overlay(original, world.found()[0])
  distance = lambda x: np.abs(frame[:, :33].astype(int) - x).mean()
  assert distance(drawn) < distance(original)


def test_without_pyav_there_is_the_animation(world, one, monkeypatch, conveyor):
  monkeypatch.setattr(video_files, "can_write_mp4", lambda: False)
  world.write(conveyor(), one)
  assert not (world.out / overlays.FILM).exists()
  with Image.open(world.out / overlays.ANIMATION) as animation:
    assert animation.n_frames == world.NUM_FRAMES
