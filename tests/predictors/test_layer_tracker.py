"""`LayerTracker` with an untrained system."""

import functools
import importlib
import types

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import game, systems
from foregan_jax.data import davis as davis_lib
from foregan_jax.media import images
from foregan_jax.predictors import layer_tracker, propagate, results

SIZE = (50, 70)


@pytest.fixture(scope="module")
def foregan():
  """Return the system at its smoke size, with fresh parameters."""
  config = importlib.import_module("configs.davis").get_config("smoke")
  system = systems.build(config)
  nets = game.Nets(*jax.jit(system.init)(jax.random.key(0)))
  size = (config.data.height, config.data.width)

  @functools.cache  # a tracker has no state except its compiled programs
  def tracker(head):
    return layer_tracker.LayerTracker(system, nets, head=head, size=size)

  return types.SimpleNamespace(
    system=system, nets=nets, size=size, tracker=tracker
  )


@pytest.fixture(scope="module")
def tracker(foregan):
  return foregan.tracker("generator")


def _frames(count, size=SIZE):
  """Return smooth noise that drifts, so that the flow is not zero."""
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (size[0], size[1] + 40, 3), np.uint8)
  noise = cv2.GaussianBlur(noise, (0, 0), 3)
  noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
  return [np.ascontiguousarray(noise[:, i : i + size[1]]) for i in range(count)]


def _labels(size=SIZE):
  labels = np.zeros(size, np.uint8)
  labels[10:30, 20:45] = 1
  return labels


def test_tracker_satisfies_the_protocol(tracker):
  assert isinstance(tracker, propagate.Tracker)
  assert tracker.generates_background


def test_masks_of_every_head_equal_those_of_the_whole_clip(foregan):
  frames = _frames(4)
  small = np.stack([images.resize_image(f, foregan.size) for f in frames])
  mask = images.resize_mask(_labels(), foregan.size)
  flow = [
    layer_tracker._estimate(a, b)
    for a, b in zip(small[:-1], small[1:], strict=True)
  ]
  assert np.abs(flow).max() > 0.3
  begin = jax.jit(foregan.system.begin)
  carry = begin(foregan.nets, small[None, 0], mask[None])
  _, heads, layers = jax.jit(foregan.system.advance)(
    foregan.nets, carry, small[None, 1:], np.stack(flow)[None]
  )
  assert len(foregan.system.heads) > 2
  for head in foregan.system.heads:
    tracker = foregan.tracker(head)
    state = tracker.begin(frames[0], _labels())
    for t, frame in enumerate(frames[1:]):
      state, soft = tracker.step(state, frame)
      assert soft.shape == (2, *SIZE) and soft.dtype == np.float32
      np.testing.assert_allclose(soft.sum(0), 1.0, atol=1e-6)
      expected = cv2.resize(
        np.asarray(heads[head][0, t]), SIZE[::-1], interpolation=1
      )
      np.testing.assert_allclose(soft[1], expected, atol=2e-4, err_msg=head)
      behind = (np.asarray(layers.plate[0, t]) + 1) * 127.5
      np.testing.assert_allclose(tracker.background(state), behind, atol=0.6)


def test_all_frames_share_one_program(tracker):
  frames = _frames(4)
  state = tracker.begin(frames[0], _labels())
  for frame in frames[1:]:
    state, _ = tracker.step(state, frame)
  assert tracker._advance._cache_size() == 1


def test_flow_equals_that_of_training(tmp_path, foregan):
  h, w = foregan.size
  for i, frame in enumerate(_frames(3, (h, w))):
    for below in ("JPEGImages", "Annotations"):
      (tmp_path / below / "480p" / "a").mkdir(parents=True, exist_ok=True)
    path = tmp_path / "JPEGImages" / "480p" / "a" / f"{i:05d}.jpg"
    cv2.imwrite(str(path), frame[..., ::-1])
  path = tmp_path / "Annotations" / "480p" / "a" / "00000.png"
  cv2.imwrite(str(path), _labels((h, w)) * 255)
  (tmp_path / "ImageSets" / "2016").mkdir(parents=True)
  (tmp_path / "ImageSets" / "2016" / "train.txt").write_text("a\n")
  source = davis_lib.Davis(
    tmp_path, year="2016", split="train", resolution="", objects="merged",
    size=(h, w), clip_len=3, flow="auto", flow_cache=tmp_path / "cache",
  )  # fmt: skip
  sample = source[0]
  one, two, _ = sample["video"]
  found = layer_tracker._estimate(one, two)
  assert np.abs(found).max() > 0.3
  np.testing.assert_array_equal(found, sample["flow_fwd"][0])


