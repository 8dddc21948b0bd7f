"""Clips made from stills with instance masks, on the device, as RGMP's.

A clip is a stack of up to three layers, each a still that moves: a background,
the object, something that passes in front. Because every motion is a formula,
so are the optical flow and what stays visible.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from foregan_jax.layers import composite, ranges, warp
from foregan_jax.synthesis import (
  guidance,
  optics,
  presets,
  staging,
  trajectories,
)

# For `settings.build(Synthesis, {"size": .., "clip_len": .., **preset})`.
PRESETS = presets.PRESETS
VOID = 255
_NUM_IDS = 256
_OPAQUE = 0.5  # a layer that covers more of a pixel owns it


@struct.dataclass
class Clip:
  """A labelled clip; frame 0 is the reference.

  Attributes:
    video: [b t h w 3] in [-1, 1].
    mask: [b t h w 1] the object as far as it is seen, in [0, 1], soft at its
      border.
    weight: [b t h w 1] 0 where nobody knows the label (void, or beyond the
      picture that the object is part of), else 1; all 0 without an object.
    guidance: [b h w 1] what stands for the previous prediction when frame 1
      is segmented, in [0, 1].
    flow_fwd: [b t-1 h w 2] exact flow to the next frame, pixels of this one;
      None where the motion is not ours.
    visible: [b t-1 h w 1] 1 where the next frame still shows that pixel,
      inside the frame and behind nothing nearer; None likewise.
  """

  video: Any
  mask: Any
  weight: Any
  guidance: Any
  flow_fwd: Any = None
  visible: Any = None


@struct.dataclass
class _Layer:
  """One layer of all frames.

  Attributes:
    on_still: [b t h w 2] the point of its still that each pixel shows.
    image: [b t h w 3] in [-1, 1].
    alpha: [b t h w 1] how much it covers, in [0, 1].
    flow: [b t-1 h w 2] its own motion.
  """

  on_still: Any
  image: Any
  alpha: Any
  flow: Any


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """Turns a batch of stills into a batch of clips.

  Other samples of the batch lend backgrounds and what passes in front; a
  batch of one borrows its own picture, mirrored.

  Attributes:
    size: (h, w) of the frames. Stills are scaled to cover them; they should
      not be much larger, for nothing averages.
    clip_len: frames of a clip, at least 2.
    min_area: share of the picture that an instance must cover to be chosen.
    several: probability that all instances together are the object.
    optics: colours, blur and noise.
    staging: who moves how.
    guidance: how a true mask becomes a predicted one.
    guidance_frame: the frame whose mask that is: 0, the one before the first
      that is segmented, or 1, that one itself (RGMP).
  """

  size: tuple[int, int]
  clip_len: int
  min_area: float
  several: float
  optics: optics.Optics
  staging: staging.Staging
  guidance: guidance.Deformation
  guidance_frame: int

  def __post_init__(self):
    if self.clip_len < 2:
      raise ValueError(f"clip_len is {self.clip_len}, it must be at least 2")
    if self.guidance_frame not in (0, 1):
      raise ValueError(f"guidance_frame is {self.guidance_frame}, not 0 or 1")

  def __call__(
    self,
    key: PRNGKeyArray,
    image: UInt8[Array, "b H W 3"],
    labels: UInt8[Array, "b H W 1"],
    behind: Float[Array, "b H W 3"] | None = None,
  ) -> Clip:
    """Make one clip of each still.

    Args:
      key: decides everything; batches of equal content become equal clips.
      image: stills, RGB.
      labels: 0 background, 1.. instances, 255 void.
      behind: what cut-out objects move over, in [-1, 1]; the stills of other
        samples if it is not given, with the objects that they show.
    """
    key_object, key_still, key_stage, key_film, key_guide = jax.random.split(
      key, 5
    )
    mask = choose(key_object, labels, self.min_area, self.several)(labels)
    still = self.optics.develop(key_still, ranges.image_to_float(image))
    stage = self.staging.draw(key_stage, mask, self.size, self.clip_len)
    figure = jnp.concatenate([still, mask], axis=-1)
    others = staging.lend(figure, 1)
    if behind is not None:
      # One light for both: what is cut out should not stand out by it.
      behind = self.optics.develop(key_still, behind)
      others = jnp.concatenate([behind, jnp.zeros_like(mask)], axis=-1)
    layers = self._layers(figure, others, stage)
    video, owner, flow = _compose(layers, stage.cut_out)

    # What is cut out is labelled by its own outline; a whole picture is
    # labelled where its labels say so.
    _, figure, *nearer = layers
    known = trajectories.inside(figure.on_still, labels.shape[1:3])
    known &= ~_void(labels, figure.on_still)
    known |= stage.cut_out[:, None, None, None, None]
    seen = figure.alpha
    for layer in nearer:
      seen = seen * (1.0 - layer.alpha)
      known |= layer.alpha > _OPAQUE
    known &= (mask > 0).any((1, 2, 3))[:, None, None, None, None]

    return Clip(
      video=self.optics.film(key_film, video),
      mask=seen,
      weight=known.astype(jnp.float32),
      guidance=self.guidance(key_guide, seen[:, self.guidance_frame]),
      flow_fwd=flow,
      visible=_visible(owner, flow).astype(jnp.float32),
    )

  def _layers(
    self, figure: jax.Array, others: jax.Array, stage: staging.Stage
  ) -> list[_Layer]:
    """Read pictures with their masks where they move; the furthest first."""
    cut_out = stage.cut_out[:, None, None, None]
    behind = jnp.where(cut_out, others, figure)
    seen = (figure[..., 3:] > 0).any((1, 2, 3))
    layers = [
      _layer(behind, stage.background, self.size, seen, endless=True),
      _layer(figure, stage.object, self.size, seen),
    ]
    if stage.occluder is not None:
      passer = staging.lend(figure, -1)
      layers.append(_layer(passer, stage.occluder, self.size, stage.occluded))
    return layers


@struct.dataclass
class Choice:
  """Which object each sample is about.

  Attributes:
    instance: [b] its id.
    everything: [b] bool; all instances together are the object.
  """

  instance: Any
  everything: Any

  def __call__(
    self, labels: UInt8[Array, "b *t h w 1"]
  ) -> Float[Array, "b *t h w 1"]:
    """Return 1 where the object is, 0 elsewhere and where it is void."""
    each = lambda x: x.reshape(-1, *(1,) * (labels.ndim - 1))
    is_instance = (labels > 0) & (labels < VOID)
    hit = each(self.everything) | (labels == each(self.instance))
    return (is_instance & hit).astype(jnp.float32)


def choose(
  key: PRNGKeyArray,
  labels: UInt8[Array, "b h w 1"],
  min_area: float,
  several: float,
) -> Choice:
  """Choose the object of each sample.

  Args:
    key: of the choice.
    labels: 0 background, 1.. instances, 255 void.
    min_area: instances that cover this share of the picture are equally
      likely; if none does, it is the largest.
    several: probability that all instances together are the object.
  """
  b, size = len(labels), labels[0].size
  key_one, key_all = jax.random.split(key)
  count = jax.vmap(lambda ids: jnp.zeros(_NUM_IDS).at[ids].add(1.0))
  area = count(labels.reshape(b, -1)).at[:, jnp.array([0, VOID])].set(0.0)
  # Above any area, so that a large instance is chosen before the largest.
  lot = size * (1.0 + jax.random.uniform(key_one, area.shape))
  large = (area >= min_area * size) & (area > 0)
  instance = jnp.argmax(jnp.where(large, lot, area), axis=1)
  everything = jax.random.bernoulli(key_all, several, (b,))
  return Choice(instance.astype(labels.dtype), everything)


def student_sample(clip: Clip) -> dict[str, Array]:
  """Return a clip of the preset "student" under that recipe's names.

  `target_mask` is the deformed guidance, not the label: `labels`, uint8
  [b h w 1], is 1 where the object is in the target, 255 where nobody knows.
  """
  hit = (clip.mask[:, 1] > _OPAQUE).astype(jnp.uint8)
  return {
    "image": clip.video[:, 0],
    "mask": clip.mask[:, 0],
    "target_image": clip.video[:, 1],
    "target_mask": clip.guidance,
    "labels": jnp.where(clip.weight[:, 1] > 0, hit, jnp.uint8(VOID)),
  }


def _layer(
  figure: jax.Array,
  path: trajectories.Trajectory,
  size: tuple[int, int],
  present: jax.Array,
  endless: bool = False,
) -> _Layer:
  """Read a picture with its mask [b H W 4] where it moves.

  Args:
    figure: see above.
    path: of the picture.
    size: (h, w) of the frames.
    present: [b] which samples have this layer.
    endless: the picture goes on beyond its border, mirrored like any scenery;
      a repeated border would draw stripes that no camera sees.
  """
  still = figure.shape[1:3]
  on_still = path.on_still(size)
  xy = trajectories.reflect(on_still, still) if endless else on_still
  b, t, h, w, _ = xy.shape
  # Time goes into the rows: one read, and no copy of the still per frame.
  read = lambda: warp.sample(
    figure, xy.reshape(b, t * h, w, 2), outside="border"
  ).reshape(b, t, h, w, 4)
  # What a branch returns lies in memory. Without one XLA would read anew for
  # all that is done with the result, which on CPU takes ten times longer.
  zero = lambda: jnp.zeros((b, t, h, w, 4), figure.dtype)
  read = jax.lax.cond(present.any(), read, zero)
  inside = trajectories.inside(on_still, still)
  inside &= present[:, None, None, None, None]
  alpha = jnp.where(inside, read[..., 3:], 0.0)
  return _Layer(on_still, read[..., :3], alpha, path.flow(on_still))


def _compose(
  layers: list[_Layer], cut_out: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Lay the layers over each other, the furthest first.

  Returns:
    The frames, which layer owns each pixel (0 is the furthest), and its flow.
  """
  video, flow = layers[0].image, layers[0].flow
  owner = jnp.zeros(video.shape[:-1], jnp.int8)[..., None]
  for depth, layer in enumerate(layers[1:], start=1):
    video = composite.alpha(layer.image, video, layer.alpha)
    opaque = layer.alpha > _OPAQUE
    if depth == 1:
      # Part of its picture, an object uncovers nothing.
      opaque &= cut_out[:, None, None, None, None]
    owner = jnp.where(opaque, jnp.int8(depth), owner)
    flow = jnp.where(opaque[:, :-1], layer.flow, flow)
  return video, owner, flow


