"""The segmenter and the propagator of `foregan`, in one of two forms.

`own`: small networks of frames of the layers' size, from random weights.
`trunk`: decoders on a frozen ImageNet trunk and a memory (`nets.memory`), for
frames that may be larger than the layers.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from foregan_jax import game
from foregan_jax.nets import (
  efficientnet,
  memory,
  memory_tracker,
  propagator,
  segmenter,
  tracker,
  trunk_segmenter,
)
from foregan_jax.runtime import platform, settings

Tracker = tracker.Tracker | memory_tracker.MemoryTracker


@dataclasses.dataclass(frozen=True)
class Heads:
  """The networks of both heads, without those of disabled players.

  Attributes:
    nets: `seg` and `prop`.
    frozen: the trunk, if they have one.
    init: returns fresh parameters of a net for a key, by net.
    segment: applies the segmenter; None if it is disabled.
    tracker: the propagator on whole videos; None if it is disabled.
    trunk: the trunk; None if they have none.
  """

  nets: Mapping[str, nn.Module]
  frozen: Mapping[str, game.FrozenNet]
  init: Mapping[str, Callable[[jax.Array], Any]]
  segment: segmenter.Plain | trunk_segmenter.OnTrunk | None
  tracker: Tracker | None
  trunk: efficientnet.EfficientNetLite0 | None = None


def build(c) -> Heads:
  """Return the heads of a config (`heads.kind`)."""
  heads = _on_trunk(c) if c.heads.kind == "trunk" else _own(c)
  unused = []
  if not c.turn.segmenter_every:
    unused.append("seg")
    heads = dataclasses.replace(heads, segment=None)
  if not c.turn.propagator_every:
    unused.append("prop")
    heads = dataclasses.replace(heads, tracker=None)
  if len(unused) == 2:
    heads = dataclasses.replace(heads, frozen={})
  keep = lambda parts: {n: x for n, x in parts.items() if n not in unused}
  return dataclasses.replace(
    heads, nets=keep(heads.nets), init=keep(heads.init)
  )


def _own(c) -> Heads:
  dtype = platform.dtype(c.dtype)
  seg = segmenter.Segmenter(
    width=c.nets.seg_width, depth=c.nets.seg_depth, dtype=dtype
  )
  prop = propagator.Propagator(**settings.tuples(c.prop.to_dict()), dtype=dtype)
  segment = segmenter.Plain(seg)
  size = (c.data.height, c.data.width)
  side = 2 * prop.stride
  return Heads(
    nets={"seg": seg, "prop": prop},
    frozen={},
    init={
      "seg": lambda key: segment.init(key, size)["params"],
      "prop": lambda key: propagator.init(prop, key, (side, side)),
    },
    segment=segment,
    tracker=tracker.Tracker(
      prop, (1.0,), c.propagator.padding, platform.unroll(c.scan_unroll)
    ),
  )


def _on_trunk(c) -> Heads:
  dtype = platform.dtype(c.dtype)
  trunk = efficientnet.build(c.heads.trunk, dtype)
  sizes = settings.tuples(c.heads.nets.to_dict())
  seg = trunk_segmenter.TrunkSegmenter(sizes["widths"], dtype)
  prop = memory.MemoryNet(**sizes, dtype=dtype)
  segment = trunk_segmenter.OnTrunk(seg, trunk)
  size = (c.data.height, c.data.width)
  return Heads(
    nets={"seg": seg, "prop": prop},
    frozen={"trunk": game.FrozenNet(*efficientnet.frozen(c.heads.trunk))},
    init={
      "seg": lambda key: segment.init(key, size)["params"],
      "prop": lambda key: memory.init(prop, key),
    },
    segment=segment,
    tracker=memory_tracker.MemoryTracker(
      prop,
      trunk,
      **c.heads.tracker.to_dict(),
      unroll=platform.unroll(c.scan_unroll),
    ),
    trunk=trunk,
  )
