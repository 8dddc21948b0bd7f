"""RGMP: masks for a whole video from one, by one network.

Oh et al., CVPR 2018. Net: `prop`; player: the propagator. It learns from clips
that the device makes of stills (`configs/rgmp_voc.py`), then from annotated
videos (`configs/rgmp_davis.py`).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from flax import linen as nn

from foregan_jax import game
from foregan_jax.layers import ranges
from foregan_jax.nets import propagator as propagator_net
from foregan_jax.nets import propagator_weights, tracker
from foregan_jax.players import propagator as propagator_player
from foregan_jax.runtime import platform, settings
from foregan_jax.synthesis import filming, pseudo_video

_KINDS = {"stills": pseudo_video.Synthesis, "filmed": filming.Filming}


@dataclasses.dataclass(frozen=True)
class Rgmp:
  """The system; every field is static.

  Attributes:
    tracker: the network as it is used on whole videos.
    clips: what makes labelled clips of a batch.
    still: side of the stills, or 0 for clips that were filmed.
    height: of whole frames.
    width: of whole frames.
    clip_len: frames of a clip.
  """

  tracker: tracker.Tracker
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  clips: Callable
  still: int
  height: int
  width: int
  clip_len: int
  name: str = "rgmp"
  task: str = "videos"

  checkpoint_items = {"propagator": ("prop",)}
  heads = ("propagator",)

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `game.System`."""
    spec = lambda *shape: jax.ShapeDtypeStruct((batch_size, *shape), jnp.uint8)
    if self.still:
      side = (self.still, self.still)
      return {"image": spec(*side, 3), "labels": spec(*side, 1)}
    size = (self.clip_len, self.height, self.width)
    return {"video": spec(*size, 3), "labels": spec(*size, 1)}

  def init(self, key, batch: game.Batch):
    """See `game.System`."""
    del batch
    net = self.tracker.net
    side = 2 * net.stride
    return {"prop": propagator_net.init(net, key, (side, side))}, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    del step
    return ("propagator",)

  def load_weights(self, params, path: str) -> dict[str, Any]:
    """See `game.Loads`; for the files see `nets.propagator_weights`."""
    return {"prop": propagator_weights.load(path, params["prop"])}

  def begin(self, params, frame: jax.Array, mask: jax.Array) -> tracker.Tracked:
    """Starts videos from their first frames and masks.

    Args:
      params: by net.
      frame: uint8 [b, h, w, 3].
      mask: uint8 [b, h, w, n], coverage of the n objects, 0 to 255.
    """
    return self.tracker.begin_all(params["prop"], frame, mask)

  def advance(self, params, carry: tracker.Tracked, frames, flow):
    """Goes t frames further; nobody asks for the flow.

    Args:
      params: by net.
      carry: from `begin` or an earlier call.
      frames: uint8 [b, t, h, w, 3], the frames to segment.
      flow: unused.

    Returns:
      The carry, soft masks {head: [b, t, h, w, n]}, and None: no layers.
    """
    del flow
    carry, soft = self.tracker.run_all(params["prop"], carry, frames)
    return carry, {"propagator": soft}, None

  def parts(self) -> dict[str, Callable]:
    """See `game.Measured`: the making of clips, and a frame of one object."""

    def frame(params, batch, key):
      del batch
      keys = jax.random.split(key, 2)
      size = (self.height, self.width)
      picture = jax.random.bits(keys[0], (*size, 3), jnp.uint8)
      begin = lambda params, picture: self.tracker.begin(
        params, picture, jnp.ones((1, *size)), jnp.ones(1, bool)
      )
      # Any numbers will do for what is carried.
      like = jax.eval_shape(begin, params["prop"], picture)
      carried = jax.tree.map(
        lambda x: jax.random.uniform(keys[1], x.shape).astype(x.dtype), like
      )
      return self.tracker.step(params["prop"], carried, picture)[1]

    clips = lambda params, batch, key: self.clips(key, batch)
    return {"clips": clips, "frame of one object": frame}

  def predict(self, params, batch: game.Batch) -> dict[str, Any]:
    """Returns the soft masks [b, t-1, h, w, 1] of a batch, by head.

    Of whole frames with `ref_mask`, or of the clips made of a training batch.
    """
    if "ref_mask" in batch:
      video, mask = batch["video"], batch["ref_mask"]
    else:
      clip = self.clips(jax.random.key(0), batch)
      video = ranges.image_to_uint8(clip.video)
      mask = ranges.mask_to_uint8(clip.mask[:, 0])
    carry = self.begin(params, video[:, 0], mask)
    return self.advance(params, carry, video[:, 1:], None)[1]


def from_config(c) -> Rgmp:
  """Builds the system of a config (see configs/rgmp_voc.py for every key).

  Raises:
    ValueError: for a value that no part knows, or sizes that do not fit.
  """
  net = propagator_net.Propagator(
    **settings.tuples(c.nets.to_dict()), dtype=platform.dtype(c.dtype)
  )
  _check(c, net.stride)
  values = c.clips.to_dict() | {"clip_len": c.data.clip_len}
  kind = values.pop("kind")
  makes = settings.build(_KINDS[kind], values)
  names = ("video", "labels") if kind == "filmed" else ("image", "labels")
  clips = lambda key, batch: makes(key, *(batch[name] for name in names))
  player = propagator_player.Propagator(
    prop=net,
    clips=clips,
    aux_weight=c.aux_weight,
    iou_weight=c.iou_weight,
    recurrence=c.recurrence,
    truncate=c.truncate,
    unroll=platform.unroll(c.scan_unroll),
    remat=platform.remat(c.remat),
  )
  return Rgmp(
    tracker=tracker.Tracker(
      net,
      tuple(c.eval.scales),
      c.eval.padding,
      platform.unroll(c.scan_unroll),
    ),
    nets={"prop": net},
    players=(player,),
    clips=clips,
    still=c.data.still if kind == "stills" else 0,
    height=c.data.height,
    width=c.data.width,
    clip_len=c.data.clip_len,
  )


def _check(c, stride: int) -> None:
  """Refuses what would otherwise fail late, warns of what will not learn."""
  if c.clips.kind not in _KINDS:
    raise ValueError(
      f"clips.kind is {c.clips.kind!r}, but must be one of {', '.join(_KINDS)}"
    )
  starts = c.init_from.workdir or c.init_from.weights
  if c.nets.norm == "frozen" and not starts:
    logging.warning(
      "nothing to start from: frozen norms normalise nothing until weights are "
      "loaded; give init_from.weights (a file) or init_from.workdir (a run)"
    )
  for side in c.clips.size:
    if side % stride or side <= 0:
      raise ValueError(
        f"clips.size is {tuple(c.clips.size)}, but must be multiples of "
        f"{stride}, by which the network divides them."
      )
  if c.data.clip_len < 2:
    raise ValueError(
      f"data.clip_len is {c.data.clip_len}, but must be 2 or more"
    )
  if not c.eval.scales:
    raise ValueError("eval.scales is empty, but must name at least one scale")
