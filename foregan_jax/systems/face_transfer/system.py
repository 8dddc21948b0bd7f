"""Translation of facial expressions by a CycleGAN on regions of the face.

CycleGAN (Zhu et al., ICCV 2017) between unpaired faces of two emotions, `a`
and `b`. Nets: `g_ab`, `g_ba` (generators), `d_a`, `d_b` (critics), each of them
once per region, with stacked parameters; `cls`, a classifier of whole faces for
the evaluation. Players, in the order they move: generators, critics,
classifier.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from foregan_jax import game, tasks
from foregan_jax.layers import face_boxes, face_paste, face_regions, ranges
from foregan_jax.losses import adversarial
from foregan_jax.nets import (
  cycle_gan,
  cycle_gan_wgan,
  per_region,
  picture_classifier,
)
from foregan_jax.players import (
  domain_classifier,
  face_critics,
  face_generators,
)
from foregan_jax.runtime import platform
from foregan_jax.systems.face_transfer import checks

_CHANNELS = 3
_PARTS = len(face_boxes.PARTS)


@dataclasses.dataclass(frozen=True)
class FaceTransfer:
  """The system; all fields are static.

  Attributes:
    cut: cuts the regions.
    size: side of the faces, pixels.
    source: the emotion of faces `a`.
    target: the emotion of faces `b`.
    alpha: how regions are pasted, one of `face_paste.ALPHAS`.
    grow: how far the parts of each region grow, see `face_paste.make_alpha`.
    blend: whether a region is pasted itself (`replace`) or its change is added
      (`add`), see `face_paste`.
    ring_match: whether to match the brightness of regions before.
    generators_every: the generators move at every n-th step and the critics at
      the others; 0: both move at every step.
  """

  stacked: dict[str, per_region.PerRegion]
  classifier: nn.Module
  players: tuple[game.Player, ...]
  cut: face_regions.Regions
  size: int
  source: str
  target: str
  alpha: str
  grow: dict[str, float]
  blend: str
  ring_match: bool
  generators_every: int
  name: str = "face_transfer"
  task: str = tasks.FACE_EDITS
  # A classifier is too easily fooled to choose a checkpoint.
  best: game.Metric | None = None

  frozen = {}
  heads = tasks.DIRECTIONS
  checkpoint_items = {
    "generators": ("g_ab", "g_ba"),
    "critics": ("d_a", "d_b"),
    "classifier": ("cls",),
  }

  @property
  def nets(self) -> dict[str, nn.Module]:
    """See `game.System`."""
    nets = {name: stacked.net for name, stacked in self.stacked.items()}
    return nets | {"cls": self.classifier}

  @property
  def regions(self) -> tuple[str, ...]:
    """See `tasks.FaceEditSystem`."""
    return self.cut.names

  def batch_spec(self, batch_size: int) -> dict[str, Any]:
    """See `game.System`."""
    shape = (batch_size, self.size, self.size)
    face = {
      "image": jax.ShapeDtypeStruct((*shape, _CHANNELS), jnp.uint8),
      "parts": jax.ShapeDtypeStruct((*shape, _PARTS), jnp.uint8),
    }
    return {"a": face, "b": dict(face)}

  def init(self, key):
    """See `game.System`."""
    picture = lambda side: jax.ShapeDtypeStruct(
      (1, side, side, _CHANNELS), jnp.float32
    )
    params = {}
    for i, (name, stacked) in enumerate(self.stacked.items()):
      own = jax.random.fold_in(key, i)
      params[name] = stacked.init(own, picture(self.cut.size))["params"]
    own = jax.random.fold_in(key, len(params))
    collections = self.classifier.lazy_init(own, picture(self.size))
    return params | {"cls": collections["params"]}, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`."""
    if not self.generators_every:
      return ("generators", "critics", "classifier")
    moves = step % self.generators_every == 0
    return ("generators" if moves else "critics", "classifier")

  def edit(
    self,
    nets: game.Nets,
    image: jax.Array,
    parts: jax.Array,
    direction: str,
  ) -> dict[str, jax.Array]:
    """See `tasks.FaceEditSystem`.

    Raises:
      ValueError: for another direction.
    """
    if direction not in tasks.DIRECTIONS:
      raise ValueError(
        f"direction is {direction!r}, but must be one of "
        f"{', '.join(tasks.DIRECTIONS)}"
      )
    crops = self.cut(image, parts)
    net = f"g_{direction}"
    raw = self.stacked[net].apply(nets[net], crops.image)
    face = ranges.image_to_float(image)
    pasted, alphas = [], []
    for i, region in enumerate(self.regions):
      alpha = face_paste.make_alpha(
        self.alpha,
        grow=self.grow[region],
        mask=face_boxes.region_masks(parts, region),
        box=crops.box[i],
        roi=raw[i],
      )
      new = raw[i]
      if self.ring_match and alpha.shape[-1] == 1:
        ring = face_paste.ring(alpha)
        new = face_paste.ring_match(new, crops.image[i], ring)
      before = crops.image[i] if self.blend == "add" else None
      face = face_paste.paste_back(face, new, crops.box[i], alpha, before)
      pasted.append(new)
      alphas.append(alpha)
    return {
      "image": face, "regions": jnp.stack(pasted), "alphas": jnp.stack(alphas),
      "boxes": crops.box, "raw": raw, "crops": crops.image,
    }  # fmt: skip

  def classify(self, nets: game.Nets, image: jax.Array) -> jax.Array:
    """See `tasks.FaceEditSystem`."""
    if image.dtype == jnp.uint8:
      image = ranges.image_to_float(image)
    logits = self.classifier.apply(nets["cls"], image)
    return jax.nn.softmax(logits)[:, 1]

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, jax.Array]:
    """See `tasks.FaceEditSystem`."""
    return {
      direction: (self.edit(nets, **batch[domain], direction=direction)["image"]
                  + 1.0) / 2.0
      for direction, domain in zip(tasks.DIRECTIONS, ("a", "b"), strict=True)
    }  # fmt: skip

  def benchmarks(self) -> dict[str, Callable]:
    """See `tasks.HasBenchmarks`: the edit of a batch of faces."""

    def edit(nets, batch, key):
      del key
      return self.edit(nets, **batch["a"], direction="ab")

    return {"edit": edit}


