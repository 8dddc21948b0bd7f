"""Clips synthesised on the device from stills with instance masks, as in RGMP.

A clip is a composite of up to three layers, each a still that moves: the
background, the object and an occluder. The motion is a formula, so optical flow
and visibility are exact.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt8

from foregan_jax.layers import composite, ranges, warp
from foregan_jax.synthesis import (
  guidance,
  optics,
  presets,
  trajectories,
)
from foregan_jax.synthesis import staging as staging_lib

# For `settings.build(Synthesis, {"size": .., "clip_len": .., **preset})`.
PRESETS = presets.PRESETS
VOID = 255
_NUM_IDS = 256
_OPAQUE = 0.5  # a layer owns the pixels at which its alpha is larger


class Clip(struct.PyTreeNode):
  """An annotated clip; frame 0 is the reference.

  Attributes:
    video: [b t h w 3] in [-1, 1].
    mask: [b t h w n] visible part of each object, in [0, 1], soft at its
      border; all 0 where there are fewer than n objects.
    weight: [b t h w 1] 0 where the label is unknown (void, or outside the image
      that the object belongs to), else 1; all 0 if there is no object.
    guidance: [b h w n] simulated previous masks for frame 1, in [0, 1].
    flow_fwd: [b t-1 h w 2] exact flow to the next frame, in pixels of this
      frame; None if the motion is unknown.
    visible: [b t-1 h w 1] 1 where the pixel is also visible in the next frame:
      inside the frame and not occluded; None if the motion is unknown.
  """

  video: Any
  mask: Any
  weight: Any
  guidance: Any
  flow_fwd: Any = None
  visible: Any = None


class _Layer(struct.PyTreeNode):
  """One layer in all frames.

  Attributes:
    still_coords: [b t h w 2] coordinates on the layer's still of each pixel.
    image: [b t h w 3] in [-1, 1].
    masks: [b t h w n] masks of the objects on the still.
    flow: [b t-1 h w 2] flow of the layer.
  """

  still_coords: Any
  image: Any
  masks: Any
  flow: Any

  @property
  def alpha(self) -> jax.Array:
    """Return the opacity [b t h w 1]: the mask of the first object."""
    return self.masks[..., :1]


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """A synthesis of clips from stills.

  Backgrounds and occluders come from other samples of the batch. With batch
  size 1 they come from the mirrored image of the sample itself.

  Attributes:
    size: (h, w) of the frames. Stills are scaled to cover them. They should not
      be much larger, because scaling does not average pixels.
    clip_len: number of frames of a clip, at least 2.
    min_area: minimum area of the chosen instance, as a share of the image.
    several: probability that all instances together are the first object.
    optics: changes of colours, blur and noise.
    staging: motion of object, background and occluder.
    guidance: simulation of a predicted mask from a true mask.
    guidance_frame: index of the frame whose mask becomes the guidance: 0, the
      frame before the first segmented frame, or 1, that frame itself (RGMP).
    objects: number of objects. If the first one is cut out, the others are
      those of the background.
  """

  size: tuple[int, int]
  clip_len: int
  min_area: float
  several: float
  optics: optics.Optics
  staging: staging_lib.Staging
  guidance: guidance.Deformation
  guidance_frame: int
  objects: int = 1

  def __post_init__(self):
    if self.clip_len < 2:
      raise ValueError(f"clip_len is {self.clip_len}, but must be at least 2")
    if self.guidance_frame not in (0, 1):
      raise ValueError(
        f"guidance_frame is {self.guidance_frame}, but must be 0 or 1"
      )

  def __call__(
    self,
    key: PRNGKeyArray,
    image: UInt8[Array, "b H W 3"],
    labels: UInt8[Array, "b H W 1"],
    background: Float[Array, "b H W 3"] | None = None,
    cut_out: Bool[Array, " b"] | None = None,
  ) -> Clip:
    """Return one clip per still.

    Args:
      key: random key; equal keys and batches yield equal clips.
      image: RGB stills.
      labels: 0 background, 1.. instances, 255 void.
      background: backgrounds of cut-out objects, in [-1, 1]; None: the stills
        of other samples, including their objects.
      cut_out: whether each object is cut out; None: at random, with the
        probability `staging.cut_out`.
    """
    key_object, key_still, key_motion, key_frames, key_guidance = (
      jax.random.split(key, 5)
    )
    choice = choose_objects(
      key_object, labels, self.min_area, self.several, self.objects
    )
    masks = choice(labels)
    still = self.optics.change_stills(key_still, ranges.image_to_float(image))
    motion = self.staging.draw(
      key_motion, masks[..., :1], self.size, self.clip_len, cut_out
    )
    image_masks = jnp.concatenate([still, masks], axis=-1)
    background_masks = staging_lib.roll_batch(image_masks, 1)
    background_labels = staging_lib.roll_batch(labels, 1)
    if background is not None:
      # The same key, so the object and its background get the same colours. A
      # difference in colours would reveal the object.
      background = self.optics.change_stills(key_still, background)
      no_masks = jnp.zeros_like(masks)
      background_masks = jnp.concatenate([background, no_masks], axis=-1)
      background_labels = jnp.zeros_like(labels)
    layers = self._build_layers(image_masks, background_masks, motion)
    video, owner, flow = _compose(layers, motion.cut_out)
    visible_masks, uncovered = _visible_masks(layers, motion.cut_out)

    # A label is known only inside its image and where it is not void. The alpha
    # of a cut-out object is its exact label everywhere.
    per_clip = lambda x: x[:, None, None, None, None]
    cut_out = per_clip(motion.cut_out)
    behind, object_layer, *_ = layers
    coords = behind.still_coords
    below = jnp.where(cut_out[:, 0], background_labels, labels)
    known = trajectories.inside(coords, labels.shape[1:3])
    known &= ~_void_at(below, coords)
    if self.objects == 1:
      known |= cut_out
    else:
      known |= cut_out & (object_layer.alpha > _OPAQUE)
    known |= uncovered < 1.0 - _OPAQUE
    known &= per_clip((masks > 0).any((1, 2, 3)))
    guidance_masks = visible_masks[:, self.guidance_frame]

    return Clip(
      video=self.optics.change_frames(key_frames, video),
      mask=visible_masks,
      weight=known.astype(jnp.float32),
      guidance=self.guidance(key_guidance, guidance_masks),
      flow_fwd=flow,
      visible=_visible(owner, flow).astype(jnp.float32),
    )

  def _build_layers(
    self,
    image_masks: jax.Array,
    background_masks: jax.Array,
    motion: staging_lib.SampledMotion,
  ) -> list[_Layer]:
    """Return the layers, background first, from images with masks."""
    cut_out = motion.cut_out[:, None, None, None]
    background_masks = jnp.where(cut_out, background_masks, image_masks)
    has_object = (image_masks[..., 3:] > 0).any((1, 2, 3))
    layers = [
      _layer(
        background_masks,
        motion.background,
        self.size,
        has_object,
        mirror_border=True,
      ),
      _layer(image_masks, motion.object, self.size, has_object),
    ]
    if motion.occluder is not None:
      occluder_masks = staging_lib.roll_batch(image_masks, -1)
      layers.append(
        _layer(occluder_masks, motion.occluder, self.size, motion.has_occluder)
      )
    return layers


class ObjectChoice(struct.PyTreeNode):
  """The chosen objects of each sample.

  Attributes:
    instances: [b n] ids of the chosen instances; 0 if there are fewer.
    use_all: [b] bool; True if all instances together are the first object.
  """

  instances: Any
  use_all: Any

  def __call__(
    self, labels: UInt8[Array, "b *t h w 1"]
  ) -> Float[Array, "b *t h w n"]:
    """Return the masks of the objects, 0 or 1; void is 0."""
    per_sample = lambda x: x.reshape(-1, *(1,) * (labels.ndim - 2), x.shape[-1])
    is_instance = (labels > 0) & (labels < VOID)
    chosen = labels == per_sample(self.instances)
    is_first = jnp.arange(self.instances.shape[1]) == 0
    use_all = per_sample(self.use_all[:, None])
    chosen = jnp.where(use_all, is_first, chosen)
    return (is_instance & chosen).astype(jnp.float32)


def choose_objects(
  key: PRNGKeyArray,
  labels: UInt8[Array, "b h w 1"],
  min_area: float,
  several: float,
  objects: int = 1,
) -> ObjectChoice:
  """Choose the objects of each sample at random.

  Args:
    key: random key.
    labels: 0 background, 1.. instances, 255 void.
    min_area: minimum area, as a share of the image. Instances of at least this
      area are equally likely; smaller ones follow by their size.
    several: probability that all instances together are the first object.
    objects: number of objects.
  """
  b, size = len(labels), labels[0].size
  key_one, key_all = jax.random.split(key)
  count = jax.vmap(lambda ids: jnp.zeros(_NUM_IDS).at[ids].add(1.0))
  area = count(labels.reshape(b, -1)).at[:, jnp.array([0, VOID])].set(0.0)
  # Scores are above any area, so large instances win over all others.
  score = size * (1.0 + jax.random.uniform(key_one, area.shape))
  large = (area >= min_area * size) & (area > 0)
  score, instances = jax.lax.top_k(jnp.where(large, score, area), objects)
  instances = jnp.where(score > 0, instances, 0).astype(labels.dtype)
  use_all = jax.random.bernoulli(key_all, several, (b,))
  return ObjectChoice(instances, use_all)


def student_sample(clip: Clip) -> dict[str, Array]:
  """Return a clip of the preset "student" as a dict, with its recipe's names.

  `target_mask` is the deformed guidance, not the label. `labels`, uint8
  [b h w 1], are those of the target: 1 object, 0 background, 255 unknown.
  """
  target = (clip.mask[:, 1] > _OPAQUE).astype(jnp.uint8)
  return {
    "image": clip.video[:, 0],
    "mask": clip.mask[:, 0],
    "target_image": clip.video[:, 1],
    "target_mask": clip.guidance,
    "labels": jnp.where(clip.weight[:, 1] > 0, target, jnp.uint8(VOID)),
  }


def _layer(
  image_masks: jax.Array,
  trajectory: trajectories.Trajectory,
  size: tuple[int, int],
  present: jax.Array,
  mirror_border: bool = False,
) -> _Layer:
  """Return the layer of a moving image.

  Args:
    image_masks: [b H W 3 + n] image and masks.
    trajectory: motion of the image.
    size: (h, w) of the frames.
    present: [b] bool; whether a sample has this layer.
    mirror_border: whether the image continues mirrored outside its border; a
      repeated border would add unnatural stripes.
  """
  still, channels = image_masks.shape[1:3], image_masks.shape[3]
  coords = trajectory.still_coords(size)
  xy = trajectories.reflect(coords, still) if mirror_border else coords
  b, t, h, w, _ = xy.shape
  # Time is folded into the rows: one `sample`, and no copy of the still per
  # frame.
  sample = lambda: warp.sample(
    image_masks, xy.reshape(b, t * h, w, 2), outside="border"
  ).reshape(b, t, h, w, channels)
  # XLA stores the result of a branch in memory. Without `cond` it would sample
  # again for each use of the result, which takes ten times longer on CPU.
  zero = lambda: jnp.zeros((b, t, h, w, channels), image_masks.dtype)
  sampled = jax.lax.cond(present.any(), sample, zero)
  inside = trajectories.inside(coords, still)
  inside &= present[:, None, None, None, None]
  masks = jnp.where(inside, sampled[..., 3:], 0.0)
  return _Layer(coords, sampled[..., :3], masks, trajectory.flow(coords))


def _compose(
  layers: list[_Layer], cut_out: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Compose the layers, background first.

  Returns:
    The frames, the index of the layer that owns each pixel (0 is the
    background), and the flow of each pixel.
  """
  video, flow = layers[0].image, layers[0].flow
  owner = jnp.zeros(video.shape[:-1], jnp.int8)[..., None]
  for depth, layer in enumerate(layers[1:], start=1):
    video = composite.alpha(layer.image, video, layer.alpha)
    opaque = layer.alpha > _OPAQUE
    if depth == 1:
      # An object that is not cut out moves with its image, so it occludes and
      # uncovers nothing.
      opaque &= cut_out[:, None, None, None, None]
    owner = jnp.where(opaque, jnp.int8(depth), owner)
    flow = jnp.where(opaque[:, :-1], layer.flow, flow)
  return video, owner, flow


