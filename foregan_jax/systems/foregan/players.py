"""The players of `foregan`, from its config."""

import dataclasses
from collections.abc import Callable

import jax
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import patch_sampler, ranges
from foregan_jax.nets import rollout, tracker
from foregan_jax.players import critic as critic_player
from foregan_jax.players import generator as generator_player
from foregan_jax.players import propagator as propagator_player
from foregan_jax.players import segmenter as segmenter_player
from foregan_jax.runtime import platform, settings
from foregan_jax.synthesis import filming, mixture, pseudo_video
from foregan_jax.systems.foregan import clips as foregan_clips


def build(
  c,
  nets: dict[str, nn.Module],
  layers: rollout.VideoLayers,
  prop_tracker: tracker.Tracker | None,
) -> tuple[game.Player, ...]:
  """Return the players of a config, in the order they move.

  Args:
    c: the config.
    nets: by name; a player without its net is disabled.
    layers: the rollout of the generators.
    prop_tracker: the propagator on whole videos; None if it is disabled.
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
    seg=nets.get("seg"),
    predict_masks=(
      _mask_predictor(nets["seg"], prop_tracker)
      if c.w_generator.agree
      else None
    ),
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
  )
  players = [generator]
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
    )
    players.append(critic)
  if "seg" in nets:
    players.append(_segmenter(c, nets["seg"]))
  if "prop" in nets:
    players.append(_propagator(c, nets["prop"]))
  return tuple(players)


def _segmenter(c, net: nn.Module) -> game.Player:
  return segmenter_player.Segmenter(
    seg=net,
    weights=segmenter_player.Weights(**c.w_segmenter),
    frames=c.segmenter_frames,
    augment=segmenter_player.Augment(**settings.tuples(c.augment.to_dict())),
  )


def _propagator(c, net: nn.Module) -> game.Player:
  size = {"size": c.clips.size, "clip_len": c.clips.clip_len}
  film = settings.build(filming.Filming, size | c.clips.filming.to_dict())
  synthesis = settings.build(
    pseudo_video.Synthesis, size | c.clips.synthesis.to_dict()
  )
  # Cut-outs use the object of the first mask only: nothing else is labelled.
  # With batch size 1 the occluder would be the object itself.
  occluder = synthesis.staging.occluder * (c.batch_size > 1)
  staging = dataclasses.replace(
    synthesis.staging, cut_out=1.0, occluder=occluder
  )
  kinds: dict[str, Callable] = {
    "rollouts": foregan_clips.Rollouts(film),
    "cut_outs": foregan_clips.CutOuts(
      dataclasses.replace(synthesis, staging=staging)
    ),
    "instances": foregan_clips.Instances(synthesis),
  }
  weighted = [(make, c.clips[kind]) for kind, make in kinds.items()]
  return propagator_player.Propagator(
    prop=net,
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


def _mask_predictor(seg: nn.Module, prop_tracker: tracker.Tracker):
  """Return the function that segments real frames with both networks.

  It predicts as on whole videos; see `players.generator.Generator`.
  """

  def predict_masks(nets, batch):
    first, later = batch["video"][:, 0], batch["video"][:, 1:]
    b, t, *shape = later.shape
    real = ranges.image_to_float(later).reshape(b * t, *shape)
    logits = seg.apply(nets["seg"], real)
    prop = nets.params["prop"]
    state = prop_tracker.begin_all(prop, first, batch["ref_mask"])
    _, soft = prop_tracker.run_all(prop, state, later)
    return jax.nn.sigmoid(logits).reshape(soft.shape), soft

  return predict_masks