def from_config(c) -> FaceTransfer:
  """Build the system of a config (configs/face_transfer.py has all keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  checks.check(c)
  n, dtype = c.nets, platform.dtype(c.dtype)
  wasserstein = n.kind == "wgan_gp"
  per = lambda net: per_region.PerRegion(
    net, len(c.regions), platform.unroll(c.scan_unroll)
  )
  if wasserstein:
    generate = per(
      cycle_gan_wgan.Generator(_CHANNELS, n.width, n.residual, dtype)
    )
    critic = per(cycle_gan_wgan.Critic(n.critic_width, dtype))
  else:
    generate = per(
      cycle_gan.Generator(
        _CHANNELS, n.width, n.blocks, n.upsample, n.residual, dtype
      )
    )
    critic = per(cycle_gan.Discriminator(n.critic_width, n.critic_depth, dtype))
  classifier = picture_classifier.PictureClassifier(
    2, n.classifier_width, dtype=dtype
  )
  cut = face_regions.Regions(tuple(c.regions), **c.crops)
  return FaceTransfer(
    stacked={"g_ab": generate, "g_ba": generate, "d_a": critic, "d_b": critic},
    classifier=classifier,
    players=(
      *_game(c, generate, critic, cut),
      domain_classifier.DomainClassifier(classifier, tuple(c.colour)),
    ),
    cut=cut,
    size=c.data.face_size,
    source=c.data.source,
    target=c.data.target,
    alpha=c.paste.alpha,
    grow=dict(c.paste.grow),
    blend=c.paste.blend,
    ring_match=c.paste.ring_match,
    generators_every=c.critics.generators_every if wasserstein else 0,
  )


def _game(c, generate, critic, cut) -> tuple[game.Player, ...]:
  """Return the players of the generators and of the critics."""
  k = c.critics
  critics: game.Player
  if c.nets.kind == "wgan_gp":
    score = cycle_gan_wgan.NoisyCritic(critic, k.noise, k.noise_steps)
    critics = face_critics.WassersteinCritics(score, k.penalty)
    loss = adversarial.wasserstein_generator
  else:
    score = lambda collections, x, step, key: critic.apply(collections, x)
    shape = (len(cut.names), cut.size, cut.size, _CHANNELS)
    critics = face_critics.PooledCritics(score, shape, k.pool)
    loss = adversarial.least_squares_generator
  generators = face_generators.FaceGenerators(
    generate, score, loss, cut, face_generators.Weights(**c.w_generator)
  )
  return generators, critics