def _visible_masks(
  layers: list[_Layer], cut_out: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Return the visible parts of the objects, and what occluders leave free.

  Returns:
    Masks [b t h w n], and [b t h w 1] in [0, 1].
  """
  behind, object_layer, *occluders = layers
  uncovered = jnp.ones_like(behind.alpha)
  for layer in occluders:
    uncovered = uncovered * (1.0 - layer.alpha)
  free = uncovered * (1.0 - object_layer.alpha)
  others = jnp.where(
    cut_out[:, None, None, None, None],
    behind.masks[..., :-1] * free,
    object_layer.masks[..., 1:] * uncovered,
  )
  first = object_layer.alpha * uncovered
  return jnp.concatenate([first, others], axis=-1), uncovered


def _visible(owner: jax.Array, flow: jax.Array) -> jax.Array:
  """Return where pixels are still visible in the next frame, bool."""
  b, n, h, w, _ = flow.shape
  xy = warp.pixel_grid(h, w)[None, None] + flow
  next_owner = owner[:, 1:].reshape(b * n, h, w, 1)
  next_owner = _nearest(next_owner, xy.reshape(b * n, h, w, 2))
  not_occluded = next_owner.reshape(b, n, h, w, 1) <= owner[:, :-1]
  return trajectories.inside(xy, (h, w)) & not_occluded


def _void_at(labels: jax.Array, xy: jax.Array) -> jax.Array:
  """Return where the stills are void at the points [b t h w 2]."""
  b, t, h, w, _ = xy.shape
  # Time is folded into the rows: no copy of the still per frame.
  void = _nearest(labels == VOID, xy.reshape(b, t * h, w, 2))
  return void.reshape(b, t, h, w, 1)


def _nearest(image: jax.Array, xy: jax.Array) -> jax.Array:
  """Return the pixels of [b H W 1] that are nearest to points [b h w 2]."""
  x, y = (
    jnp.clip(jnp.round(xy[..., i]), 0, n - 1).astype(jnp.int32)
    for i, n in enumerate(image.shape[2:0:-1])
  )
  read = lambda im, i, j: im.at[i, j].get(mode="promise_in_bounds")
  return jax.vmap(read)(image, y, x)
