"""The layered image generator: pictures made of two layers, and its loss."""

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
from foregan_jax.runtime import mesh as mesh_lib

# Samples with a smaller fraction of object pixels count as empty.
_EMPTY_AREA = 0.03


class Codes(struct.PyTreeNode):
  """The codes of a batch of pictures.

  Attributes:
    public: [b, z], N(0, I).
    private: [b] index of the private code.
    superclass: [b] index of the group of the private code.
  """

  public: Any
  private: Any
  superclass: Any


@dataclasses.dataclass(frozen=True)
class Layers:
  """Both generators and the distribution of their codes (paper, sec. 2).

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
    """Draw the codes of `count` pictures."""
    key_public, key_private = jax.random.split(key)
    private = jax.random.randint(key_private, (count,), 0, self.private)
    return Codes(
      public=jax.random.normal(key_public, (count, self.public)),
      private=private,
      superclass=private // (self.private // self.groups),
    )

  def __call__(self, nets, codes: Codes) -> rollout.Layers:
    """Return the layers [b, h, w, c] and their plain composition."""
    superclass = jax.nn.one_hot(codes.superclass, self.groups)
    private = jax.nn.one_hot(codes.private, self.private)
    bg = self.gb.apply(nets["gb"], codes.public)
    made = self.gf.apply(nets["gf"], codes.public, superclass, private)
    frame = composite.alpha(made.image, bg, made.mask)
    return rollout.Layers(frame, made.image, bg, made.mask)

  def init(self, key: PRNGKeyArray) -> dict[str, Any]:
    """Return fresh parameters of both nets."""
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
  info: float  # the private code is predictable from picture and mask
  binary: float  # min(m, 1 - m)
  bg_seg: float  # the frozen segmenter finds no object in backgrounds
  area: float  # hinge on the mask's area; not in the paper
  leak: float  # layer independence (ILSGAN)


@dataclasses.dataclass(frozen=True)
class Schedule:
  """Values that change with the step.

  Attributes:
    bg_seg_start: first step with a non-zero weight of `bg_seg`: the end of the
      first round.
    bg_seg_ramp: steps over which this weight grows linearly to its full value.
    area_early: allowed range of the mask's area at first; the loss is 0 in it.
    area_late: allowed range at the end. A narrow range from the start keeps
      the foreground from drawing the whole object; then the background draws
      it, and this does not change later.
    area_start: step at which the range begins to narrow.
    area_ramp: steps over which it narrows.
    leak_early: factor of the weight of `leak` at first (ILSGAN: 0.2).
    leak_late: first step with the full weight of `leak`.
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
    """Return the factor in [0, 1] of the weight of `bg_seg` at `step`."""
    ramp = max(self.bg_seg_ramp, 1)
    return jnp.clip((step - self.bg_seg_start) / ramp, 0.0, 1.0)

  def area_band(self, step: jax.Array) -> jax.Array:
    """Return the lower and the upper bound of the area at `step`."""
    progress = (step - self.area_start) / max(self.area_ramp, 1)
    early, late = jnp.array(self.area_early), jnp.array(self.area_late)
    return early + jnp.clip(progress, 0.0, 1.0) * (late - early)

  def leak(self, step: jax.Array) -> jax.Array:
    """Return the factor of the weight of `leak` at `step`."""
    return jnp.where(step < self.leak_late, self.leak_early, 1.0)


@dataclasses.dataclass(frozen=True)
class ImageGenerator:
  """Trains `gb` and `gf`; offers its pictures to the later players.

  Offers `fake` (the perturbed pictures, input of the discriminator), `mask`,
  `codes`, and `clip` (the plain pictures as videos of one frame, for the
  segmenter).

  Attributes:
    segment: applies the segmenter; `nets.segmenter.Plain` or `OnTrunk`.
    bg_seg_every: `bg_seg` uses every n-th background of the batch.
  """

  layers: Layers
  disc: nn.Module
  estimator: nn.Module
  segment: Any
  perturbation: perturb.Perturbation
  weights: Weights
  schedule: Schedule
  bg_seg_every: int
  adversarial: str
  name: str = "generator"
  trains: tuple[str, ...] = ("gb", "gf")
  forward_averaged: bool = True

  def forward(self, nets: game.Nets, batch: game.Batch, key) -> dict[str, Any]:
    """Return generated pictures as offers."""
    return self._offers(*self._draw(nets, batch, key))

  def loss(self, nets: game.Nets, batch: game.Batch, key):
    """Return L_G = adv + info + binary + bg_seg, and our terms.

    The code terms are errors, to be minimised; eq. 5 prints likelihoods.
    Source: algorithm 1, line 4.
    """
    made, fake, codes = self._draw(nets, batch, key)
    scores = self.disc.apply(nets["disc"], fake)
    guess = self.estimator.apply(nets["estimator"], made.mask)
    info_image = information.code_error(scores.code, codes.private)
    info_mask = information.code_error(guess, codes.superclass)
    terms = {
      "adv": adversarial.generator(scores.real, kind=self.adversarial),
      "info": info_image + info_mask,
      "binary": jnp.minimum(made.mask, 1 - made.mask).mean(),
    }
    terms |= self._added(nets, made, batch["step"], key)
    weights = dataclasses.asdict(self.weights)
    total = sum(weights[name] * value for name, value in terms.items())
    metrics = {**terms, "info_image": info_image, "info_mask": info_mask}
    metrics |= _mask_statistics(made.mask)
    offers = self._offers(made, fake, codes)
    return total, game.Made(metrics, offers=offers)

  def _draw(self, nets, batch, key):
    """Return the layers, the perturbed composition and the codes."""
    key_codes, key_move = jax.random.split(jax.random.fold_in(key, 0))
    count = batch["image"].shape[0]
    codes, theta = mesh_lib.split_rows(
      (
        self.layers.draw(key_codes, count),
        self.perturbation.draw(key_move, count),
      )
    )
    made = self.layers(nets, codes)
    # One call, because image and mask move together.
    moved = perturb.apply(theta, jnp.concatenate([made.fg, made.mask], -1))
    fake = composite.alpha(moved[..., :3], made.bg, moved[..., 3:])
    return made, fake, codes

  def _offers(self, made, fake, codes) -> dict[str, Any]:
    clip = jax.tree.map(lambda x: x[:, None], made)
    return {"clip": clip, "fake": fake, "mask": made.mask, "codes": codes}

  def _added(self, nets, made, step, key) -> dict[str, Any]:
    """Return the terms with a schedule; skip terms of weight 0."""
    w, terms = self.weights, {}
    if w.bg_seg:
      # Also computed in the first round, where its weight is 0: a `cond` makes
      # it much slower in the other rounds (on CPU; BUILD_NOTES 19).
      logits = self.segment(nets, made.bg[:: self.bg_seg_every])
      factor = self.schedule.bg_seg(step)
      terms["bg_seg"] = factor * segmentation.background(logits)
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


def _mask_statistics(mask: Float[Array, "b h w 1"]) -> dict[str, jax.Array]:
  """Return signs of degenerate masks (all foreground, none, haze)."""
  area = (mask > 0.5).mean((1, 2, 3))
  return {
    "mask_mean": mask.mean(),
    "mask_area_spread": area.std(),
    "mask_empty_share": (area < _EMPTY_AREA).mean(),
    "mask_haze": ((mask > 0.1) & (mask < 0.9)).mean(),
  }
