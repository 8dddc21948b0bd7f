"""Filmed clips with masks, made ready for a propagator on the device."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, UInt8

from foregan_jax.layers import ranges, warp
from foregan_jax.synthesis import guidance, optics, pseudo_video, trajectories


@dataclasses.dataclass(frozen=True)
class Filming:
  """Cuts one window out of all frames of a clip, around the object.

  Attributes:
    size: (h, w) of the window.
    clip_len: frames of a clip.
    min_area: share of frame 0 that an object must cover to be chosen.
    several: probability that all objects together are the object.
    mirror: probability that a clip is mirrored.
    window: turn, size, slope and shift of the window; the same in all frames,
      whose own motion is real. Shifts are shares of the window.
    optics: colours, blur and noise.
    guidance: how the true mask of frame 0 becomes a predicted one.
  """

  size: tuple[int, int]
  clip_len: int
  min_area: float
  several: float
  mirror: float
  window: trajectories.Spread
  optics: optics.Optics
  guidance: guidance.Deformation

  def __call__(
    self,
    key: PRNGKeyArray,
    video: UInt8[Array, "b t H W 3"],
    labels: UInt8[Array, "b t H W 1"],
  ) -> pseudo_video.Clip:
    """Return the clips; flow and visibility are unknown (None).

    Args:
      key: of all draws.
      video: RGB.
      labels: 0 background, 1.. objects, 255 void.
    """
    key_object, key_window, key_still, key_film, key_guide = jax.random.split(
      key, 5
    )
    chosen = pseudo_video.choose(
      key_object, labels[:, 0], self.min_area, self.several
    )
    mask = chosen(labels)
    void = (labels == pseudo_video.VOID).astype(jnp.float32)
    frames = ranges.image_to_float(video)
    seen = jnp.concatenate([frames, mask, void], axis=-1)
    xy = self._window(key_window, mask[:, 0])
    read = _sample(seen, trajectories.reflect(xy, video.shape[2:4]))
    # Beyond the frames the picture goes on mirrored, but not the object.
    here = trajectories.inside(xy, video.shape[2:4])[:, None]
    mask = jnp.where(here, read[..., 3:4], 0.0)
    frames = self.optics.develop(key_still, read[..., :3])
    known = here & (read[..., 4:] == 0.0)  # no share of it is void
    # What the reference does not show cannot be followed.
    known &= (mask[:, :1] > 0).any((1, 2, 3, 4), keepdims=True)
    return pseudo_video.Clip(
      video=self.optics.film(key_film, frames),
      mask=mask,
      weight=known.astype(jnp.float32),
      guidance=self.guidance(key_guide, mask[:, 0]),
    )

  def _window(self, key: PRNGKeyArray, mask: jax.Array) -> jax.Array:
    """Returns where each pixel of the window lies on the frames [b h w 2]."""
    key_pose, key_side = jax.random.split(key)
    b = len(mask)
    frame = jnp.array([self.size[::-1]], jnp.float32)
    pose = self.window.draw(key_pose, (b,))
    theta = trajectories.about(
      trajectories.linear(pose),
      trajectories.box(mask)[0],
      (frame - 1) / 2 + pose[:, 3:] * frame,
    )
    mirrored = jax.random.bernoulli(key_side, self.mirror, (b, 1, 1))
    other = trajectories.mirror(theta, self.size[1])
    theta = jnp.where(mirrored, other, theta)
    grid = warp.pixel_grid(*self.size)[None]
    return trajectories.move(trajectories.inverse(theta), grid)


def _sample(video: jax.Array, xy: jax.Array) -> jax.Array:
  """Reads all frames [b t H W c] at the same points [b h w 2]."""
  b, t, *shape = video.shape
  xy = jnp.repeat(xy, t, axis=0)
  read = warp.sample(video.reshape(b * t, *shape), xy, outside="border")
  return read.reshape(b, t, *read.shape[1:])


# For RGMP's second stage; its own ranges are unknown, these are ours.
RECOMMENDED = {
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
