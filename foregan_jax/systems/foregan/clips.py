"""The labelled clips that train the propagator of `foregan`.

Kinds, mixed by weights. Only `instances` needs annotations other than the first
masks of the videos:
- `rollouts`: the generator's composed frames with its masks, already computed
  as the offer `clip`;
- `cut_outs`: objects cut out of the real first frames by their masks, moved
  over backgrounds of the generator, which contain no object;
- `instances`: stills with instance masks, made into clips as RGMP does.

Where the frames are larger than the layers (`heads.times`), all clips of
propagator and segmenter are `FirstFrames`: pictures of the generator would be
blurred.
"""

import dataclasses

import jax
import jax.numpy as jnp

from foregan_jax import game
from foregan_jax.layers import plate, ranges, sizes
from foregan_jax.synthesis import filming, pseudo_video, staging

_THRESHOLD = 0.5  # of a soft mask


@dataclasses.dataclass(frozen=True)
class Rollouts:
  """The generator's clips, cropped by a moving camera window.

  Attributes:
    filming: moves the camera window.
  """

  filming: filming.Filming

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Return b clips of the offer `clip`: its first frame and later ones."""
    key_times, key_film = jax.random.split(key)
    frame, mask = batch["clip"].frame, batch["clip"].mask
    # Leave out frames at random, so that some motions are large.
    later = 1 + jax.random.permutation(key_times, frame.shape[1] - 1)
    later = jnp.sort(later[: self.filming.clip_len - 1])
    times = jnp.concatenate([jnp.zeros(1, later.dtype), later])
    labels = (mask[:, times] > _THRESHOLD).astype(jnp.uint8)
    video = ranges.image_to_uint8(frame[:, times])
    return self.filming(key_film, video, labels)


@dataclasses.dataclass(frozen=True)
class CutOuts:
  """Real objects over generated backgrounds, half of them of other videos.

  A batch of one uses its own background, mirrored, as the other one.

  Attributes:
    synthesis: moves objects and backgrounds.
  """

  synthesis: pseudo_video.Synthesis

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Return b clips of first frames, their masks and the offer `clip`."""
    key_time, key_other, key_clip = jax.random.split(key, 3)
    bg = batch["clip"].bg
    b, t = bg.shape[:2]
    # Background 0 is a filled frame, not a generated one: start at 1.
    time = jax.random.randint(key_time, (b, 1, 1, 1, 1), 1, t)
    own = jnp.take_along_axis(bg, time, axis=1)[:, 0]
    use_other = jax.random.bernoulli(key_other, 0.5, (b, 1, 1, 1))
    background = jnp.where(use_other, staging.roll_batch(own, 1), own)
    labels = ranges.mask_to_float(batch["ref_mask"]) > _THRESHOLD
    first = batch["video"][:, 0]
    return self.synthesis(key_clip, first, labels.astype(jnp.uint8), background)


@dataclasses.dataclass(frozen=True)
class FirstFrames:
  """Real first frames that move, some as a whole, some with cut-out objects.

  A cut-out object moves over its own or another video's first frame. The
  generator's background fills the hole of the object there.

  Attributes:
    synthesis: moves objects, frames and backgrounds.
    times: how many times larger the frames are than the layers.
  """

  synthesis: pseudo_video.Synthesis
  times: int

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Return b clips of first frames, their masks and the offer `clip`."""
    key_other, key_clip = jax.random.split(key)
    first, mask = batch["video"][:, 0], ranges.mask_to_float(batch["ref_mask"])
    # Background 0 is filled row by row; 1 is the first generated one.
    drawn = sizes.enlarge(batch["clip"].bg[:, 1], self.times)
    image = ranges.image_to_float(first)
    filled = jnp.where(plate.hole(mask) > 0, drawn, image)
    use_other = jax.random.bernoulli(key_other, 0.5, (len(filled), 1, 1, 1))
    other = staging.roll_batch(filled, 1)
    labels = (mask > _THRESHOLD).astype(jnp.uint8)
    return self.synthesis(
      key_clip, first, labels, jnp.where(use_other, other, filled)
    )


@dataclasses.dataclass(frozen=True)
class Instances:
  """Clips of annotated stills, from the stream `instances` of the batch.

  Attributes:
    synthesis: moves the objects.
  """

  synthesis: pseudo_video.Synthesis

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Return b clips."""
    stills = batch["instances"]
    return self.synthesis(key, stills["image"], stills["labels"])
