"""Improved Layered GANs: generate layers from noise, train a segmenter on them.

Yang et al., WACV 2022, with ILSGAN's layer independence as an option. Nets:
`gb`, `gf` (background and foreground generators), `disc` (discriminator with
the private code's head), `estimator` (of the code, from the mask), `seg`.
Players, in the order they move: generator, critic, segmenter; after the last
round only `final_segmenter`, which trains `seg` again from its initial weights.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game, tasks
from foregan_jax.layers import perturb, ranges
from foregan_jax.nets import efficientnet, image_layers, trunk_segmenter
from foregan_jax.nets import image_critic as critic_net
from foregan_jax.nets import segmenter as segmenter_net
from foregan_jax.players import image_critic as critic_player
from foregan_jax.players import image_generator as generator_player
from foregan_jax.players import segmenter as segmenter_player
from foregan_jax.runtime import limits, platform, settings
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.systems.layered_gan import diagnosis

_FINAL = "final_segmenter"


@dataclasses.dataclass(frozen=True)
class Rounds:
  """The alternation of algorithm 1, as a function of the step.

  A round is `gan` turns of generator and critic, then `seg` turns of the
  segmenter. With `gan` 0 all three move in every turn. From `final_start` on
  (0: never) the final segmenter trains alone: it ends with the run.
  """

  gan: int
  seg: int
  final_start: int = 0

  def __call__(self, step: int) -> tuple[str, ...]:
    """Return the players that move at `step`."""
    if self.final_start and step >= self.final_start:
      return (_FINAL,)
    if not self.gan:
      return ("generator", "critic", "segmenter")
    inner = step % (self.gan + self.seg)
    return ("generator", "critic") if inner < self.gan else ("segmenter",)


@dataclasses.dataclass(frozen=True)
class LayeredGan:
  """The system; all fields are static.

  Attributes:
    layers: both generators and the distribution of their codes.
    size: side of the pictures.
    margin: real pictures are larger by this; they are cropped at random.
    segment: applies the segmenter.
    frozen: the segmenter's trunk, if it has one.
    rounds: which players move at a step.
    alarm_after: no diagnosis before this step.
  """

  layers: generator_player.Layers
  nets: dict[str, nn.Module]
  players: tuple[game.Player, ...]
  size: int
  margin: int
  segment: segmenter_net.Plain | trunk_segmenter.OnTrunk
  frozen: dict[str, game.FrozenNet]
  rounds: Rounds
  alarm_after: int
  name: str = "layered_gan"
  task: str = tasks.STILLS
  best: game.Metric | None = None  # labels must not choose a checkpoint

  checkpoint_items = {
    "gan": ("gb", "gf", "disc", "estimator"),
    "segmenter": ("seg",),
  }
  heads = ("segmenter",)

  def batch_spec(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `game.System`."""
    side = self.size + self.margin
    shape = (batch_size, side, side, 3)
    return {"image": jax.ShapeDtypeStruct(shape, jnp.uint8)}

  def init(self, key):
    """See `game.System`."""
    keys = jax.random.split(key, 4)
    params, variables = self.layers.init(keys[0]), {}
    size = (self.size, self.size)
    picture = lambda c: jax.ShapeDtypeStruct((2, *size, c), jnp.float32)
    init = lambda net, key, channels: dict(
      self.nets[net].lazy_init(key, picture(channels))
    )
    for net, collections in (
      ("disc", init("disc", keys[1], 3)),
      ("estimator", init("estimator", keys[2], 1)),
      ("seg", self.segment.init(keys[3], size)),
    ):
      params[net] = collections.pop("params")
      if collections:
        variables[net] = collections
    return params, variables

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    return self.rounds(step)

  def restarts(self, step: int) -> tuple[str, ...]:
    """See `tasks.HasRestarts`: the final segmenter is trained from scratch.

    In the rounds it has learned from worse generators.
    """
    begins = self.rounds.final_start and step == self.rounds.final_start
    return (_FINAL,) if begins else ()

  def diagnose(self, step: int, metrics) -> dict[str, str]:
    """See `tasks.HasDiagnostics`."""
    if step < self.alarm_after:
      return {}
    return diagnosis.diagnose(metrics, self.layers.groups)

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """See `tasks.StillSystem`."""
    image = ranges.image_to_float(batch["image"])
    logits = self.segment(nets, image)
    return {"segmenter": jax.nn.sigmoid(logits)}

  def cluster(self, nets: game.Nets, batch: game.Batch) -> jax.Array:
    """See `tasks.StillSystem`; use 64 pictures or more, as in `sample`."""
    image = ranges.image_to_float(batch["image"])
    scores = self.nets["disc"].apply(nets["disc"], image)
    return jnp.argmax(scores.code, axis=-1)

  def benchmarks(self) -> dict[str, Callable]:
    """See `tasks.HasBenchmarks`: sampling, and sampling as the paper has it."""
    literal = dataclasses.replace(
      self.layers,
      gb=self.layers.gb.clone(literal=True),
      gf=self.layers.gf.clone(literal=True),
    )

    def sampler(layers):
      return lambda nets, batch, key: layers(
        nets, mesh_lib.split_rows(layers.draw(key, len(batch["image"])))
      )

    return {"sample": sampler(self.layers), "sample, literal": sampler(literal)}

  def sample(self, nets: game.Nets, key, count: int):
    """See `tasks.StillSystem`.

    The batch norms have no running statistics: draw 64 pictures or more.
    """
    codes = self.layers.draw(key, count)
    return self.layers(nets, codes), codes


