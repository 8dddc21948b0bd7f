"""Image animation with perturbed masks, and its change of the background.

Shalev and Wolf (CVPR 2022, arXiv 2011.06922). Nets: `m` (mask generator), `l`
and `h` (low- and high-resolution generator), `r` (mask refiner), and with a
background `bg_base` and `bg_refine`. Frozen net: `perceptual`. Players, in the
order they move: animator (m, l), painter (h), refiner (r), bg_base, bg_refine.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game, tasks
from foregan_jax.layers import strips
from foregan_jax.losses import perceptual as perceptual_loss
from foregan_jax.nets import animation, cross_identity, perceptual
from foregan_jax.nets import animation_inputs as inputs
from foregan_jax.players import animator, mask_refiner, painter
from foregan_jax.runtime import platform
from foregan_jax.synthesis import frame_pairs
from foregan_jax.systems.animation import checks, diagnosis

_WHITE = 255.0
_BACKGROUND = ("bg_base", "bg_refine")


@dataclasses.dataclass(frozen=True)
class Starts:
  """First steps of the players that start late; see `game.System.turn`."""

  refiner: int
  background: int

  def __call__(self, step: int, players: tuple[str, ...]) -> tuple[str, ...]:
    """Return the players that have started."""
    first = dict.fromkeys(_BACKGROUND, self.background)
    first["refiner"] = self.refiner
    return tuple(p for p in players if step >= first.get(p, 0))


@dataclasses.dataclass(frozen=True)
class Animation:
  """The system; all fields are static.

  Attributes:
    size: side of the images, pixels.
    channels: of each net's input.
    stride: the images' side over that of the masks.
    threshold: of the masks, 0 to 255.
    scale: of deformed masks at prediction; see `strips.scale_and_cut`.
    distance: the perceptual loss.
    starts: which players move at a step.
  """

  nets: dict[str, nn.Module]
  frozen: dict[str, game.FrozenNet]
  players: tuple[game.Player, ...]
  size: int
  channels: dict[str, int]
  stride: int
  threshold: float
  scale: float
  distance: perceptual_loss.Perceptual
  starts: Starts
  name: str = "animation"
  task: str = tasks.ANIMATION
  best: game.Metric | None = game.Metric("l1", higher_is_better=False)

  heads = ("high", "low")

  @property
  def checkpoint_items(self) -> dict[str, tuple[str, ...]]:
    """See `game.System`."""
    main = tuple(net for net in self.nets if net not in _BACKGROUND)
    background = tuple(net for net in self.nets if net in _BACKGROUND)
    items = {"animator": main, "background": background}
    return {name: nets for name, nets in items.items() if nets}

  @property
  def swaps_backgrounds(self) -> bool:
    """See `tasks.AnimationSystem`."""
    return "bg_base" in self.nets

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `game.System`."""
    shape = (batch_size, 2, self.size, self.size, 3)
    return {"frames": jax.ShapeDtypeStruct(shape, jnp.uint8)}

  def init(self, key):
    """See `game.System`."""
    params, variables = {}, {}
    for i, (name, net) in enumerate(self.nets.items()):
      whole = name in ("m", "h", "bg_refine")
      side = self.size if whole else self.size // self.stride
      shape = (2, side, side, self.channels[name])
      x = jax.ShapeDtypeStruct(shape, jnp.float32)
      # Not `split`: the other nets start the same with and without background.
      collections = dict(net.lazy_init(jax.random.fold_in(key, i), x))
      params[name] = collections.pop("params")
      variables[name] = collections
    return params, variables

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    return self.starts(step, tuple(player.name for player in self.players))

  def reconstruct(
    self, nets: game.Nets, source: jax.Array, driving: jax.Array
  ) -> dict[str, jax.Array]:
    """See `tasks.AnimationSystem`; the mask is used as it is."""
    source, driving = _to_float(source), _to_float(driving)
    masks = [self._apply(nets, "m", x) for x in (source, driving)]
    return self._paint(nets, source, *masks)

  def animate(
    self, nets: game.Nets, source: jax.Array, driving: jax.Array
  ) -> dict[str, jax.Array]:
    """See `tasks.AnimationSystem`; r gives the mask the source's shape."""
    source, driving = _to_float(source), _to_float(driving)
    mask_source, mask = (self._apply(nets, "m", x) for x in (source, driving))
    cut = strips.scale_and_cut(mask, threshold=self.threshold, scale=self.scale)
    x = inputs.low_input(source, mask_source, cut)
    refined = self._apply(nets, "r", x)
    return {
      **self._paint(nets, source, mask_source, refined),
      "mask_raw": mask,
    }

  def swap_background(
    self,
    nets: game.Nets,
    image: jax.Array,
    actor: jax.Array,
    mask: jax.Array,
    *,
    hole: str,
  ) -> jax.Array:
    """See `tasks.AnimationSystem`.

    Raises:
      ValueError: for another `hole`, or a system without background nets.
    """
    if not self.swaps_backgrounds:
      raise ValueError("the run was trained without a background network")
    if hole not in tasks.HOLES:
      raise ValueError(f"hole is {hole!r}, but must be one of {tasks.HOLES}")
    third = _to_float(image)
    masks = {"none": 0.0 * mask, "actor": mask}
    cut = masks[hole] if hole in masks else self._apply(nets, "m", third)
    x = inputs.background_low_input(third, actor, cut, mask, self.threshold)
    low = self._apply(nets, "bg_base", x)
    x = inputs.background_high_input(
      third, actor, cut, mask, low, self.threshold
    )
    return self._apply(nets, "bg_refine", x)

  def diagnose(self, step: int, metrics) -> dict[str, str]:
    """See `tasks.HasDiagnostics`."""
    del step
    return diagnosis.diagnose(metrics)

  def benchmarks(self) -> dict[str, Callable]:
    """See `tasks.HasBenchmarks`: animation, with and without background."""

    def animate(nets, batch, key):
      del key
      frames = batch["frames"]
      return self.animate(nets, frames[:, 0], frames[:, 1])

    def swap(nets, batch, key):
      made = animate(nets, batch, key)
      return self.swap_background(
        nets, batch["frames"][:, 0], made["high"], made["mask"], hole="own"
      )

    parts = {"animate": animate}
    return parts | ({"animate, swap": swap} if self.swaps_backgrounds else {})

  def compare(
    self, nets: game.Nets, image: jax.Array, truth: jax.Array
  ) -> jax.Array:
    """See `tasks.AnimationSystem`."""
    frozen = nets["perceptual"]
    target = self.distance.describe(frozen, _to_float(truth))
    return self.distance.each(frozen, _to_float(image), target)

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return reconstructions [b, s, s, 3] of a training batch, by head."""
    frames = batch["frames"]
    made = self.reconstruct(nets, frames[:, 0], frames[:, 1])
    return {head: made[head] for head in self.heads}

  def _apply(self, nets: game.Nets, name: str, x: jax.Array) -> Any:
    return self.nets[name].apply(nets[name], x)

  def _paint(self, nets, source, mask_source, mask) -> dict[str, jax.Array]:
    x = inputs.low_input(source, mask_source, mask)
    low = self._apply(nets, "l", x)
    x = inputs.high_input(source, mask_source, low, mask)
    high = self._apply(nets, "h", x)
    return {
      "high": high, "low": low, "mask_source": mask_source, "mask": mask,
    }  # fmt: skip


def _to_float(image: jax.Array) -> jax.Array:
  """Return images in [0, 1]; floats are returned as they are."""
  if image.dtype == jnp.uint8:
    return image.astype(jnp.float32) / _WHITE
  return image


def from_config(c) -> Animation:
  """Build the system of a config (configs/animation.py has all keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  checks.check(c)
  n, p, dtype = c.nets, c.perceptual, platform.dtype(c.dtype)
  common = dict(scales=n.bn_scale_init, dtype=dtype)
  hourglass = dict(levels=n.levels, cap=n.cap, **common)
  low = functools.partial(
    animation.LowGenerator, n.width, n.residuals, n.stride, **common
  )
  high = functools.partial(animation.HighGenerator, n.width, **hourglass)
  images_of = inputs.images_of if n.mixes else None
  pasted_of = inputs.pasted_of if n.mixes else None
  nets: dict[str, nn.Module] = {
    "m": animation.MaskGenerator(
      n.mask_width,
      stride=n.stride,
      border=n.border,
      temperature=n.temperature,
      centred=n.centred,
      prior=n.prior,
      **hourglass,
    ),
    "l": low(base=images_of),
    "h": high(base=images_of),
    "r": animation.MaskRefiner(n.width, temperature=n.temperature, **hourglass),
  }
  channels = {"m": 3, "l": 5, "h": 8, "r": 5, "bg_base": 8, "bg_refine": 11}
  if c.background:
    nets |= {"bg_base": low(base=pasted_of), "bg_refine": high(base=pasted_of)}
  features = perceptual.build(
    p.kind, source=p.file, width=p.width, taps=len(_used(p.weights)),
    dtype=dtype,
  )  # fmt: skip
  distance = perceptual_loss.Perceptual(
    features, _used(p.weights), p.pixel, tuple(p.scales)
  )
  checks.check_scales(c, features.smallest)
  return Animation(
    nets=nets,
    frozen={"perceptual": game.FrozenNet(*features.frozen())},
    players=_players(c, nets, distance),
    size=c.data.still_size,
    channels=channels,
    stride=n.stride,
    threshold=c.masks.threshold,
    scale=c.masks.predicted_scale,
    distance=distance,
    starts=Starts(**c.starts),
  )


def _players(c, nets, distance) -> tuple[game.Player, ...]:
  k, threshold = c.masks, c.masks.threshold
  cross = None
  if k.cross_identity:
    cross = cross_identity.CrossIdentity(
      nets["r"], threshold, k.predicted_scale, c.starts.refiner
    )

  def high(batch):
    return inputs.high_input(
      batch["views"].source, batch["mask_source"], batch["low"],
      batch["mask_driving"],
    )  # fmt: skip

  # The foreground is that of the target: the driving frame in the colours of
  # the source.
  cut = lambda batch: (
    batch["views"].source, batch["views"].target, batch["mask_source"],
    batch["mask_driving"],
  )  # fmt: skip

  def bg_low(batch):
    return inputs.background_low_input(*cut(batch), threshold)

  def bg_high(batch):
    low = batch["background"]
    return inputs.background_high_input(*cut(batch), low, threshold)

  players: list[game.Player] = [
    animator.Animator(
      nets["m"], nets["l"], frame_pairs.FramePairs(tuple(c.colour)), distance,
      cross,
    ),
    painter.Painter("painter", "h", nets["h"], high, distance),
    mask_refiner.MaskRefiner(
      nets["r"], strips.Deformation(threshold), k.weight, cross
    ),
  ]  # fmt: skip
  if c.background:
    players += [
      painter.Painter(
        "bg_base", "bg_base", nets["bg_base"], bg_low, distance, "background"
      ),
      painter.Painter(
        "bg_refine", "bg_refine", nets["bg_refine"], bg_high, distance
      ),
    ]
  return tuple(players)


def _used(weights) -> tuple[float, ...]:
  """Return the weights up to the last one that is not 0."""
  used = list(weights)
  while used and not used[-1]:
    used.pop()
  return tuple(used)
