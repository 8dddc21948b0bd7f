"""An interrupted propagation continues; other inputs start a new one."""

import argparse
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.predictors import results
from foregan_jax.runtime import cli
from tests import commands


def _mixed_inputs(world):
  """Return masks for both passes, with later masks and a broken frame."""
  (world.video / "f6.png").write_bytes(b"broken")
  return {
    3: world.mask("3.png", world.draw({9: (2, 3), 4: (12, 3)})),
    5: world.mask("5.png", world.draw({6: (14, 20)})),
    8: world.mask("8.png", world.draw({9: (2, 12)})),
  }


@pytest.mark.parametrize(
  "fails_at, every, left",
  [
    # Steps 1 to 7 run forward, 8 to 10 backward. The first frame and the broken
    # one count as done, too.
    (1, 4, 10),
    (3, 4, 8),  # right after the first snapshot, with an added object
    (6, 4, 8),
    (7, 4, 4),
    (8, 9, 3),  # between the passes
    (9, 9, 3),
    (10, 4, 4),
    (10, 5, 2),  # within the backward pass
  ],
)
def test_continued_call_writes_the_same_bytes(
  world, fails_at, every, left, shift_tracker
):
  masks = _mixed_inputs(world)
  whole = shift_tracker()
  problems = world.write(whole, masks, out="whole")
  assert (whole.steps, len(problems)) == (10, 1)
  with pytest.raises(RuntimeError, match="out of memory"):
    world.write(shift_tracker(fails_at), masks, every=every)
  rest = shift_tracker()
  assert world.write(rest, masks) == problems
  assert world.contents() == world.contents(world.root / "whole")
  assert rest.steps == left


def test_call_killed_many_times_writes_the_same_bytes(world, shift_tracker):
  masks = _mixed_inputs(world)
  world.write(shift_tracker(), masks, out="whole")
  for _ in range(10):
    tracker = shift_tracker(fails_at=2)
    try:
      world.write(tracker, masks, every=1)
      break
    except RuntimeError:
      pass
  else:
    pytest.fail("the propagation did not finish")
  expected = world.contents(world.root / "whole")
  assert world.contents() == expected


def test_unfinished_files_of_a_killed_call_are_removed(
  world, first_mask, shift_tracker
):
  world.write(shift_tracker(), first_mask)
  before = world.contents()
  for name in (".overlay.mp4.123.456", "masks/.f0.png.12.34"):
    (world.out / name).write_bytes(b"half")
  (world.out / ".gitignore").write_bytes(b"*")
  world.write(shift_tracker(), first_mask)
  assert world.contents() == before | {".gitignore": b"*"}
  assert not (world.out / ".overlay.mp4.123.456").exists()


def test_finished_call_does_nothing(
  world, first_mask, shift_tracker, unused_tracker
):
  world.write(shift_tracker(), first_mask)
  before = {p: p.stat().st_mtime_ns for p in world.out.rglob("*.png")}
  world.write(unused_tracker, first_mask)
  assert {p: p.stat().st_mtime_ns for p in world.out.rglob("*.png")} == before


@pytest.mark.parametrize("fails_at", [0, 6])
@pytest.mark.parametrize(
  "change", ["mask", "video", "tracker", "removed", "shortened"]
)
def test_other_inputs_start_a_new_propagation(
  world, first_mask, change, fails_at, shift_tracker
):
  extra = world.out / "masks" / "of_a_longer_video.png"
  if fails_at:
    with pytest.raises(RuntimeError):
      world.write(shift_tracker(fails_at), first_mask)
  else:
    world.write(shift_tracker(), first_mask)
  extra.write_bytes(b"stale")
  settings = {}
  if change == "mask":
    first_mask = {0: world.mask("first.png", world.draw({5: (10, 10)}))}
  elif change == "video":
    os.utime(world.video / "f7.png", (1, 1))
  elif change == "tracker":
    settings = {"description": "another tracker"}
  elif change == "removed":
    (world.out / "masks" / "f2.png").unlink()
  elif change == "shortened":
    os.truncate(world.out / results.TABLE, 70)
  tracker = shift_tracker()
  world.write(tracker, first_mask, **settings)
  assert tracker.steps == world.NUM_FRAMES - 1
  assert not extra.exists()
  world.write(shift_tracker(), first_mask, out="new", **settings)
  assert world.contents() == world.contents(world.root / "new")


def test_restored_state_keeps_array_types(world, first_mask, shift_tracker):
  """A continued call passes JAX arrays where the state had JAX arrays."""

  class StrictTracker(shift_tracker):
    def step(self, state, frame):
      assert isinstance(state["confidence"], jax.Array)
      assert state["confidence"].dtype == jnp.bfloat16
      assert isinstance(state["labels"], np.ndarray)
      assert state["labels"].dtype == np.uint8
      return super().step(state, frame)

  with pytest.raises(RuntimeError):
    world.write(StrictTracker(fails_at=6), first_mask)
  world.write(StrictTracker(), first_mask)


def test_call_stopped_by_sigterm_continues(world, shift_tracker):
  masks = _mixed_inputs(world)
  problems = world.write(shift_tracker(), masks, out="whole")

  class Stopped(shift_tracker):
    def step(self, state, frame):
      if self.steps == 6:
        os.kill(os.getpid(), signal.SIGTERM)
      return super().step(state, frame)

  parser = argparse.ArgumentParser()
  parser.add_argument("--debug", action="store_true")
  done = commands.run(
    lambda: cli.run_parser(
      parser, lambda _: world.write(Stopped(), masks, every=4)
    )
  )
  assert done.returncode == 143
  assert done.stderr.endswith("run the same command again to continue\n")
  rest = shift_tracker()
  assert world.write(rest, masks) == problems
  assert world.contents() == world.contents(world.root / "whole")
  assert rest.steps == 4
