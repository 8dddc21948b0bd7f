"""Tracker: published padding, scales and merge; exact equivalences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import warp
from foregan_jax.nets import propagator, tracker

SIZE = (40, 50)
# 50 roundings of float32; well-conditioned results differ by 6.
_TOLERANCE = 50 * np.finfo(np.float32).eps


@pytest.fixture(scope="module")
def setup():
  """A tracker with two scales, its parameters, a noisy video and masks."""
  # Group norm and this gain keep the probabilities in about [.005, .95]. With
  # frozen norms or a gain of 40 they saturate, and the odds amplify rounding
  # by a factor of 1000.
  net = propagator.Propagator(
    blocks=(1, 1, 1, 1), width=8, features=16, norm="group"
  )
  params = propagator.init(net, jax.random.key(0), (64, 64))
  params["decoder"]["pred2"]["kernel"] *= 4.0
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (6, *SIZE, 3), np.uint8)
  masks = np.zeros((2, *SIZE), np.float32)
  masks[0, 5:20, 5:20] = 1.0
  masks[1, 22:38, 20:45] = 1.0
  return tracker.Tracker(net, (0.5, 1.0)), params, frames, masks


def _live(*flags):
  return np.array(flags, bool)


def _begin(setup, masks, live):
  track, params, frames, _ = setup
  return jax.jit(track.begin)(params, frames[0], masks, live)


@pytest.mark.parametrize(
  "length, padded, low, high",
  [(480, 512, 16, 16), (854, 864, 5, 5), (910, 928, 9, 9), (1152, 1184, 16, 16),
   (97, 128, 15, 16)],
)  # fmt: skip
def test_padding_is_the_published_one(length, padded, low, high):
  track = tracker.Tracker(propagator.Propagator())
  assert track.padded_length(length) == padded
  assert track._margins(length) == (low, high)


@pytest.mark.parametrize(
  "size, half, three_quarters",
  [((512, 864), (288, 448), (416, 672)), ((512, 928), (288, 480), (416, 704)),
   ((512, 1184), (288, 608), (416, 896))],
)  # fmt: skip
def test_scales_are_the_published_ones(size, half, three_quarters):
  track = tracker.Tracker(propagator.Propagator())
  assert track._scaled(size, 0.5) == half
  assert track._scaled(size, 0.75) == three_quarters
  assert track._scaled(size, 1.0) == size


def test_border_padding_rounds_up_to_the_stride(setup):
  net = setup[0].net
  track = tracker.Tracker(net, (1.0,), padding="border")
  assert [track.padded_length(n) for n in (64, 65, 96)] == [64, 96, 96]
  frame = np.zeros((40, 32, 3), np.uint8)
  frame[0], frame[-1] = 255, 51
  padded = track._padded_frame(jnp.asarray(frame))
  assert padded.shape == (1, 64, 32, 3)
  np.testing.assert_allclose(padded[0, :13], 1.0)
  np.testing.assert_allclose(padded[0, -13:], -0.6, atol=1e-6)
  with pytest.raises(ValueError, match="'white', not black or border"):
    tracker.Tracker(net, padding="white")


@pytest.mark.parametrize(
  "soft, want",
  [((0.6, 0.7, 0.2), (0.36734694, 0.57142857, 0.06122449)),
   ((0.1, 0.9, 0.8), (0.00847458, 0.68644068, 0.30508475))],
)  # fmt: skip
def test_merge_is_the_published_one(soft, want):
  soft = jnp.asarray(soft).reshape(3, 1, 1)
  got = tracker.merge(soft, jnp.ones(2, bool))
  np.testing.assert_allclose(got[:, 0, 0], want, atol=1e-6)


def test_scan_equals_stepping_equals_chunks(setup):
  track, params, frames, masks = setup
  begun = _begin(setup, masks, _live(True, True))
  run = jax.jit(track.run)
  last, whole = run(params, begun, frames[1:])
  step = jax.jit(track.step)
  state, rows = begun, []
  for frame in frames[1:]:
    state, soft = step(params, state, frame)
    rows.append(soft)
  same = functools.partial(np.testing.assert_allclose, rtol=0, atol=_TOLERANCE)
  same(whole, np.stack(rows))
  same(last.maps, state.maps)
  middle, first = run(params, begun, frames[1:4])
  _, second = run(params, middle, frames[4:])
  same(whole, np.concatenate([first, second]))


def test_steps_are_the_published_ones(setup):
  """RGMP sec. 3.3 literally: pad, scale, encode, average, merge by odds."""
  track, params, frames, masks = setup
  net = track.net
  resize = lambda x, size: warp.resize(
    jnp.asarray(x), size, align_corners=False
  )
  low, size = (12, 7), (64, 64)  # 40 gets 24 more rows, 50 gets 14 columns

  @jax.jit
  def propagate(reference, mask, frame, prev):
    found = []
    for inner in ((64, 64), size):  # 64 * .5 = 32 is padded to 64 again
      apply = lambda *args, **kwargs: net.apply(
        {"params": params}, *args, **kwargs
      )
      part = lambda x, inner=inner: resize(x, inner)
      memory = apply(part(reference), part(mask), method="encode_reference")
      logits, _ = apply(part(frame), part(prev), memory)
      soft = jax.nn.softmax(logits, axis=-1)[..., 1:]
      found.append(resize(soft, size))
    return sum(found) / len(found)

  def padded(x, value):
    full = np.full((1, *size, x.shape[-1]), value, np.float32)
    h, w = SIZE
    full[0, low[0] : low[0] + h, low[1] : low[1] + w] = x
    return full

  picture = lambda t: padded(frames[t] / np.float32(127.5) - 1, -1.0)
  given = [padded(m[..., None], 0.0) for m in masks]
  guides = list(given)
  begun = _begin(setup, masks, _live(True, True))
  step = jax.jit(track.step)
  for t in (1, 2):
    predict = lambda mask, prev, t=t: np.asarray(
      propagate(picture(0), mask, picture(t), prev)
    )
    each = [predict(m, g) for m, g in zip(given, guides, strict=True)]
    background = 1 - predict(sum(given), sum(guides))
    soft = np.clip(np.stack([background, *each]), 1e-7, 1 - 1e-7)
    odds = soft / (1 - soft)
    maps = odds / odds.sum(0)
    guides = list(maps[1:])
    begun, got = step(params, begun, frames[t])
    h, w = SIZE
    want = maps[:, 0, low[0] : low[0] + h, low[1] : low[1] + w, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=_TOLERANCE)


def test_soft_masks_are_a_distribution_that_moves(setup):
  track, params, frames, masks = setup
  begun = _begin(setup, masks, _live(True, True))
  _, soft = jax.jit(track.run)(params, begun, frames[1:])
  assert soft.shape == (5, 3, *SIZE)
  np.testing.assert_allclose(soft.sum(1), 1.0, atol=1e-5)
  assert np.abs(np.asarray(soft[1:] - soft[:-1])).max() > 1e-3


def test_one_object_is_not_merged(setup):
  track, params, frames, masks = setup
  begun = _begin(setup, masks[:1], _live(True))
  state, soft = jax.jit(track.step)(params, begun, frames[1])
  assert len(state.references[0].left) == 1
  np.testing.assert_allclose(soft[0], 1 - soft[1], atol=1e-6)


def test_absent_objects_change_nothing(setup):
  track, params, frames, masks = setup
  step = jax.jit(track.step)
  some = _begin(setup, masks, _live(True, True))
  none = np.full((1, *SIZE), 0.5, np.float32)  # must be ignored
  padded = np.concatenate([masks, none])
  more = _begin(setup, padded, _live(True, True, False))
  for frame in frames[1:3]:
    some, soft = step(params, some, frame)
    more, soft_more = step(params, more, frame)
  # Another batch size sums in another order.
  np.testing.assert_allclose(soft, soft_more[:3], rtol=0, atol=_TOLERANCE)
  assert not soft_more[3].any()


def test_adding_an_object_on_frame_0_equals_beginning_with_it(setup):
  track, params, frames, masks = setup
  both = _begin(setup, masks, _live(True, True))
  late = track.grow(_begin(setup, masks[:1], _live(True)), 2)
  given = np.stack([0 * masks[1], masks[1]])
  late = jax.jit(track.add)(params, late, frames[0], given, _live(False, True))
  step = jax.jit(track.step)
  _, want = step(params, both, frames[1])
  _, got = step(params, late, frames[1])
  np.testing.assert_allclose(got, want, rtol=0, atol=_TOLERANCE)


def test_adding_keeps_the_other_objects_reference(setup):
  track, params, frames, masks = setup
  state = _begin(setup, masks, _live(True, True))
  state, _ = jax.jit(track.step)(params, state, frames[1])
  given = np.stack([0 * masks[1], masks[1]])
  changed = jax.jit(track.add)(
    params, state, frames[1], given, _live(False, True)
  )
  kept = lambda s, row: s.references[0].left[row]
  np.testing.assert_array_equal(kept(changed, 1), kept(state, 1))
  for row in (0, 2):  # all as one, and the one that was given
    assert np.abs(np.asarray(kept(changed, row) - kept(state, row))).max() > 0
  np.testing.assert_allclose(changed.maps.sum(0), 1.0, atol=1e-5)


def test_room_cannot_shrink(setup):
  with pytest.raises(ValueError, match="more than 1"):
    setup[0].grow(_begin(setup, setup[3], _live(True, True)), 1)