def from_config(c) -> LayeredGan:
  """Build the system of a config (configs/layered_gan.py has all keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  _check(c)
  dtype = platform.dtype(c.dtype)
  n = c.nets
  size = c.data.still_size
  nets = {
    "gb": image_layers.BackgroundGenerator(size, n.width, dtype),
    "gf": image_layers.ForegroundGenerator(
      size, n.width, n.residuals, dtype, prior=n.prior
    ),
    "disc": critic_net.ImageCritic(n.critic_width, c.codes.private, dtype),
    "estimator": critic_net.MaskCodeEstimator(
      n.critic_width, c.codes.groups, dtype
    ),
  }
  segment, frozen = _build_segmenter(c)
  nets["seg"] = segment.net
  layers = generator_player.Layers(nets["gb"], nets["gf"], **c.codes)
  generator = generator_player.ImageGenerator(
    layers=layers,
    disc=nets["disc"],
    estimator=nets["estimator"],
    segment=segment,
    perturbation=perturb.PRESETS[c.perturbation],
    weights=generator_player.Weights(**c.w_generator),
    schedule=generator_player.Schedule(**settings.tuples(c.schedule.to_dict())),
    bg_seg_every=c.bg_seg_every,
    adversarial=c.adversarial,
  )
  critic = critic_player.ImageCritic(
    disc=nets["disc"],
    estimator=nets["estimator"],
    weights=critic_player.Weights(**c.w_critic),
    adversarial=c.adversarial,
    size=(size, size),
    # By then the generator has been updated.
    draw=None if c.shared_fakes else generator.forward,
  )
  segmenter = segmenter_player.Segmenter(
    segment=segment,
    weights=segmenter_player.Weights(**c.w_segmenter),
    augment=segmenter_player.Augment(**settings.tuples(c.augment.to_dict())),
    frames=1,
    min_area=c.min_area,
  )
  players = [generator, critic, segmenter]
  if c.turn.final_start:
    players.append(dataclasses.replace(segmenter, name=_FINAL))
  return LayeredGan(
    layers=layers,
    nets=nets,
    players=tuple(players),
    size=size,
    margin=c.data.still_margin,
    segment=segment,
    frozen=frozen,
    rounds=Rounds(**c.turn),
    alarm_after=c.alarm_after,
  )


def _build_segmenter(c):
  """Return what applies the segmenter, and its trunk if it has one."""
  n, dtype = c.nets, platform.dtype(c.dtype)
  if n.seg_kind != "trunk":
    net = _SEGMENTERS[n.seg_kind](n.seg_width, n.seg_depth, dtype)
    return segmenter_net.Plain(net), {}
  source = n.seg_trunk
  trunk = efficientnet.build(source, dtype)
  net = trunk_segmenter.TrunkSegmenter(tuple(n.seg_widths), dtype)
  frozen = game.FrozenNet(*efficientnet.frozen(source))
  times = max(1, _TRUNK_SIDE // c.data.still_size)
  return trunk_segmenter.OnTrunk(net, trunk, times), {"trunk": frozen}


_SEGMENTERS = {
  "published": segmenter_net.PublishedUNet,
  "compact": segmenter_net.Segmenter,
}
_TRUNK_SIDE = 128  # smaller pictures are enlarged to this side for the trunk
_NETS = ("gb", "gf", "disc", "estimator", "seg")
_LIMITS = {
  "nets.residuals": (0, limits.INF),
  "nets.prior": (0, limits.INF),
  "nets.*": (1, limits.INF),
  "codes.*": (1, limits.INF),
  "w_*": (0, limits.INF),
  "min_area": (0, 1),
  "augment.recompose": (0, 1),
  "augment.scale": (0.01, 100),
  "turn.*": (0, limits.INF),
  "schedule.*": (0, limits.INF),
}
_LENGTHS = {
  "nets.seg_widths": 3,
  "augment.colour": 4,
  "augment.*": 2,
  "schedule.*": 2,
}


def _check(c) -> None:
  """Refuse a config that would fail late or train something unintended."""
  limits.check_numbers(c, _LIMITS)
  limits.check_lengths(c, _LENGTHS)
  limits.check_names("ema_nets", c.ema_nets, _NETS)
  for name in ("area_early", "area_late"):
    limits.check_order(f"schedule.{name}", c.schedule[name])
  for name, value, allowed in (
    ("perturbation", c.perturbation, sorted(perturb.PRESETS)),
    ("adversarial", c.adversarial, ["hinge", "ns"]),
    ("nets.seg_kind", c.nets.seg_kind, [*sorted(_SEGMENTERS), "trunk"]),
  ):
    if value not in allowed:
      raise ValueError(
        f"{name} is {value!r}, but must be one of {', '.join(allowed)}."
        f"{settings.suggestion(str(value), allowed)}"
      )
  if c.codes.groups < 1 or c.codes.private % c.codes.groups:
    raise ValueError(
      f"codes.private is {c.codes.private}, but must be a multiple of "
      f"codes.groups, {c.codes.groups}."
    )
  if c.bg_seg_every < 1:
    raise ValueError(f"bg_seg_every is {c.bg_seg_every}, but must be 1 or more")
  if c.turn.gan and c.turn.seg < 1:
    raise ValueError(
      f"turn.seg is {c.turn.seg}, but must be at least 1 if turn.gan is not 0."
    )
