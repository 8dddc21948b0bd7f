"""Pseudo-videos: frames must agree with masks, weights, flow and visibility."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.layers import warp
from foregan_jax.runtime import settings
from foregan_jax.synthesis import pseudo_video, trajectories

SIDE = 48
T = 3
_STILL = {"degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0}
_STRONG = {
  "degrees": 8.0, "scale": (0.9, 1.1), "shear": 0.1, "shift": 0.05,
}  # fmt: skip
_MOVING = {"start": _STRONG, "step": _STRONG, "shake": _STILL}


def _make(size=(SIDE, SIDE), objects=1, **staging):
  """Return a synthesis without motion, with changed fields of `staging`."""
  values = copy.deepcopy(pseudo_video.PRESETS["student"])
  values["staging"] |= {"mirror_targets": False} | staging
  values |= {"size": size, "clip_len": T, "objects": objects}
  return jax.jit(settings.build(pseudo_video.Synthesis, values))


@functools.cache
def _preset(name):
  values = {"size": (SIDE, SIDE), "clip_len": T, **pseudo_video.PRESETS[name]}
  return jax.jit(settings.build(pseudo_video.Synthesis, values))


@pytest.fixture(scope="module")
def stills():
  """Return four smooth images: instance 1, a smaller 2, void next to 1."""
  y, x = np.mgrid[:SIDE, :SIDE] / SIDE * 2 * np.pi
  image = np.empty((4, SIDE, SIDE, 3), np.uint8)
  for i in range(4):
    for c in range(3):
      wave = np.sin(x + i + c) * np.cos(y + 2 * i - c)
      image[i, ..., c] = np.round(127.5 + 100 * wave)
  labels = np.zeros((4, SIDE, SIDE, 1), np.uint8)
  for i in range(4):
    labels[i, 12:30, 14 + i : 32 + i] = 1
    labels[i, 30:32, 14 : 32 + i] = 255
    labels[i, 36:44, 4:12] = 2
  return jnp.asarray(image), jnp.asarray(labels)


@pytest.mark.parametrize("preset", sorted(pseudo_video.PRESETS))
def test_presets_have_the_right_shapes_ranges_and_randomness(
  stills, key, preset
):
  make = _preset(preset)
  clip = make(key, *stills)
  frames = (4, T, SIDE, SIDE)
  assert clip.video.shape == (*frames, 3)
  assert clip.mask.shape == clip.weight.shape == (*frames, 1)
  assert clip.guidance.shape == (4, SIDE, SIDE, 1)
  assert clip.flow_fwd.shape == (4, T - 1, SIDE, SIDE, 2)
  assert clip.visible.shape == (4, T - 1, SIDE, SIDE, 1)
  for x, low in ((clip.video, -1), (clip.mask, 0), (clip.guidance, 0)):
    assert float(x.min()) >= low and float(x.max()) <= 1 + 1e-6
  for x in (clip.weight, clip.visible):
    assert set(np.unique(x)) <= {0.0, 1.0}
  again, other = make(key, *stills), make(jax.random.key(7), *stills)
  jax.tree.map(np.testing.assert_array_equal, clip, again)
  assert np.abs(clip.guidance - other.guidance).sum() > 1


def test_preset_student_mirrors_the_target_and_shears_its_mask(stills, key):
  image, labels = stills
  clip = _preset("student")(key, image, labels)
  sample = pseudo_video.student_sample(clip)
  still = np.asarray(image) / 127.5 - 1
  np.testing.assert_allclose(sample["image"], still, atol=1e-5)
  np.testing.assert_allclose(
    sample["target_image"], still[:, :, ::-1], atol=1e-5
  )
  mask = np.asarray(sample["mask"])
  mirrored = mask[:, :, ::-1]
  void = np.asarray(labels)[:, :, ::-1] == 255
  np.testing.assert_array_equal(
    sample["labels"], np.where(void, 255, mirrored).astype(np.uint8)
  )
  # The guidance is sheared: rows move but keep their sums.
  guidance = np.asarray(sample["target_mask"])
  assert (np.abs(guidance - mirrored).sum((1, 2, 3)) > 4).any()
  np.testing.assert_allclose(guidance.sum(2), mirrored.sum(2), atol=0.01)


def test_cut_outs_move_over_the_given_background(stills, key):
  image, labels = stills
  background = 0.5 * jnp.ones(image.shape)
  cut_out = jnp.array([True, False, True, False])
  clip = _make(camera=_MOVING, object=_MOVING)(
    key, image, labels, background, cut_out
  )
  behind = np.asarray(clip.mask) == 0
  shows = [
    np.ptp(np.asarray(clip.video)[i][behind[i, ..., 0]]) for i in range(4)
  ]
  assert max(shows[0], shows[2]) < 1e-5 and min(shows[1], shows[3]) > 0.5
  # A cut-out object has an exact label everywhere, void or not.
  assert [bool((w == 1).all()) for w in clip.weight] == [True, False] * 2


def test_second_object_is_that_of_the_background(stills, key):
  image, labels = stills
  labels = jnp.where(labels == 2, 0, labels)  # one object, which overlaps
  clip = _make(objects=2, cut_out=1.0)(key, image, labels)
  first, second = (np.asarray(clip.mask)[:, 0, ..., i] for i in range(2))
  ids = np.asarray(labels)[..., 0]
  for i in range(4):
    behind = ids[i - 1]
    np.testing.assert_array_equal(first[i], ids[i] == 1)
    assert ((behind == 1) & (ids[i] == 1)).any()
    np.testing.assert_array_equal(second[i], (behind == 1) & (ids[i] != 1))
    unknown = (behind == 255) & (ids[i] != 1)
    np.testing.assert_array_equal(clip.weight[i, 0, ..., 0] == 0, unknown)
  np.testing.assert_array_equal(clip.guidance[..., 1].any((1, 2)), True)


def test_objects_of_one_still_move_together(stills, key):
  image, labels = stills
  clip = _make(objects=3)(key, image, labels)
  masks = np.asarray(clip.mask)[:, 0]
  both = np.asarray(labels == 1) | np.asarray(labels == 2)
  np.testing.assert_array_equal(masks.sum(-1, keepdims=True), both)
  assert (masks.sum((1, 2)) > 0).tolist() == [[True, True, False]] * 4


def test_choose_objects_selects_one_large_instance_or_all(stills, key):
  _, labels = stills
  keys = jax.random.split(key, 64)
  # Instance 2 covers 64 of 2304 pixels, instance 1 covers 324.
  one = jax.jit(
    jax.vmap(
      lambda k: pseudo_video.choose_objects(k, labels, 0.02, 0.0)(labels)
    )
  )(keys)
  areas = np.asarray(one.sum((2, 3, 4)))
  assert set(np.unique(areas)) == {64, 324}
  assert 0.3 < (areas == 64).mean() < 0.7
  small = pseudo_video.choose_objects(key, labels, 0.1, 0.0)(labels)
  np.testing.assert_array_equal(small, labels == 1)
  largest = pseudo_video.choose_objects(key, labels, 0.9, 0.0)(labels)
  np.testing.assert_array_equal(largest, labels == 1)
  both = pseudo_video.choose_objects(key, labels, 0.01, 1.0)(labels)
  np.testing.assert_array_equal(both, (labels == 1) | (labels == 2))


def test_weight_is_zero_for_void_and_outside_the_image(stills, key):
  image, labels = stills
  clip = _preset("student")(key, image, labels)
  known = np.asarray(labels != 255)
  np.testing.assert_array_equal(clip.weight[:, 0], known)
  np.testing.assert_array_equal(clip.weight[:, 1], known[:, :, ::-1])
  assert float((clip.mask * (1 - clip.weight)).max()) == 0
  half = {**_STILL, "scale": (0.5, 0.5)}
  make = _make(camera={"start": half, "step": _STILL, "shake": _STILL})
  shrunk = make(key, image, labels)
  assert 0.2 < float(shrunk.weight.mean()) < 0.26
  # The image continues there: it is not black.
  outside = shrunk.weight[..., 0] == 0
  assert np.asarray(shrunk.video)[outside].std() > 0.2


def test_weight_is_zero_without_an_object(stills, key):
  image, labels = stills
  one_empty = labels.at[1].set(0)
  clip = _preset("video")(key, image, one_empty)
  assert not clip.weight[1].any() and not clip.mask[1].any()
  assert clip.weight[0].any() and clip.video[1].std() > 0.1
  empty = _preset("video")(key, image, 0 * labels)
  assert not empty.weight.any()
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(empty))


def _affine(pose, anchor, target):
  """Return Scale Rot Shear about `anchor` as a 3x3 matrix in float64."""
  angle, log_scale, slope = np.float64(pose[:3])
  turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  matrix = np.exp(log_scale) * np.array(turn) @ [[1, slope], [0, 1]]
  out = np.eye(3)
  out[:2, :2] = matrix
  out[:2, 2] = target - matrix @ anchor
  return out


def test_flow_equals_that_of_the_affine_maps(key):
  poses = trajectories.Spread(30.0, (0.7, 1.4), 0.3, 0.0).draw(key, (1, T))
  anchor = np.array([20.0, 11.0])
  targets = np.array([[20.0, 11.0], [25.0, 8.0], [31.0, 15.0]])
  theta = trajectories.affine_map(
    trajectories.linear_map(poses),
    jnp.broadcast_to(jnp.float32(anchor), (1, T, 2)),
    jnp.float32(targets)[None],
  )
  trajectory = trajectories.Trajectory(theta)
  flow = trajectory.flow(trajectory.still_coords((24, 40)))
  y, x = np.mgrid[:24, :40]
  grid = np.stack([x, y, np.ones_like(x)], -1).astype(np.float64)
  maps = [_affine(p, anchor, c) for p, c in zip(poses[0], targets, strict=True)]
  for k in range(T - 1):
    moved = grid @ (maps[k + 1] @ np.linalg.inv(maps[k])).T
    np.testing.assert_allclose(flow[0, k], (moved - grid)[..., :2], atol=1e-4)


def test_flow_is_exact_with_a_wave(key):
  poses = trajectories.Spread(10.0, (0.9, 1.1), 0.1, 0.0).draw(key, (1, 2))
  middle = jnp.full((1, 2, 2), 20.0)
  trajectory = trajectories.Trajectory(
    trajectories.affine_map(
      trajectories.linear_map(poses), middle, middle + 1.5
    ),
    trajectories.Wave(
      amplitude=jnp.full((1, 1, 1, 1), 2.0),
      frequency=jnp.full((1, 1, 1, 1), 1 / 25.0),
      phase=jax.random.uniform(key, (1, 2, 1, 1, 2)),
    ),
  )
  coords = trajectory.still_coords((40, 40))
  ends = np.asarray(warp.pixel_grid(40, 40) + trajectory.flow(coords)[0, 0])

  def parabolas(waves):
    """Return one full cycle from -1 to 1, written from its roots."""
    u = waves % 1.0
    return np.where(u < 0.5, 16 * u * (0.5 - u), 16 * (u - 0.5) * (u - 1.0))

  # The still coordinates of the next frame at the ends of the flow, float64.
  back = np.linalg.inv(_affine(poses[0, 1], [20.0, 20.0], [21.5, 21.5]))
  x, y = np.moveaxis(ends @ back[:2, :2].T + back[:2, 2], -1, 0)
  phase = np.asarray(trajectory.wave.phase[0, 1, 0, 0])
  x = x + 2.0 * parabolas(y / 25 + phase[0])
  y = y + 2.0 * parabolas(x / 25 + phase[1])
  np.testing.assert_allclose(np.stack([x, y], -1), coords[0, 0], atol=1e-3)
  rigid = trajectory.replace(wave=None)
  rigid_flow = rigid.flow(rigid.still_coords((40, 40)))
  assert np.abs(rigid_flow - trajectory.flow(coords)).max() > 0.5


def test_flow_warps_the_next_frame_to_this_one(stills, key):
  """The warped next frame equals this frame at all visible pixels."""
  clip = _make(
    cut_out=0.5, camera=_MOVING, object=_MOVING, mirror=0.5, hold=True,
    wobble=0.02, wobble_speed=0.1, occluder=0.5,
  )(key, *stills)  # fmt: skip
  fold = lambda x: x.reshape(-1, *x.shape[2:])
  flow = fold(clip.flow_fwd)
  back = lambda x: warp.backward(fold(x), flow, outside="border")
  error = np.abs(back(clip.video[:, 1:]) - fold(clip.video[:, :-1])).max(-1)
  # Layers mix where they meet, so exclude edges in both frames.
  smooth = _away_from_edges(clip.video)
  smooth = fold(smooth[:, :-1]) & (
    np.asarray(back(jnp.float32(smooth[:, 1:]))) > 0.99
  )
  compared = ((np.asarray(fold(clip.visible)) > 0) & smooth)[..., 0]
  assert compared.mean() > 0.3
  assert np.abs(flow).max() > 1
  # The error of linear interpolation is |f''| / 8 per axis and sample; here f''
  # is 0.8 (2 pi / 48)^2, for an image that is at most 1.5 times smaller.
  assert np.quantile(error[compared], 0.99) < 0.02


def _away_from_edges(video):
  """Return where no edge is within two pixels, [b t h w 1]."""
  video = np.asarray(video)
  edge = np.zeros(video.shape[:-1], bool)
  for axis in (2, 3):
    bend = np.abs(np.diff(video, n=2, axis=axis)).max(-1) > 0.06
    pad = [(0, 0)] * 4
    pad[axis] = (1, 1)
    edge |= np.pad(bend, pad)
  near = np.zeros_like(edge)
  for shift in np.ndindex(5, 5):
    near |= np.roll(edge, np.array(shift) - 2, (2, 3))
  return ~near[..., None]


def test_covered_and_leaving_pixels_are_not_visible(stills, key):
  step = {**_STILL, "shift": 0.2}
  object_only = {"start": _STILL, "step": step, "shake": _STILL}
  clip = _make(cut_out=1.0, object=object_only)(key, *stills)
  mask = np.asarray(clip.mask[..., 0]) > 0.5
  visible = np.asarray(clip.visible[..., 0]) > 0
  flow = np.asarray(clip.flow_fwd)
  covered = ~mask[:, :-1] & mask[:, 1:]
  assert covered.sum() > 20
  background = ~mask[:, :-1]
  np.testing.assert_array_equal(flow[background], 0)
  np.testing.assert_array_equal(visible[background], ~covered[background])
  ends = np.asarray(warp.pixel_grid(SIDE, SIDE)) + flow
  stays = ((ends > -0.5) & (ends < SIDE - 0.5)).all(-1)
  np.testing.assert_array_equal(visible[~background], stays[~background])
  assert (np.abs(flow).max(-1)[~background] > 0).all()


def test_occluder_hides_the_object_only_after_the_reference(stills, key):
  image, labels = stills
  labels = jnp.where(labels == 1, labels, 0)
  clip = _make(cut_out=1.0, occluder=1.0)(key, image, labels)
  still = np.asarray(labels == 1)
  np.testing.assert_allclose(clip.mask[:, 0], still, atol=1e-4)
  # The object does not move, so missing pixels are occluded.
  occluded = still[:, None] & (np.asarray(clip.mask[:, 1:]) < 0.4)
  assert (occluded.any(1).sum((1, 2, 3)) > 20).all()
  assert not np.asarray(clip.visible)[:, 0][occluded[:, 0]].any()
  assert np.asarray(clip.visible)[:, 0][still & ~occluded[:, 0]].mean() > 0.8
  assert (np.asarray(clip.weight) == 1).all()


def test_reentry_moves_the_object_out_and_back(stills, key):
  clip = _make(cut_out=1.0, reentry=1.0)(key, *stills)
  areas = np.asarray(clip.mask.sum((2, 3, 4)))
  assert (areas[:, [0, 2]] > 30).all()
  np.testing.assert_allclose(areas[:, 1], 0, atol=1e-3)


def test_hold_keeps_a_cut_object_at_the_border(stills, key):
  """An object cut off by the lower border of its still never shows the cut."""
  image, _ = stills
  labels = jnp.zeros((4, SIDE, SIDE, 1), jnp.uint8).at[:, 20:, 10:40].set(1)
  step = {**_STILL, "shift": 0.3}
  motion = {"start": _STILL, "step": step, "shake": _STILL}
  clip = _make(cut_out=1.0, object=motion, hold=True)(key, image, labels)
  mask = np.asarray(clip.mask)
  visible = mask.max((2, 3, 4)) > 0.9
  assert visible.mean() > 0.7
  np.testing.assert_allclose(mask[:, :, -1].max((2, 3))[visible], 1, atol=1e-4)
  # It still moves in other directions.
  tops = mask[..., 0].max(3).argmax(2)
  assert (np.abs(np.diff(tops, axis=1)) > 0).any()
  assert np.abs(clip.flow_fwd[..., 0]).max() > 2


def test_reference_shows_at_least_half_of_the_object(stills):
  image, labels = stills
  labels = jnp.where(labels == 2, 0, labels)
  shares = []
  for seed in range(8):
    clip = _preset("video")(jax.random.key(seed), image, labels)
    # The object is 18 x 18 on the still; 0.7 is the smallest scale.
    shares.append(np.asarray(clip.mask[:, 0].sum((1, 2, 3))) / (18 * 0.7) ** 2)
  assert np.min(shares) > 0.5


def test_batch_of_one_with_another_frame_shape_works(stills, key):
  """Background and occluder come from the mirrored still."""
  image, labels = stills
  make = _make(size=(24, 96), cut_out=1.0, occluder=1.0, object=_MOVING)
  clip = make(key, image[:1], labels[:1])
  assert clip.video.shape == (1, T, 24, 96, 3)
  assert (clip.mask[:, 0].sum((1, 2, 3)) > 20).all()
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(clip))


def test_invalid_clip_len_and_guidance_frame_raise():
  values = {**pseudo_video.PRESETS["video"], "size": (8, 8), "clip_len": T}
  for name, value in (("clip_len", 1), ("guidance_frame", 2)):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
      settings.build(pseudo_video.Synthesis, values | {name: value})
