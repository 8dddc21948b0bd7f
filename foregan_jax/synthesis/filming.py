"""Augmentation of annotated videos into training clips of a propagator."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, UInt8

from foregan_jax.layers import ranges, warp
from foregan_jax.synthesis import guidance, optics, pseudo_video, trajectories


@dataclasses.dataclass(frozen=True)
class Filming:
  """A random crop of a video around the object, the same in all frames.

  Attributes:
    size: (h, w) of the crop.
    clip_len: number of frames of a clip.
    min_area: minimum area of the chosen object in frame 0, as a share of the
      frame.
    several: probability that the first mask contains all objects.
    mirror: probability that a clip is mirrored.
    window: rotation, scale, shear and shift of the crop. They are the same in
      all frames, because the frames have real motion. Shifts are shares of the
      crop.
    optics: changes of colours, blur and noise.
    guidance: simulation of a predicted mask from the true mask of the frame
      before frame 1.
    min_pixels: an object that frame 0 shows on so many pixels or less does not
      count; a clip without any object has weight 0.
    objects: number of objects.
  """

  size: tuple[int, int]
  clip_len: int
  min_area: float
  several: float
  mirror: float
  window: trajectories.Spread
  optics: optics.Optics
  guidance: guidance.Deformation
  min_pixels: float = 0.0
  objects: int = 1

  def __call__(
    self,
    key: PRNGKeyArray,
    video: UInt8[Array, "b t H W 3"],
    labels: UInt8[Array, "b t H W 1"],
    prev_labels: UInt8[Array, "b H W 1"] | None = None,
  ) -> pseudo_video.Clip:
    """Return the clips; their flow and visibility are unknown (None).

    Args:
      key: random key.
      video: RGB frames.
      labels: 0 background, 1.. objects, 255 void.
      prev_labels: of the frame before frame 1; None: that is frame 0.
    """
    key_object, key_window, key_still, key_frames, key_guidance = (
      jax.random.split(key, 5)
    )
    choice = pseudo_video.choose_objects(
      key_object, labels[:, 0], self.min_area, self.several, self.objects
    )
    masks = choice(labels)
    void = (labels == pseudo_video.VOID).astype(jnp.float32)
    frames = ranges.image_to_float(video)
    channels = jnp.concatenate([frames, masks, void], axis=-1)
    prev_masks = None if prev_labels is None else choice(prev_labels)
    # One crop for all frames, so that the object moves as in the video. It must
    # show the first object in a distant reference and in the targets.
    anchored = masks[:, 0, ..., :1]
    if prev_masks is not None:
      anchored = jnp.maximum(anchored, prev_masks[..., :1])
    xy = self._window(key_window, anchored)
    reflected = trajectories.reflect(xy, video.shape[2:4])
    crop = _sample(channels, reflected)
    # Outside the frames the image is mirrored, but the object is not.
    inside = trajectories.inside(xy, video.shape[2:4])[:, None]
    masks = jnp.where(inside, crop[..., 3:-1], 0.0)
    frames = self.optics.change_stills(key_still, crop[..., :3])
    known = inside & (crop[..., -1:] == 0.0)  # no neighbouring pixel is void
    # A propagator cannot segment an object that the reference does not show.
    area = masks[:, :1].sum((1, 2, 3), keepdims=True)
    shown = area > self.min_pixels
    known &= shown.any(-1, keepdims=True)
    masks = jnp.where(shown, masks, 0.0)
    if prev_masks is None:
      prev_masks = masks[:, 0]
    else:
      prev_masks = _sample(prev_masks[:, None], reflected)[:, 0]
      prev_masks = jnp.where(inside[:, 0] & shown[:, 0], prev_masks, 0.0)
    return pseudo_video.Clip(
      video=self.optics.change_frames(key_frames, frames),
      mask=masks,
      weight=known.astype(jnp.float32),
      guidance=self.guidance(key_guidance, prev_masks),
    )

  def _window(self, key: PRNGKeyArray, mask: jax.Array) -> jax.Array:
    """Return the frame coordinates [b h w 2] of each pixel of the crop."""
    key_pose, key_mirror = jax.random.split(key)
    b = len(mask)
    frame = jnp.array([self.size[::-1]], jnp.float32)
    pose = self.window.draw(key_pose, (b,))
    theta = trajectories.affine_map(
      trajectories.linear_map(pose),
      trajectories.box(mask)[0],
      (frame - 1) / 2 + pose[:, 3:] * frame,
    )
    mirrored = jax.random.bernoulli(key_mirror, self.mirror, (b, 1, 1))
    mirror_theta = trajectories.mirror(theta, self.size[1])
    theta = jnp.where(mirrored, mirror_theta, theta)
    grid = warp.pixel_grid(*self.size)[None]
    return trajectories.transform(trajectories.inverse(theta), grid)


def _sample(video: jax.Array, xy: jax.Array) -> jax.Array:
  """Sample all frames [b t H W c] at the same points [b h w 2]."""
  b, t, *shape = video.shape
  xy = jnp.repeat(xy, t, axis=0)
  crop = warp.sample(video.reshape(b * t, *shape), xy, outside="border")
  return crop.reshape(b, t, *crop.shape[1:])


# For RGMP's second stage. The paper does not give its ranges; these are ours.
RECOMMENDED: dict[str, Any] = {
  "min_area": 0.002, "several": 0.1, "mirror": 0.5,
  "window": {"degrees": 15.0, "scale": (0.8, 1.3), "shear": 0.17,
             "shift": 0.15},
  "optics": {
    "still": {"brightness": 0.1, "contrast": 0.05, "saturation": 0.05,
              "hue": 0.05},
    "grey": 0.05,
    "frame": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0,
              "hue": 0.0},
    "drift": 0.0, "blur": 0.0, "noise": 0.0,
  },
  "guidance": {**pseudo_video.PRESETS["video"]["guidance"]},
}  # fmt: skip
