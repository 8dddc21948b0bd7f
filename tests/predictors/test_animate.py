"""Animations as files: what they show, and how they continue."""

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax import game
from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images
from foregan_jax.predictors import animate, animator
from tests import puppets

_COUNT = 20  # frames, more than two batches
_SIDE = puppets.SIDE


class _Animator(animator.Animator):
  """Counts calls, and fails at one of them."""

  def __init__(self, fails_at=0):
    super().__init__(puppets.Puppets(), game.Nets({}))
    self.calls, self.fails_at = 0, fails_at

  def run(self, scene, driving, **options):
    self.calls += 1
    if self.calls == self.fails_at:
      raise RuntimeError("out of memory")
    return super().run(scene, driving, **options)


@pytest.fixture(scope="module")
def make():
  """Return a function that makes an animator with the compiled program."""
  compiled = _Animator()

  def new(fails_at=0):
    made = _Animator(fails_at)
    made._run = compiled._run
    return made

  return new


@pytest.fixture
def world(tmp_path):
  """Write a driving video, a source and a background; return the folder."""
  (tmp_path / "driving").mkdir()
  for t in range(_COUNT):
    frame = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    frame[4:12, t % 8 : t % 8 + 8, 2] = 200 + t  # red
    cv2.imwrite(str(tmp_path / "driving" / f"f{t}.png"), frame)
  source = np.full((_SIDE, _SIDE, 3), 100, np.uint8)
  cv2.imwrite(str(tmp_path / "source.png"), source)
  cv2.imwrite(str(tmp_path / "third.png"), source // 2)
  return tmp_path


def _write(world, model, out="out", background=None, hole="own", **changes):
  options = {"description": "a run"} | changes
  return animate.write(
    model,
    source=animate.read_source(world / "source.png"),
    footage=footage_lib.Footage(world / "driving"),
    background=background and animate.read_picture(world / background),
    hole=hole,
    out=world / out,
    **options,
  )


def _contents(out):
  return {
    str(p.relative_to(out)): p.read_bytes()
    for p in out.rglob("*")
    if p.is_file() and p.suffix != ".mp4"
  }


def test_every_frame_gets_an_image_and_a_mask(world, make):
  assert _write(world, make()) == []
  out = world / "out"
  for t in (0, 7, 8, _COUNT - 1):
    driving = images.read_image(world / "driving" / f"f{t}.png")
    made = images.read_image(out / "frames" / f"f{t}.png")
    expected = (100 + driving.astype(np.float32)) / 2
    np.testing.assert_allclose(made, expected, atol=0.51)
    with Image.open(out / "masks" / f"f{t}.png") as mask:
      assert (mask.mode, mask.size) == ("L", (_SIDE, _SIDE))
      assert np.asarray(mask)[8, (t % 8) + 4] == 200 + t
  with Image.open(out / "animation.webp") as video:
    assert video.n_frames == _COUNT
  with Image.open(out / "sheet.png") as sheet:
    # Six rows and four columns of 64 pixels each.
    assert sheet.height >= 6 * 64 and 4 * 64 <= sheet.width < 5 * 64
  assert not (out / "swapped").exists()


def test_background_is_swapped(world, make):
  _write(world, make(), background="third.png", hole="none")
  # Even shifts, because the masks have half of the size.
  for t in (0, 18):
    swapped = images.read_image(world / "out" / "swapped" / f"f{t}.png")
    made = images.read_image(world / "out" / "frames" / f"f{t}.png")
    inside = np.zeros((_SIDE, _SIDE), bool)
    inside[4:12, t % 8 : t % 8 + 8] = True
    np.testing.assert_array_equal(swapped[inside], made[inside])
    assert (swapped[~inside] == 50).all()
  with Image.open(world / "out" / "sheet.png") as sheet:
    assert sheet.width >= 6 * 64
  # Without it, its folder is removed.
  _write(world, make())
  assert not (world / "out" / "swapped").exists()


@pytest.mark.parametrize(("fails_at", "left"), [(1, 3), (2, 2), (3, 1)])
def test_continued_call_writes_the_same_bytes(
  world, make, monkeypatch, fails_at, left
):
  (world / "driving" / "f9.png").write_bytes(b"broken")
  problems = _write(world, make(), out="whole")
  assert len(problems) == 1 and "f9.png: cannot be decoded" in problems[0]
  monkeypatch.setattr(animate, "_SAVE_EVERY", 1)
  with pytest.raises(RuntimeError, match="out of memory"):
    _write(world, make(fails_at))
  rest = make()
  assert _write(world, rest) == problems
  assert rest.calls == left
  assert _contents(world / "out") == _contents(world / "whole")
  finished = make()
  assert _write(world, finished) == problems
  assert finished.calls == 0


@pytest.mark.parametrize("change", ["source", "hole", "model", "removed"])
def test_other_inputs_start_a_new_animation(world, make, change):
  options = {"background": "third.png"}
  _write(world, make(), **options)
  if change == "source":
    cv2.imwrite(
      str(world / "source.png"), np.full((_SIDE, _SIDE, 3), 20, np.uint8)
    )
  elif change == "hole":
    options["hole"] = "none"
  elif change == "model":
    options["description"] = "another run"
  else:
    (world / "out" / "masks" / "f3.png").unlink()
  model = make()
  _write(world, model, **options)
  assert model.calls == 3
  _write(world, make(), out="new", **options)
  assert _contents(world / "out") == _contents(world / "new")


def test_files_of_others_are_kept(world, make):
  (world / "out" / "frames").mkdir(parents=True)
  with pytest.raises(ValueError, match="frames exists already, and no earlier"):
    _write(world, make())
  (world / "out" / "frames").rmdir()
  (world / "driving").rename(world / "out" / "frames")
  (world / "driving").symlink_to(world / "out" / "frames")
  with pytest.raises(ValueError, match="lies where results will be written"):
    _write(world, make())
  assert len(list((world / "out" / "frames").iterdir())) == _COUNT


def test_source_may_be_a_video(world):
  given = animate.read_source(world / "driving")
  frame = images.read_image(world / "driving" / "f0.png")
  np.testing.assert_array_equal(given.image, frame)


def test_arrays_that_do_not_fit_are_refused(make):
  model, good = make(), np.zeros((20, 30, 3), np.uint8)
  for bad in (good[..., 0], np.zeros((20, 30, 4), np.uint8), good / 2.0):
    with pytest.raises(ValueError, match=r"the source is an array of .*RGB"):
      model.scene(bad)
  with pytest.raises(ValueError, match="hole is 'owns'.*Did you mean 'own'"):
    model.scene(good, good, "owns")
  with pytest.raises(ValueError, match="background: size is 30x15, expected"):
    model.scene(good, good[:15])
  alone = animator.Animator(
    puppets.Puppets(swaps_backgrounds=False), game.Nets({})
  )
  with pytest.raises(ValueError, match="trained without a background network"):
    alone.scene(good, good)
  assert alone.scene(good).source.shape == (_SIDE, _SIDE, 3)