def _visible(owner: jax.Array, flow: jax.Array) -> jax.Array:
  b, n, h, w, _ = flow.shape
  xy = warp.pixel_grid(h, w)[None, None] + flow
  later = owner[:, 1:].reshape(b * n, h, w, 1)
  there = _nearest(later, xy.reshape(b * n, h, w, 2)).reshape(b, n, h, w, 1)
  return trajectories.inside(xy, (h, w)) & (there <= owner[:, :-1])


def _void(labels: jax.Array, xy: jax.Array) -> jax.Array:
  """Tell where stills are void at the points [b t h w 2]."""
  b, t, h, w, _ = xy.shape
  # Time goes into the rows: no copy of the still per frame.
  void = _nearest(labels == VOID, xy.reshape(b, t * h, w, 2))
  return void.reshape(b, t, h, w, 1)


def _nearest(image: jax.Array, xy: jax.Array) -> jax.Array:
  """Read the pixels [b H W 1] nearest to the points [b h w 2]."""
  x, y = (
    jnp.clip(jnp.round(xy[..., i]), 0, n - 1).astype(jnp.int32)
    for i, n in enumerate(image.shape[2:0:-1])
  )
  read = lambda im, i, j: im.at[i, j].get(mode="promise_in_bounds")
  return jax.vmap(read)(image, y, x)
