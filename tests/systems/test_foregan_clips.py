"""Labelled clips for the propagator of foregan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import rollout
from foregan_jax.runtime import settings
from foregan_jax.synthesis import filming, mixture, pseudo_video
from foregan_jax.systems.foregan import clips as foregan_clips

SIZE = (32, 48)
_RED, _GREEN, _BLUE = np.eye(3) * 2.0 - 1.0


def _plain(recipe):
  """Return a recipe that does not change colours."""
  still = {name: 0.0 for name in recipe["optics"]["still"]}
  optics = recipe["optics"] | {
    "still": still, "frame": still, "grey": 0.0, "drift": 0.0, "blur": 0.0,
    "noise": 0.0,
  }  # fmt: skip
  return recipe | {"optics": optics, "size": SIZE, "clip_len": 3}


def _batch(samples=4, frames=5):
  """Return red squares on green, with a generated blue background."""
  mask = np.zeros((samples, *SIZE, 1), np.float32)
  mask[:, 12:22, 18:30] = 1.0
  first = np.where(mask > 0, _RED, _GREEN)
  masks = np.stack([np.roll(mask, 2 * t, axis=2) for t in range(frames)], 1)
  composed = np.where(masks > 0, _RED, _BLUE)
  background = np.broadcast_to(_BLUE, composed.shape)
  clip = rollout.Layers(composed, composed, background, masks)
  as_floats = lambda x: jnp.asarray(x, jnp.float32)
  return {
    "video": jnp.asarray((first[:, None] + 1) * 127.5, jnp.uint8),
    "ref_mask": jnp.asarray(mask * 255, jnp.uint8),
    "clip": jax.tree.map(as_floats, clip),
    "step": jnp.int32(0),
  }


def _is(colour, video):
  return np.abs(np.asarray(video) - colour).max(-1, keepdims=True) < 0.1


def test_cut_outs_combine_object_and_generated_background():
  recipe = _plain(pseudo_video.PRESETS["video"])
  recipe["staging"] = recipe["staging"] | {
    "cut_out": 1.0, "reentry": 0.0, "occluder": 0.0,
  }  # fmt: skip
  cut_outs = foregan_clips.CutOuts(
    settings.build(pseudo_video.Synthesis, recipe)
  )
  clip = jax.jit(cut_outs)(jax.random.key(0), _batch())
  inside, outside = clip.mask > 0.999, clip.mask < 0.001
  assert inside.any((1, 2, 3, 4)).all()
  np.testing.assert_array_equal(_is(_RED, clip.video)[inside], True)
  np.testing.assert_array_equal(_is(_BLUE, clip.video)[outside], True)
  # The true background does not occur.
  assert not _is(_GREEN, clip.video).any()
  assert (clip.weight == 1.0).all()


def test_first_frames_show_the_real_object_over_filled_holes():
  recipe = _plain(pseudo_video.PRESETS["video"])
  recipe["staging"] = recipe["staging"] | {
    "cut_out": 1.0, "reentry": 0.0, "occluder": 0.0,
  }  # fmt: skip
  synthesis = settings.build(pseudo_video.Synthesis, recipe)
  batch = _batch()
  # The layers are half as large as the frames.
  small = jax.tree.map(lambda x: x[..., ::2, ::2, :], batch["clip"])
  make = foregan_clips.FirstFrames(synthesis, times=2)
  clip = jax.jit(make)(jax.random.key(0), batch | {"clip": small})
  inside, outside = clip.mask > 0.999, clip.mask < 0.001
  red, blue, green = (_is(c, clip.video) for c in (_RED, _BLUE, _GREEN))
  assert inside.any((1, 2, 3, 4)).all()
  np.testing.assert_array_equal(red[inside], True)
  # The object's own place shows the generated background, not the object.
  assert not red[outside].any()
  assert blue[outside].any() and green[outside].any()
  assert (clip.weight == 1.0).all()


def test_rollouts_are_labelled_with_generated_masks():
  film = settings.build(filming.Filming, _plain(filming.RECOMMENDED))
  clip = jax.jit(foregan_clips.Rollouts(film))(jax.random.key(1), _batch())
  known = clip.weight > 0
  certain = known & ((clip.mask > 0.999) | (clip.mask < 0.001))
  np.testing.assert_array_equal(
    _is(_RED, clip.video)[certain], np.asarray(clip.mask > 0.5)[certain]
  )
  # The object moves to the right, or to the left in a mirrored clip.
  columns = np.asarray(clip.mask).sum((2, 4))
  centre = (columns * np.arange(SIZE[1])).sum(2) / columns.sum(2)
  moves = np.diff(centre, axis=1)
  assert (np.sign(moves[:, 0]) == np.sign(moves[:, 1])).all()
  # Clips skip frames, so some steps are longer than one frame's.
  assert np.abs(moves).max() > 3.0


def _kind(value):
  def make(key, batch):
    del key
    count = len(batch["ref_mask"])
    x = jnp.full((count, 2, 4, 4, 1), value)
    return pseudo_video.Clip(x, x, x, x[:, 0], flow_fwd=None if value else x)

  return make


@pytest.mark.parametrize("times", [1, 3])
def test_mixture_has_the_shares_of_its_weights(times):
  kinds = ((_kind(0.0), 0.5), (_kind(1.0), 0.25), (_kind(2.0), 0.25))
  mixed = mixture.Mixture(kinds, times)
  batch = _batch(4)
  orders = set()
  for seed in range(4):
    clip = mixed(jax.random.key(seed), batch)
    kind = np.asarray(clip.video[:, 0, 0, 0, 0])
    assert np.bincount(kind.astype(int)).tolist() == [
      2 * times, times, times,
    ]  # fmt: skip
    np.testing.assert_array_equal(kind, clip.guidance[:, 0, 0, 0])
    orders.add(tuple(kind))
  assert len(orders) > 1


def test_mixture_of_one_kind_has_only_this_kind():
  mixed = mixture.Mixture(((_kind(1.0), 0.3),), 1)
  assert (mixed(jax.random.key(0), _batch(2)).video == 1.0).all()


def test_weights_may_change_with_the_step():
  falling = lambda step: 1.0 - step / 100
  rising = lambda step: step / 100
  mixed = mixture.Mixture(((_kind(0.0), falling), (_kind(1.0), rising)), 1)
  for step, count in ((0, 0), (50, 2), (75, 3), (100, 4)):
    batch = {**_batch(4), "step": jnp.int32(step)}
    clip = mixed(jax.random.key(step), batch)
    assert clip.video[:, 0, 0, 0, 0].sum() == count


def test_instances_use_their_own_stream():
  recipe = _plain(pseudo_video.PRESETS["student"])
  synthesis = settings.build(pseudo_video.Synthesis, recipe)
  batch = _batch(2)
  stills = {
    "image": batch["video"][:, 0],
    "labels": (batch["ref_mask"] > 0).astype(jnp.uint8),
  }
  key = jax.random.key(0)
  got = jax.jit(foregan_clips.Instances(synthesis))(key, {"instances": stills})
  want = jax.jit(synthesis.__call__)(key, stills["image"], stills["labels"])
  np.testing.assert_array_equal(got.video, want.video)
