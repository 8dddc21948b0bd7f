"""A video of noise, and trackers that shift masks by a pixel per frame."""

import types

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, pictures
from foregan_jax.predictors import propagate

NUM_FRAMES = 12
SIZE = (24, 33)
_DECAY = 0.9  # of the confidence, per step


class ShiftTracker:
  """A tracker that shifts every object to the right by a pixel per step.

  The probabilities fall with each step.

  Attributes:
    steps: number of calls of `step`.
    fails_at: number of the step that raises an error; 0 for none.
  """

  def __init__(self, fails_at=0):
    self.steps = 0
    self.fails_at = fails_at

  def begin(self, frame, labels):
    # The result depends on the frame, so that a wrong frame is detected.
    return {
      "labels": labels.copy(),
      "objects": [np.ones(4, bool)] * int(labels.max()),
      "confidence": jnp.bfloat16(1.0),
      "frame_sum": jnp.float32(frame.mean()),
    }

  def add(self, state, frame, labels):
    kept = np.where(np.isin(state["labels"], labels), 0, state["labels"])
    merged = np.where(labels > 0, labels, kept)
    objects = [np.ones(4, bool)] * int(max(merged.max(), state["labels"].max()))
    return state | {"labels": merged, "objects": objects}

  def step(self, state, frame):
    self.steps += 1
    if self.steps == self.fails_at:
      raise RuntimeError("out of memory")
    frame_sum = state["frame_sum"].at[...].add(frame.mean() / 7)
    confidence = state["confidence"] * jnp.bfloat16(_DECAY)
    labels = np.roll(state["labels"], 1, axis=1)
    rows = np.arange(len(state["objects"]) + 1)[:, None, None] == labels
    top = 0.6 + 0.4 * float(confidence) * float(jnp.cos(frame_sum)) ** 2
    soft = np.where(rows, top, (1 - top) / max(1, len(rows) - 1))
    state = state | {
      "labels": labels, "confidence": confidence, "frame_sum": frame_sum,
    }  # fmt: skip
    return state, soft.astype(np.float32)


class ShiftBackgroundTracker(ShiftTracker):
  """A shifting tracker that also returns a background."""

  def background(self, state):
    place = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17, 1)
    # The result depends on the state, so that a wrong frame is detected.
    offset = np.uint8(np.argmax(state["labels"]) % 50)
    return np.repeat(place, 3, axis=2) + offset


class UnusedTracker:
  """A tracker that fails when it is called."""

  def begin(self, frame, labels):
    raise AssertionError("the tracker was called")

  add = step = begin


def draw(objects):
  """Return labels with squares of eight pixels at (y, x), by object."""
  labels = np.zeros(SIZE, np.uint8)
  for k, (y, x) in objects.items():
    labels[y : y + 8, x : x + 8] = k
  return labels


@pytest.fixture
def shift_tracker():
  """Return the class of a tracker."""
  return ShiftTracker


@pytest.fixture
def background_tracker():
  """Return the class of a tracker with a background."""
  return ShiftBackgroundTracker


@pytest.fixture
def unused_tracker():
  """Return a tracker that fails when it is called."""
  return UnusedTracker()


@pytest.fixture
def world(tmp_path):
  """Return a video of noise, and functions to write masks and results."""
  video, masks_in = tmp_path / "video", tmp_path / "given"
  rng = np.random.default_rng(0)
  video.mkdir()
  masks_in.mkdir()
  for i in range(NUM_FRAMES):
    frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(video / f"f{i}.png"), frame)

  def mask(name, labels):
    pictures.save_labels(masks_in / name, labels)
    return masks_in / name

  def write(tracker, masks, out="out", **changes):
    settings = {"description": "a tracker", "every": 4} | changes
    footage = footage_lib.Footage(video)
    return propagate.write(
      tracker, footage=footage, masks=masks, out=tmp_path / out, **settings
    )

  def read_masks(out=tmp_path / "out"):
    paths = [out / "masks" / f"f{i}.png" for i in range(NUM_FRAMES)]
    return [images.read_labels(p) if p.exists() else None for p in paths]

  def contents(out=tmp_path / "out"):
    files = [p for p in out.rglob("*") if p.is_file() and p.suffix != ".mp4"]
    return {str(p.relative_to(out)): p.read_bytes() for p in files}

  return types.SimpleNamespace(
    NUM_FRAMES=NUM_FRAMES, SIZE=SIZE, root=tmp_path, video=video,
    out=tmp_path / "out", draw=draw, mask=mask, write=write,
    read_masks=read_masks, contents=contents,
  )  # fmt: skip


@pytest.fixture
def first_mask(world):
  """Return the mask of object 3 on frame 0."""
  return {0: world.mask("first.png", draw({3: (4, 5)}))}
