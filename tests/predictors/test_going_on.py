"""A propagation that was stopped goes on; one of other inputs starts afresh."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.predictors import propagate, results


def _full_house(world):
  """Inputs with everything at once: both ways, later masks, a broken frame."""
  (world.video / "f6.png").write_bytes(b"broken")
  return {
    3: world.mask("3.png", world.draw({9: (2, 3), 4: (12, 3)})),
    5: world.mask("5.png", world.draw({6: (14, 20)})),
    8: world.mask("8.png", world.draw({9: (2, 12)})),
  }


@pytest.mark.parametrize(
  "fails_at, every, left",
  [
    # Steps 1 to 7 go forward, 8 to 10 backward. Frames done count the first
    # and the broken one too.
    (1, 4, 10),
    (3, 4, 8),  # right after the first point, with an object added
    (6, 4, 8),
    (7, 4, 4),
    (8, 9, 3),  # between the ways
    (9, 9, 3),
    (10, 4, 4),
    (10, 5, 2),  # amid the way back
  ],
)
def test_going_on_gives_the_same_bytes(world, fails_at, every, left, conveyor):
  masks = _full_house(world)
  whole = conveyor()
  problems = world.write(whole, masks, out="whole")
  assert (whole.steps, len(problems)) == (10, 1)
  with pytest.raises(RuntimeError, match="out of memory"):
    world.write(conveyor(fails_at), masks, every=every)
  rest = conveyor()
  assert world.write(rest, masks) == problems
  assert world.contents() == world.contents(world.root / "whole")
  assert rest.steps == left


def test_killed_again_and_again(world, conveyor):
  masks = _full_house(world)
  world.write(conveyor(), masks, out="whole")
  for _ in range(10):
    tracker = conveyor(fails_at=2)
    try:
      world.write(tracker, masks, every=1)
      break
    except RuntimeError:
      pass
  else:
    pytest.fail("it never got to the end")
  wanted = world.contents(world.root / "whole")
  assert world.contents() == wanted


def test_what_a_kill_left_unfinished_is_removed(world, one, conveyor):
  world.write(conveyor(), one)
  before = world.contents()
  for name in (".overlay.mp4.123.456", "masks/.f0.png.12.34"):
    (world.out / name).write_bytes(b"half")
  (world.out / ".gitignore").write_bytes(b"*")
  world.write(conveyor(), one)
  assert world.contents() == before | {".gitignore": b"*"}
  assert not (world.out / ".overlay.mp4.123.456").exists()


def test_a_finished_one_does_nothing(world, one, conveyor, asleep):
  world.write(conveyor(), one)
  before = {p: p.stat().st_mtime_ns for p in world.out.rglob("*.png")}
  world.write(asleep, one)
  assert {p: p.stat().st_mtime_ns for p in world.out.rglob("*.png")} == before


@pytest.mark.parametrize("fails_at", [0, 6])
@pytest.mark.parametrize(
  "what", ["mask", "video", "tracker", "removed", "shortened", "torn"]
)
def test_other_inputs_start_afresh(world, one, what, fails_at, conveyor):
  extra = world.out / "masks" / "of_a_longer_video.png"
  if fails_at:
    with pytest.raises(RuntimeError):
      world.write(conveyor(fails_at), one)
  else:
    world.write(conveyor(), one)
  extra.write_bytes(b"stale")
  settings = {}
  if what == "mask":
    one = {0: world.mask("first.png", world.draw({5: (10, 10)}))}
  elif what == "video":
    os.utime(world.video / "f7.png", (1, 1))
  elif what == "tracker":
    settings = {"description": "a better conveyor"}
  elif what == "removed":
    (world.out / "masks" / "f2.png").unlink()
  elif what == "shortened":
    os.truncate(world.out / results.TABLE, 70)
  else:
    path = world.out / propagate.POINT
    path.write_bytes(path.read_bytes()[:-40])
  tracker = conveyor()
  world.write(tracker, one, **settings)
  assert tracker.steps == world.NUM_FRAMES - 1
  assert not extra.exists()
  world.write(conveyor(), one, out="anew", **settings)
  assert world.contents() == world.contents(world.root / "anew")


def test_state_leaves_keep_their_kind(world, one, conveyor):
  """After going on, the tracker gets JAX arrays where it had given some."""

  class Strict(conveyor):
    def step(self, state, frame):
      assert isinstance(state["sure"], jax.Array)
      assert state["sure"].dtype == jnp.bfloat16
      assert isinstance(state["labels"], np.ndarray)
      assert state["labels"].dtype == np.uint8
      return super().step(state, frame)

  with pytest.raises(RuntimeError):
    world.write(Strict(fails_at=6), one)
  world.write(Strict(), one)
