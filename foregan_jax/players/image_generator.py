"""The layered image generator: draws pictures that consist of two layers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from foregan_jax import game
from foregan_jax.layers import composite, perturb
from foregan_jax.losses import adversarial, information, segmentation
from foregan_jax.nets import rollout

# Below this share of object pixels a sample has no object worth speaking of.
_EMPTY_AREA = 0.03


@struct.dataclass
class Codes:
  """What a batch of pictures is drawn from.

  Attributes:
    public: [b, z], N(0, I).
    private: [b] index of the private code.
    superclass: [b] index of the group that the private code belongs to.
  """

  public: Any
  private: Any
  superclass: Any


@dataclasses.dataclass(frozen=True)
class Layers:
  """Both generators and how their codes are drawn (sec. 2 of the paper).

  Attributes:
    gb: background generator.
    gf: foreground generator.
    public: length of the public code.
    private: number of private codes.
    groups: number of superclasses; must divide `private`.
  """

  gb: nn.Module
  gf: nn.Module
  public: int
  private: int
  groups: int

  def draw(self, key: PRNGKeyArray, count: int) -> Codes:
    """Draws the codes of `count` pictures."""
    key_public, key_private = jax.random.split(key)
    private = jax.random.randint(key_private, (count,), 0, self.private)
    return Codes(
      public=jax.random.normal(key_public, (count, self.public)),
      private=private,
      superclass=private // (self.private // self.groups),
    )

  def __call__(self, params, codes: Codes) -> rollout.Layers:
    """Returns the layers [b, h, w, c] and their plain composition."""
    superclass = jax.nn.one_hot(codes.superclass, self.groups)
    private = jax.nn.one_hot(codes.private, self.private)
    bg = self.gb.apply({"params": params["gb"]}, codes.public)
    made = self.gf.apply(
      {"params": params["gf"]}, codes.public, superclass, private
    )
    frame = composite.alpha(made.image, bg, made.mask)
    return rollout.Layers(frame, made.image, bg, made.mask)

  def init(self, key: PRNGKeyArray) -> dict[str, Any]:
    """Returns fresh parameters of both nets."""
    key_bg, key_fg = jax.random.split(key)
    spec = lambda n: jax.ShapeDtypeStruct((2, n), jnp.float32)
    codes = spec(self.public), spec(self.groups), spec(self.private)
    return {
      "gb": self.gb.lazy_init(key_bg, codes[0])["params"],
      "gf": self.gf.lazy_init(key_fg, *codes)["params"],
    }


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of the generator's terms; 0 switches a term off."""

  adv: float
  info: float  # the private code can be read from picture and mask
  binary: float  # min(m, 1 - m)
  bg_seg: float  # the frozen segmenter finds no object in backgrounds
  area: float  # hinge on the mask's area; not in the paper
  leak: float  # layer independence (ILSGAN)


@dataclasses.dataclass(frozen=True)
class Schedule:
  """What changes with the step.

  Attributes:
    bg_seg_start: step at which the segmenter's word begins to count: the end
      of the first round.
    bg_seg_ramp: steps over which its weight grows linearly to full.
    area_early: band of the mask's area, outside of which that term begins.
    area_late: the band it narrows to. Early on, a foreground that may not draw
      the whole object leaves it to the background for good.
    area_start: step at which it begins to narrow.
    area_ramp: steps over which it does so.
    leak_early: share of the leakage's weight at first (ILSGAN: 0.2).
    leak_late: step from which it has all of its weight.
  """

  bg_seg_start: int
  bg_seg_ramp: int
  area_early: tuple[float, float]
  area_late: tuple[float, float]
  area_start: int
  area_ramp: int
  leak_early: float
  leak_late: int

  def bg_seg(self, step: jax.Array) -> jax.Array:
    """Returns the share in [0, 1] of the segmenter's weight at `step`."""
    ramp = max(self.bg_seg_ramp, 1)
    return jnp.clip((step - self.bg_seg_start) / ramp, 0.0, 1.0)

  def area_band(self, step: jax.Array) -> jax.Array:
    """Returns the lower and the upper bound of the area at `step`."""
    share = (step - self.area_start) / max(self.area_ramp, 1)
    early, late = jnp.array(self.area_early), jnp.array(self.area_late)
    return early + jnp.clip(share, 0.0, 1.0) * (late - early)

  def leak(self, step: jax.Array) -> jax.Array:
    """Returns the share of the leakage's weight at `step`."""
    return jnp.where(step < self.leak_late, self.leak_early, 1.0)


