"""The players of `foregan`, from its config."""

import dataclasses
from collections.abc import Callable

import jax
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import patch_sampler, ranges, sizes
from foregan_jax.nets import rollout
from foregan_jax.players import clip_segmenter, memory_propagator
from foregan_jax.players import critic as critic_player
from foregan_jax.players import generator as generator_player
from foregan_jax.players import propagator as propagator_player
from foregan_jax.players import segmenter as segmenter_player
from foregan_jax.runtime import platform, settings
from foregan_jax.synthesis import filming, mixture, pseudo_video
from foregan_jax.systems.foregan import clips as foregan_clips
from foregan_jax.systems.foregan import heads as heads_lib


def build(
  c,
  nets: dict[str, nn.Module],
  layers: rollout.VideoLayers,
  heads: heads_lib.Heads,
) -> tuple[game.Player, ...]:
  """Return the players of a config, in the order they move.

  Args:
    c: the config.
    nets: generators and critics by name; a player without its net is disabled.
    layers: the rollout of the generators.
    heads: segmenter and propagator.
  """
  patch = lambda where: patch_sampler.Sampler(
    size=tuple(c.db.patch),
    stride=tuple(c.db.stride),
    count=c.db.count,
    where=where,
  )
  fakes = patch(c.db.fakes)
  generator = generator_player.Generator(
    layers=layers,
    df=nets.get("df"),
    db=nets.get("db"),
    segment=heads.segment,
    predict_masks=_mask_predictor(c, heads) if c.w_generator.agree else None,
    critic_heads=tuple(c.df.heads),
    real_patches=patch("free"),
    fake_patches=fakes,
    weights=generator_player.Weights(**c.w_generator),
    schedule=generator_player.Schedule(
      mask_slope=c.gf.mask_slope, **c.schedule
    ),
    area_band=tuple(c.area_band),
    jitter_next_frame=tuple(c.jitter_next_frame),
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
    times=c.heads.times,
  )
  players: list[game.Player] = [generator]
  if "df" in nets:
    critic = critic_player.Critic(
      df=nets["df"],
      db=nets["db"],
      heads=tuple(c.df.heads),
      real_fg=c.df.real,
      real_patches=patch("free"),
      fake_patches=fakes,
      gp_reduce=c.gp_reduce,
      weights=critic_player.Weights(**c.w_critic),
      times=c.heads.times,
    )
    players.append(critic)
  on_trunk = heads.trunk is not None
  if heads.segment:
    make_segmenter = _trunk_segmenter if on_trunk else _segmenter
    players.append(make_segmenter(c, heads))
  if heads.tracker:
    make_propagator = _memory_propagator if on_trunk else _propagator
    players.append(make_propagator(c, heads))
  return tuple(players)


def _segmenter(c, heads: heads_lib.Heads) -> game.Player:
  return segmenter_player.Segmenter(
    segment=heads.segment,
    weights=segmenter_player.Weights(**c.w_segmenter),
    frames=c.segmenter_frames,
    augment=segmenter_player.Augment(**settings.tuples(c.augment.to_dict())),
  )


def _trunk_segmenter(c, heads: heads_lib.Heads) -> game.Player:
  return clip_segmenter.ClipSegmenter(
    segment=heads.segment,
    clips=_first_frames(c),
    bce_weight=c.w_segmenter.bce,
    iou_weight=c.w_segmenter.iou,
  )


def _memory_propagator(c, heads: heads_lib.Heads) -> game.Player:
  return memory_propagator.MemoryPropagator(
    prop=heads.nets["prop"],
    trunk=heads.trunk,
    clips=_first_frames(c),
    iou_weight=c.propagator.iou_weight,
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )


def _first_frames(c) -> Callable:
  """Return the clips of both heads on the trunk."""
  make = foregan_clips.FirstFrames(_synthesis(c), c.heads.times)
  return mixture.Mixture(((make, 1.0),), c.clips.times)


def _synthesis(c) -> pseudo_video.Synthesis:
  values = {"size": c.clips.size, "clip_len": c.clips.clip_len}
  synthesis = settings.build(
    pseudo_video.Synthesis, values | c.clips.synthesis.to_dict()
  )
  # With batch size 1 the occluder would be the object itself.
  occluder = synthesis.staging.occluder * (c.batch_size > 1)
  staging = dataclasses.replace(synthesis.staging, occluder=occluder)
  return dataclasses.replace(synthesis, staging=staging)


def _propagator(c, heads: heads_lib.Heads) -> game.Player:
  size = {"size": c.clips.size, "clip_len": c.clips.clip_len}
  film = settings.build(filming.Filming, size | c.clips.filming.to_dict())
  synthesis = _synthesis(c)
  # Cut-outs use the object of the first mask only: nothing else is labelled.
  staging = dataclasses.replace(synthesis.staging, cut_out=1.0)
  kinds: dict[str, Callable] = {
    "rollouts": foregan_clips.Rollouts(film),
    "cut_outs": foregan_clips.CutOuts(
      dataclasses.replace(synthesis, staging=staging)
    ),
    "instances": foregan_clips.Instances(synthesis),
  }
  weighted = [(make, c.clips[kind]) for kind, make in kinds.items()]
  return propagator_player.Propagator(
    prop=heads.nets["prop"],
    clips=mixture.Mixture(
      tuple((make, weight) for make, weight in weighted if weight),
      c.clips.times,
    ),
    aux_weight=c.propagator.aux_weight,
    iou_weight=c.propagator.iou_weight,
    recurrence=c.propagator.recurrence,
    truncate=c.propagator.truncate,
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )


def _mask_predictor(c, heads: heads_lib.Heads) -> Callable:
  """Return the function that segments real frames with both networks.

  It predicts as on whole videos; see `players.generator.Generator`.
  """

  def predict_masks(nets, batch):
    first, later = batch["video"][:, 0], batch["video"][:, 1:]
    b, t, *shape = later.shape
    real = ranges.image_to_float(later).reshape(b * t, *shape)
    logits = heads.segment(nets, real)
    params = heads.tracker.own_params(nets.params)
    state = heads.tracker.begin_all(params, first, batch["ref_mask"])
    _, soft = heads.tracker.run_all(params, state, later)
    masks = jax.nn.sigmoid(logits).reshape(soft.shape), soft
    return tuple(sizes.shrink(x, c.heads.times) for x in masks)

  return predict_masks
