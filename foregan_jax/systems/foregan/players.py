"""The flagship's players, from its config."""

import dataclasses

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
from foregan_jax.synthesis import filming, pseudo_video
from foregan_jax.systems.foregan import clips as foregan_clips


def build(
  c,
  nets: dict[str, nn.Module],
  layers: rollout.VideoLayers,
  follow: tracker.Tracker | None,
) -> tuple[game.Player, ...]:
  """Returns the players of a config, in the order they move.

  Args:
    c: the config.
    nets: by name; a player without its net is not in the game.
    layers: the generators, rolled out.
    follow: the propagator on whole videos, or None without one.
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
    judges=_judges(nets["seg"], follow) if c.w_generator.agree else None,
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
  # What belongs to a first frame's mask is cut out; nothing else is known. A
  # video that is alone would lend its own object to pass before itself.
  occluder = synthesis.staging.occluder * (c.batch_size > 1)
  always = dataclasses.replace(
    synthesis.staging, cut_out=1.0, occluder=occluder
  )
  kinds = {
    "rollouts": foregan_clips.Rollouts(film),
    "cut_outs": foregan_clips.CutOuts(
      dataclasses.replace(synthesis, staging=always)
    ),
    "stills": foregan_clips.Stills(synthesis),
  }
  weighed = [(make, c.clips[kind]) for kind, make in kinds.items()]
  return propagator_player.Propagator(
    prop=net,
    clips=foregan_clips.Mixture(
      tuple((make, weight) for make, weight in weighed if weight), c.clips.times
    ),
    aux_weight=c.propagator.aux_weight,
    iou_weight=c.propagator.iou_weight,
    recurrence=c.propagator.recurrence,
    truncate=c.propagator.truncate,
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )


def _judges(seg: nn.Module, follow: tracker.Tracker):
  """Returns what both say of real frames, as they are used on whole videos."""

  def say(params, batch):
    first, later = batch["video"][:, 0], batch["video"][:, 1:]
    b, t, *shape = later.shape
    real = ranges.image_to_float(later).reshape(b * t, *shape)
    logits = seg.apply({"params": params["seg"]}, real)
    state = follow.begin_all(params["prop"], first, batch["ref_mask"])
    _, soft = follow.run_all(params["prop"], state, later)
    return jax.nn.sigmoid(logits).reshape(soft.shape), soft

  return say