def test_first_background_is_the_frame_with_a_filled_hole(tracker, foregan):
  (frame,) = _frames(1, foregan.size)
  labels = _labels(foregan.size)
  state = tracker.begin(frame, labels)
  behind = tracker.background(state)
  np.testing.assert_array_equal(behind[labels == 0], frame[labels == 0])
  # Rows are filled with the colour three columns left of the object.
  left = np.broadcast_to(frame[10:30, 17:18], (20, 12, 3))
  np.testing.assert_array_equal(behind[10:30, 20:32], left)


def test_void_is_background(tracker):
  (frame,) = _frames(1)
  void = _labels()
  void[40:] = images.VOID
  one, two = (tracker.begin(frame, x) for x in (_labels(), void))
  jax.tree.map(np.testing.assert_array_equal, one, two)


def test_unsupported_masks_are_refused(tracker):
  frame = np.zeros((1000, 1500, 3), np.uint8)
  labels = np.zeros((1000, 1500), np.uint8)
  with pytest.raises(ValueError, match="objects 1 to 0, expected object 1"):
    tracker.begin(frame, labels)
  labels[3, 3] = 1
  with pytest.raises(ValueError, match="has 1 pixels and vanishes.*48x32"):
    tracker.begin(frame, labels)
  with pytest.raises(ValueError, match="objects 1 to 2"):
    tracker.begin(frame, labels * 2)
  state = tracker.begin(frame[:50, :70], _labels())
  with pytest.raises(ValueError, match="from one mask"):
    tracker.add(state, frame[:50, :70], _labels())


class _NoLayers:
  """A system with one head and no layers."""

  def begin(self, nets, frame, mask):
    return {"mask": mask / 255}

  def advance(self, nets, carry, frames, flow):
    return carry, {"repeat": carry["mask"][:, None]}, None


class _GrowingCarry(_NoLayers):
  """A system whose carry grows with every frame."""

  def advance(self, nets, carry, frames, flow):
    heads = {"repeat": carry["mask"][:, None]}
    return jax.tree.map(lambda x: jnp.tile(x, 2), carry), heads, None


def test_system_without_layers():
  tracker = layer_tracker.LayerTracker(
    _NoLayers(), game.Nets({}), head="repeat", size=SIZE
  )
  assert not tracker.generates_background
  frames = _frames(2)
  state = tracker.begin(frames[0], _labels())
  first = tracker.background(state)
  state, soft = tracker.step(state, frames[1])
  np.testing.assert_array_equal(soft[1] == 1, _labels() == 1)
  np.testing.assert_array_equal(tracker.background(state), first)


def test_weights_per_frame_are_refused():
  layer_tracker.LayerTracker(
    _NoLayers(), game.Nets({}), head="repeat", size=SIZE
  )
  with pytest.raises(ValueError, match="separate weights for each frame"):
    layer_tracker.LayerTracker(
      _GrowingCarry(), game.Nets({}), head="repeat", size=SIZE
    )


class _FailingTracker:
  """A tracker that raises an error at a step."""

  def __init__(self, tracker, fails_at):
    self._tracker, self._left = tracker, fails_at
    self.begin, self.add = tracker.begin, tracker.add
    self.background = tracker.background

  def step(self, state, frame):
    self._left -= 1
    if not self._left:
      raise RuntimeError("out of memory")
    return self._tracker.step(state, frame)


@pytest.mark.parametrize("fails_at", [5, 10])  # forward, backward
def test_continued_call_writes_the_same_bytes(world, foregan, fails_at):
  """The head `average` needs most of the state."""
  for i, frame in enumerate(_frames(world.NUM_FRAMES, world.SIZE)):
    cv2.imwrite(str(world.video / f"f{i}.png"), frame)
  masks = {4: world.mask("4.png", world.draw({3: (4, 5)}))}
  settings = {"layers": results.LAYERS, "every": 1}
  world.write(foregan.tracker("average"), masks, out="whole", **settings)
  with pytest.raises(RuntimeError, match="out of memory"):
    failing = _FailingTracker(foregan.tracker("average"), fails_at)
    world.write(failing, masks, **settings)
  world.write(foregan.tracker("average"), masks, **settings)
  whole = world.contents(world.root / "whole")
  assert world.contents() == whole
  for folder in ("masks", *results.LAYERS):
    found = [name for name in whole if name.startswith(f"{folder}/f")]
    assert len(found) == 12


def test_wide_video_keeps_its_aspect(tracker):
  size = (50, 180)
  frames = _frames(2, size)
  state = tracker.begin(frames[0], _labels(size))
  assert state.frame.shape == (32, 112, 3)  # trained at 32x48
  state, soft = tracker.step(state, frames[1])
  assert soft.shape == (2, *size)
  assert tracker.background(state).shape == (32, 112, 3)
