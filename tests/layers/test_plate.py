"""Plates: backgrounds collected from earlier frames."""

import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import plate

SIZE = (24, 40)
_GENERATED = 0.9


def _scene(frames=6, pan=0, gain=1.0):
  """Return a video of a square moving right over a wall, and the wall."""
  rng = np.random.default_rng(0)
  wall = rng.uniform(-0.8, 0.0, (SIZE[0], SIZE[1] + 3 * frames, 3))
  walls, masks = [], []
  for t in range(frames):
    view = wall[:, pan * t : pan * t + SIZE[1]]
    walls.append((view + 1.0) * gain**t - 1.0)
    mask = np.zeros((*SIZE, 1))
    mask[8:14, 4 + 5 * t : 10 + 5 * t] = 1.0
    masks.append(mask)
  walls, masks = np.stack(walls)[None], np.stack(masks)[None]
  video = np.where(masks > 0, 1.0, walls)
  flow = np.zeros((1, frames - 1, *SIZE, 2))
  flow[..., 0] = -pan
  flow = np.where(masks[:, :-1] > 0, 5.0, flow)
  return (jnp.asarray(x, jnp.float32) for x in (video, masks, flow, walls))


def _plates(video, masks, flow):
  memory = plate.start(video[:, 0], masks[:, 0])
  generated = jnp.full_like(video[:, 1:], _GENERATED)
  return plate.run(memory, video[:, 1:], masks[:, 1:], flow, generated)[1]


def test_plate_shows_pixels_of_earlier_frames():
  video, masks, flow, walls = _scene()
  plates = np.asarray(_plates(video, masks, flow))
  hole = np.asarray(plate.hole(masks[0, 1:]))[None] > 0
  free = ~np.broadcast_to(hole, plates.shape)
  np.testing.assert_array_equal(plates[free], np.asarray(video[:, 1:])[free])
  # From the third frame on, an earlier frame shows every hidden pixel.
  np.testing.assert_allclose(plates[:, 2:], walls[:, 3:], atol=1e-5)
  # In the first plate, pixels that both masks cover are generated.
  covered = np.asarray(masks[0, 0] * masks[0, 1])[..., 0] > 0
  assert covered.any()
  np.testing.assert_array_equal(plates[0, 0][covered], np.float32(_GENERATED))


def test_plate_moves_with_the_camera():
  video, masks, flow, walls = _scene(pan=2)
  plates = _plates(video, masks, flow)
  np.testing.assert_allclose(plates[:, 3:], walls[:, 4:], atol=1e-4)


def test_subpixel_motion_accumulates_without_blur():
  """Four steps of a quarter pixel are one pixel."""
  video, masks, _, _ = _scene(frames=5)
  memory = plate.start(video[:, 0], masks[:, 0])
  flow = jnp.full((1, *SIZE, 2), 0.25)
  everywhere = jnp.ones_like(masks[:, 0])
  for step in range(1, 5):
    memory, result = plate.step(
      memory, video[:, 0], everywhere, flow, jnp.zeros_like(video[:, 0])
    )
    shift = 1 if step > 2 else 0
    want = np.roll(np.asarray(video[:, 0]), (shift, shift), axis=(1, 2))
    np.testing.assert_allclose(result[:, 1:6, 1:], want[:, 1:6, 1:], atol=1e-5)


def test_plate_matches_the_brightness_of_the_frame():
  video, masks, flow, walls = _scene(gain=1.05)
  plates = _plates(video, masks, flow)
  np.testing.assert_allclose(plates[:, 2:], walls[:, 3:], atol=0.02)
  # Without the gain the difference would be larger than this.
  assert np.abs(walls[:, 5] - walls[:, 2]).mean() > 0.05


def test_step_by_step_equals_run():
  video, masks, flow, _ = _scene(pan=1)
  whole = _plates(video, masks, flow)
  memory = plate.start(video[:, 0], masks[:, 0])
  generated = jnp.full_like(video[:, 0], _GENERATED)
  for t in range(1, video.shape[1]):
    memory, result = plate.step(
      memory, video[:, t], masks[:, t], flow[:, t - 1], generated
    )
    np.testing.assert_allclose(result, whole[:, t - 1], atol=1e-6)


def test_full_masks_yield_the_generated_background():
  video, masks, flow, _ = _scene(frames=2)
  plates = _plates(video, jnp.ones_like(masks), flow)
  np.testing.assert_allclose(plates, _GENERATED)
