"""The memory: attention, scan and stream, several and added objects."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import efficientnet, memory, memory_tracker

SIZE = (40, 56)
_TOLERANCE = 2e-4


def test_attention_is_the_mean_weighted_by_similarity():
  rng = np.random.default_rng(0)
  b, n, m, h, w, k, v = 2, 3, 4, 2, 3, 5, 6
  query = rng.normal(size=(b, h, w, k)).astype("f4")
  keys = rng.normal(size=(b, m, h, w, k)).astype("f4")
  values = rng.normal(size=(b, n, m, h, w, v)).astype("f4")
  valid = np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]], bool)[None]
  got = memory.attend(*map(jnp.asarray, (query, keys, values, valid)))
  want = np.zeros_like(got)
  for i, j, y, x in np.ndindex(b, n, h, w):
    distance = np.square(keys[i] - query[i, y, x]).sum(-1)
    weight = np.exp(-distance / np.sqrt(k)) * valid[0, j][:, None, None]
    weight /= weight.sum()
    want[i, j, y, x] = (weight[..., None] * values[i, j]).sum((0, 1, 2))
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_top_k_reads_the_most_similar_pixels_only():
  rng = np.random.default_rng(1)
  query = rng.normal(size=(1, 2, 2, 3)).astype("f4")
  keys = rng.normal(size=(1, 2, 2, 2, 3)).astype("f4")
  values = rng.normal(size=(1, 1, 2, 2, 2, 4)).astype("f4")
  valid = np.ones((1, 1, 2), bool)
  arrays = [jnp.asarray(x) for x in (query, keys, values, valid)]
  nearest = memory.attend(*arrays, 1)[0, 0]
  for y, x in np.ndindex(2, 2):
    distance = np.square(keys[0] - query[0, y, x]).sum(-1)
    place = np.unravel_index(distance.argmin(), distance.shape)
    np.testing.assert_allclose(nearest[y, x], values[0, 0][place], rtol=1e-6)
  all_of_them = memory.attend(*arrays, 8)
  np.testing.assert_allclose(all_of_them, memory.attend(*arrays), rtol=1e-6)
  assert np.abs(memory.attend(*arrays, 3) - all_of_them).max() > 1e-3


def test_an_unused_row_is_finite():
  one = jnp.ones((1, 1, 1, 1))
  got = memory.attend(
    one, one[None], one[None, None], jnp.zeros((1, 1, 1), bool)
  )
  assert np.isfinite(got).all()


@pytest.fixture(
  scope="module",
  params=["memory", pytest.param("global_conv", marks=pytest.mark.slow)],
)
def setup(request):
  net = memory.MemoryNet(8, 8, (8, 8, 8), request.param)
  track = memory_tracker.MemoryTracker(
    net,
    efficientnet.EfficientNetLite0(blocks=efficientnet.TINY),
    num_given=2,
    num_kept=2,
    every=2,
  )
  params = {
    "prop": memory.init(net, jax.random.key(0)),
    "trunk": efficientnet.random(efficientnet.TINY),
  }
  # Saturated probabilities would amplify rounding in the odds of the merge.
  params["prop"]["head"]["kernel"] *= 0.1
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (7, *SIZE, 3), np.uint8)
  masks = np.zeros((2, *SIZE), np.float32)
  masks[0, 5:20, 5:20] = 1.0
  masks[1, 22:38, 20:45] = 1.0
  step, begin = jax.jit(track.step), jax.jit(track.begin)
  return track, params, frames, masks, begin, step


def _live(*flags):
  return np.array(flags, bool)


def _stream(setup, state, frames):
  _, params, _, _, _, step = setup
  soft = []
  for frame in frames:
    state, maps = step(params, state, frame)
    soft.append(maps)
  return state, np.stack(soft)


def test_scan_equals_stream_and_chunks(setup):
  track, params, frames, masks, begin, _ = setup
  start = begin(params, frames[0], masks, _live(True, True))
  _, want = _stream(setup, start, frames[1:])
  assert want.shape == (6, 3, *SIZE)
  np.testing.assert_allclose(want.sum(1), 1.0, atol=1e-5)
  run = jax.jit(track.run)
  _, whole = run(params, start, frames[1:])
  np.testing.assert_allclose(whole, want, rtol=0, atol=_TOLERANCE)
  state, first = run(params, start, frames[1:4])
  _, second = run(params, state, frames[4:])
  chunks = np.concatenate([first, second])
  np.testing.assert_allclose(chunks, want, rtol=0, atol=_TOLERANCE)


def test_memory_has_the_first_the_last_and_every_second_frame(setup):
  track, params, frames, masks, begin, _ = setup
  state = begin(params, frames[0], masks, _live(True, True))
  query = jax.jit(track._query)
  keys = [
    query(params, frame[None]).key[0] for frame in frames
  ]  # of each frame
  for t, slots in (
    (0, {0: 0}),
    (1, {0: 0, 4: 1}),
    (2, {0: 0, 3: 2, 4: 2}),
    (5, {0: 0, 3: 2, 2: 4, 4: 5}),
    (6, {0: 0, 3: 6, 2: 4, 4: 6}),
  ):
    state = begin(params, frames[0], masks, _live(True, True))
    state, _ = _stream(setup, state, frames[1 : t + 1]) if t else (state, None)
    valid = np.flatnonzero(np.asarray(state.valid[0])).tolist()
    assert valid == sorted(slots)
    for slot, frame in slots.items():
      np.testing.assert_allclose(
        state.keys[slot], keys[frame], rtol=0, atol=_TOLERANCE
      )


def test_unused_rows_change_nothing(setup):
  _, params, frames, masks, begin, _ = setup
  padded = np.concatenate([masks, np.ones_like(masks[:1])])
  two = begin(params, frames[0], masks, _live(True, True))
  three = begin(params, frames[0], padded, _live(True, True, False))
  _, want = _stream(setup, two, frames[1:4])
  _, got = _stream(setup, three, frames[1:4])
  np.testing.assert_allclose(got[:, :3], want, rtol=0, atol=_TOLERANCE)
  assert got[:, 3].max() < 1e-5


def test_objects_can_be_added_and_corrected(setup):
  track, params, frames, masks, begin, _ = setup
  state = begin(params, frames[0], masks[:1], _live(True))
  state, _ = _stream(setup, state, frames[1:3])
  state = track.grow(state, 2)
  given = np.stack([0 * masks[1], masks[1]])
  late = jax.jit(track.add)(params, state, frames[2], given, _live(False, True))
  assert late.live.tolist() == [True, True]
  # Object 1 keeps its memory; object 2 has only the frame it was given on.
  assert np.asarray(late.valid).sum(1).tolist() == [4, 2]
  np.testing.assert_allclose(late.maps.sum(0), 1.0, atol=1e-5)
  inside = masks[1] > 0
  top = (late.maps.shape[1] - SIZE[0]) // 2
  left = (late.maps.shape[2] - SIZE[1]) // 2
  shown = late.maps[2, top : top + SIZE[0], left : left + SIZE[1]]
  np.testing.assert_array_equal(np.asarray(shown)[inside], 1.0)
  _, soft = _stream(setup, late, frames[3:5])
  assert soft.shape == (2, 3, *SIZE) and np.isfinite(soft).all()
  with pytest.raises(ValueError, match="more than 1"):
    track.grow(late, 1)


def test_tracker_reads_the_most_similar_pixels_only(setup):
  track, params, frames, masks, begin, step = setup
  if track.net.matching != "memory":
    pytest.skip("there is nothing to choose from")
  state = begin(params, frames[0], masks, _live(True, True))
  few = dataclasses.replace(track, top_k=1)
  soft = jax.jit(few.step)(params, state, frames[1])[1]
  assert np.abs(soft - step(params, state, frames[1])[1]).max() > 1e-6


def test_other_scales_are_refused(setup):
  track = setup[0]
  assert track.at_scales(()) is track
  with pytest.raises(ValueError, match="--scales=0.5: a memory has frames of"):
    track.at_scales((0.5,))


def test_merge_is_a_softmax_beside_the_background():
  logits = jnp.array([0.3, -1.2, 5.0]).reshape(3, 1, 1)
  got = jnp.exp(memory.merge(logits, jnp.array([True, True, False])))[:, 0, 0]
  odds = np.exp([0.0, 0.3, -1.2])
  np.testing.assert_allclose(got[:3], odds / odds.sum(), rtol=1e-5)
  assert got[3] == 0.0
  one = jnp.exp(memory.merge(logits, jnp.array([True, False, False])))
  np.testing.assert_allclose(one[1, 0, 0], jax.nn.sigmoid(0.3), rtol=1e-6)


def test_beside_is_the_sum_of_the_other_masks():
  masks = jnp.array([0.5, 0.2, 0.1]).reshape(3, 1, 1)
  got = memory.beside(masks)[:, 0, 0]
  want = [[0.5, 0.3], [0.2, 0.6], [0.1, 0.7]]
  np.testing.assert_allclose(got, want, rtol=1e-6)
