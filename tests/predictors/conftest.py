"""A video of noise, and a tracker that moves masks by a pixel per frame."""

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
_TRUST = 0.9


class Conveyor:
  """Moves every object a pixel to the right, a little less sure each time.

  Attributes:
    steps: how many frames were looked at.
    fails_at: the step at which it breaks down; 0 for never.
  """

  def __init__(self, fails_at=0):
    self.steps = 0
    self.fails_at = fails_at

  def begin(self, frame, labels):
    # The frame counts, so that mixed up frames are noticed.
    return {
      "labels": labels.copy(),
      "objects": [np.ones(4, bool)] * int(labels.max()),
      "sure": jnp.bfloat16(1.0),
      "seen": jnp.float32(frame.mean()),
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
    seen = state["seen"].at[...].add(frame.mean() / 7)
    sure = state["sure"] * jnp.bfloat16(_TRUST)
    labels = np.roll(state["labels"], 1, axis=1)
    rows = np.arange(len(state["objects"]) + 1)[:, None, None] == labels
    trust = 0.6 + 0.4 * float(sure) * float(jnp.cos(seen)) ** 2
    soft = np.where(rows, trust, (1 - trust) / max(1, len(rows) - 1))
    state = state | {"labels": labels, "sure": sure, "seen": seen}
    return state, soft.astype(np.float32)


class Painter(Conveyor):
  """A conveyor that also knows what is behind the objects."""

  def background(self, state):
    place = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17, 1)
    # The state counts, so that mixed up frames are noticed.
    moved = np.uint8(np.argmax(state["labels"]) % 50)
    return np.repeat(place, 3, axis=2) + moved


class Asleep:
  """A tracker that must not be needed."""

  def begin(self, frame, labels):
    raise AssertionError("begin was called")

  add = step = begin


def draw(objects):
  """Draws squares of eight pixels at (y, x)."""
  labels = np.zeros(SIZE, np.uint8)
  for k, (y, x) in objects.items():
    labels[y : y + 8, x : x + 8] = k
  return labels


@pytest.fixture
def conveyor():
  """The class of a tracker."""
  return Conveyor


@pytest.fixture
def painter():
  """The class of a tracker that draws layers."""
  return Painter


@pytest.fixture
def asleep():
  """A tracker that must not be needed."""
  return Asleep()


@pytest.fixture
def world(tmp_path):
  """A video of noise, what to make masks with, and a place for results."""
  video, made = tmp_path / "video", tmp_path / "made"
  rng = np.random.default_rng(0)
  video.mkdir()
  made.mkdir()
  for i in range(NUM_FRAMES):
    frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(video / f"f{i}.png"), frame)

  def mask(name, labels):
    pictures.save_labels(made / name, labels)
    return made / name

  def write(tracker, masks, out="out", **changes):
    settings = {"description": "a conveyor", "every": 4} | changes
    footage = footage_lib.Footage(video)
    return propagate.write(
      tracker, footage=footage, masks=masks, out=tmp_path / out, **settings
    )

  def found(out=tmp_path / "out"):
    paths = [out / "masks" / f"f{i}.png" for i in range(NUM_FRAMES)]
    return [images.read_labels(p) if p.exists() else None for p in paths]

  def contents(out=tmp_path / "out"):
    files = [p for p in out.rglob("*") if p.is_file() and p.suffix != ".mp4"]
    return {str(p.relative_to(out)): p.read_bytes() for p in files}

  return types.SimpleNamespace(
    NUM_FRAMES=NUM_FRAMES, SIZE=SIZE, root=tmp_path, video=video,
    out=tmp_path / "out", draw=draw, mask=mask, write=write, found=found,
    contents=contents,
  )  # fmt: skip


@pytest.fixture
def one(world):
  """The mask of object 3, on frame 0."""
  return {0: world.mask("first.png", draw({3: (4, 5)}))}