@dataclasses.dataclass(frozen=True)
class ImageGenerator:
  """Moves `gb` and `gf`; offers its pictures to everybody after it.

  Offers `fake`, what the discriminator sees (perturbed), with `mask` and
  `codes`; and `clip`, the plain pictures as videos of one frame, for the
  segmenter.

  Attributes:
    bg_seg_every: one background in so many is shown to the segmenter.
  """

  layers: Layers
  disc: nn.Module
  estimator: nn.Module
  seg: nn.Module
  perturbation: perturb.Perturbation
  weights: Weights
  schedule: Schedule
  bg_seg_every: int
  adversarial: str
  name: str = "generator"
  trains: tuple[str, ...] = ("gb", "gf")
  plays_averaged: bool = True

  def play(self, params, variables, batch: game.Batch, key) -> dict[str, Any]:
    """Draws pictures without moving."""
    del variables
    return self._offers(*self._draw(params, batch, key))

  def loss(self, params, variables, batch: game.Batch, key):
    """L_G = adv + info + binary + bg_seg (algorithm 1, line 4), and our terms.

    The code terms are errors, to be minimised: eq. 5 prints likelihoods.
    """
    del variables
    made, fake, codes = self._draw(params, batch, key)
    says = self.disc.apply({"params": params["disc"]}, fake)
    guess = self.estimator.apply({"params": params["estimator"]}, made.mask)
    info_image = information.code_error(says.code, codes.private)
    info_mask = information.code_error(guess, codes.superclass)
    terms = {
      "adv": adversarial.generator(says.real, kind=self.adversarial),
      "info": info_image + info_mask,
      "binary": jnp.minimum(made.mask, 1 - made.mask).mean(),
    }
    terms |= self._added(params, made, batch["step"], key)
    weights = dataclasses.asdict(self.weights)
    total = sum(weights[name] * value for name, value in terms.items())
    metrics = {**terms, "info_image": info_image, "info_mask": info_mask}
    metrics |= _watch(made.mask)
    offers = self._offers(made, fake, codes)
    return total, game.Made(metrics, offers=offers)

  def _draw(self, params, batch, key):
    """Returns the layers, the perturbed composition, and the codes."""
    key_codes, key_move = jax.random.split(jax.random.fold_in(key, 0))
    count = batch["image"].shape[0]
    codes = self.layers.draw(key_codes, count)
    made = self.layers(params, codes)
    theta = self.perturbation.draw(key_move, count)
    # Image and mask move together, so they are read together.
    moved = perturb.apply(theta, jnp.concatenate([made.fg, made.mask], -1))
    fake = composite.alpha(moved[..., :3], made.bg, moved[..., 3:])
    return made, fake, codes

  def _offers(self, made, fake, codes) -> dict[str, Any]:
    clip = jax.tree.map(lambda x: x[:, None], made)
    return {"clip": clip, "fake": fake, "mask": made.mask, "codes": codes}

  def _added(self, params, made, step, key) -> dict[str, Any]:
    """Terms that are off where their weight is 0."""
    w, terms = self.weights, {}
    if w.bg_seg:
      # Computed in the first round too, where it does not count: a `cond` would
      # make it much dearer in the others (on CPU; BUILD_NOTES 19).
      some = made.bg[:: self.bg_seg_every]
      logits = self.seg.apply({"params": params["seg"]}, some)
      share = self.schedule.bg_seg(step)
      terms["bg_seg"] = share * segmentation.background(logits)
    if w.area:
      area = made.mask.mean((1, 2, 3))
      low, high = self.schedule.area_band(step)
      terms["area"] = (
        jax.nn.relu(low - area) + jax.nn.relu(area - high)
      ).mean()
    if w.leak:
      bound = information.leakage(
        jax.random.fold_in(key, 1), made.fg, made.bg, made.mask
      )
      terms["leak"] = self.schedule.leak(step) * bound
    return terms


def _watch(mask: Float[Array, "b h w 1"]) -> dict[str, jax.Array]:
  """Signs of a degenerate solution (all foreground, all background, haze)."""
  area = (mask > 0.5).mean((1, 2, 3))
  return {
    "mask_mean": mask.mean(),
    "mask_area_spread": area.std(),
    "mask_empty_share": (area < _EMPTY_AREA).mean(),
    "mask_haze": ((mask > 0.1) & (mask < 0.9)).mean(),
  }
