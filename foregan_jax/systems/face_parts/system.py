"""A segmenter of eyes, brows, inner mouth and lips, and two classifiers.

Nets: `parts` (four independent soft masks), and with `expressions` also
`expr_masks` (expressions from these masks) and `expr_images` (expressions from
pictures). Frozen net: `trunk` (EfficientNet-Lite0). Players: `parts`,
`expressions`.

The other systems of faces need these masks; the classifiers filter faces.
Source of the task: MarcisTU/thesis_work. Its segmenter was never published.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from foregan_jax import game, tasks
from foregan_jax.layers import face_boxes, face_jitter, ranges
from foregan_jax.nets import (
  efficientnet,
  part_segmenter,
  picture_classifier,
)
from foregan_jax.players import expressions as expressions_player
from foregan_jax.players import face_parts as parts_player
from foregan_jax.runtime import limits, platform, settings

_PARTS, _OF_MASKS, _OF_IMAGES = "parts", "expr_masks", "expr_images"


@dataclasses.dataclass(frozen=True)
class FaceParts:
  """The system; all fields are static.

  Attributes:
    segment: applies the segmenter.
    size: side of the faces.
    classifies: whether it has the classifiers.
    expressions_start: the classifiers train from this step on.
  """

  segment: part_segmenter.OnTrunk
  nets: dict[str, nn.Module]
  frozen: dict[str, game.FrozenNet]
  players: tuple[game.Player, ...]
  size: int
  classifies: bool
  expressions_start: int
  name: str = "face_parts"
  task: str = tasks.FACE_PARTS
  best: game.Metric = game.Metric("iou")

  heads = ("parts",)

  @property
  def checkpoint_items(self) -> dict[str, tuple[str, ...]]:
    """See `game.System`."""
    items: dict[str, tuple[str, ...]] = {"parts": (_PARTS,)}
    if self.classifies:
      items["expressions"] = (_OF_MASKS, _OF_IMAGES)
    return items

  def batch_spec(self, batch_size: int) -> dict[str, Any]:
    """See `game.System`."""
    array = lambda *shape: jax.ShapeDtypeStruct((batch_size, *shape), jnp.uint8)
    image = array(self.size, self.size, 3)
    masks = array(self.size, self.size, len(face_boxes.PARTS))
    spec = {"faces": {"image": image, "parts": masks}}
    if self.classifies:
      spec["labelled"] = {"image": image, "label": array()}
    return spec

  def init(self, key):
    """See `game.System`."""
    keys = jax.random.split(key, 3)
    square = (self.size, self.size)
    collections = self.segment.init(keys[0], square)
    params = {_PARTS: collections["params"]}
    if self.classifies:
      for net, channels, key in (
        (_OF_MASKS, len(face_boxes.PARTS), keys[1]),
        (_OF_IMAGES, 3, keys[2]),
      ):
        x = jax.ShapeDtypeStruct((1, *square, channels), jnp.float32)
        params[net] = self.nets[net].lazy_init(key, x)["params"]
    return params, {}

  def turn(self, step: int) -> tuple[str, ...]:
    """See `game.System`: the classifier of masks waits for useful masks."""
    if self.classifies and step >= self.expressions_start:
      return ("parts", "expressions")
    return ("parts",)

  def predict_parts(
    self, nets: game.Nets, image: UInt8[Array, "b s s 3"]
  ) -> Float[Array, "b s s 4"]:
    """See `tasks.FacePartsSystem`."""
    return jax.nn.sigmoid(self.segment(nets, ranges.image_to_float(image)))

  def classify(
    self,
    nets: game.Nets,
    image: UInt8[Array, "b s s 3"],
    parts: Float[Array, "b s s 4"],
  ) -> dict[str, jax.Array]:
    """See `tasks.FacePartsSystem`."""
    image = ranges.image_to_float(image)
    masks = self.nets[_OF_MASKS].apply(nets[_OF_MASKS], parts)
    images = self.nets[_OF_IMAGES].apply(nets[_OF_IMAGES], image)
    return {"masks": jax.nn.softmax(masks), "images": jax.nn.softmax(images)}

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return soft masks [b, s, s, 4] of a training batch, by head."""
    return {"parts": self.predict_parts(nets, batch["faces"]["image"])}


def from_config(c) -> FaceParts:
  """Build the system of a config (configs/face_parts.py has the keys).

  Raises:
    ValueError: for an unknown value, or sizes that do not fit.
  """
  _check(c)
  dtype = platform.dtype(c.dtype)
  n = c.nets
  decoder = part_segmenter.PartDecoder(
    len(face_boxes.PARTS), tuple(n.widths), dtype
  )
  trunk = efficientnet.build(n.trunk, dtype)
  segment = part_segmenter.OnTrunk(decoder, trunk, _PARTS)
  nets: dict[str, nn.Module] = {_PARTS: decoder}
  jitter = settings.build(face_jitter.FaceJitter, c.jitter.to_dict())
  players: list[game.Player] = [
    parts_player.FaceParts(segment, jitter, c.balance, c.iou_weight)
  ]
  if c.expressions:
    for net in (_OF_MASKS, _OF_IMAGES):
      nets[net] = picture_classifier.PictureClassifier(
        tasks.NUM_EMOTIONS, n.classifier_width, dtype=dtype
      )
    players.append(
      expressions_player.Expressions(
        segment=segment,
        of_masks=nets[_OF_MASKS],
        of_images=nets[_OF_IMAGES],
        jitter=jitter,
      )
    )
  return FaceParts(
    segment=segment,
    nets=nets,
    frozen={"trunk": game.FrozenNet(*efficientnet.frozen(n.trunk))},
    players=tuple(players),
    size=c.data.face_size,
    classifies=c.expressions,
    expressions_start=c.expressions_start,
  )


_LIMITS = {
  "nets.*": (1, limits.INF),
  "balance": (1, limits.INF),
  "iou_weight": (0, limits.INF),
  "expressions_start": (0, limits.INF),
  "jitter.scale": (0.01, 100),
}
_LENGTHS = {"nets.widths": 5, "jitter.colour": 4, "jitter.*": 2}


def _check(c) -> None:
  """Refuse a config that would fail late."""
  limits.check_numbers(c, _LIMITS)
  limits.check_lengths(c, _LENGTHS)
  limits.check_order("jitter.scale", c.jitter.scale)
  allowed = (_PARTS, *([_OF_MASKS, _OF_IMAGES] if c.expressions else []))
  limits.check_names("ema_nets", c.ema_nets, allowed)
  if c.data.samples != "faces":
    raise ValueError(
      f"data.samples is {c.data.samples!r}, but face_parts trains on faces."
    )
  if c.data.face_size % part_segmenter.STRIDE:
    raise ValueError(
      f"data.face_size is {c.data.face_size}, but must be a multiple of "
      f"{part_segmenter.STRIDE}."
    )
