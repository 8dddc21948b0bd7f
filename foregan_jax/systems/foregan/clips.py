"""The labelled clips from which the flagship's propagator learns.

Three kinds, mixed by weights; only the third needs annotated data beside the
videos' first masks:
- `rollouts`: the generator's composed frames with its masks, an offer that
  costs nothing extra;
- `cut_outs`: objects cut from the real first frames by their masks, moved over
  backgrounds that the generator has freed of objects;
- `stills`: pictures with instance masks, as RGMP makes clips of them.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from foregan_jax import game
from foregan_jax.layers import ranges
from foregan_jax.synthesis import filming, pseudo_video, staging

_OBJECT = 0.5  # what is covered more than this belongs to the object


@dataclasses.dataclass(frozen=True)
class Rollouts:
  """The generator's clips as if a camera had filmed them.

  Attributes:
    filming: cuts a window out of them.
  """

  filming: filming.Filming

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Returns b clips of the offer `clip`: its first frame and later ones."""
    key_times, key_film = jax.random.split(key)
    frame, mask = batch["clip"].frame, batch["clip"].mask
    # Frames are left out at random, so that things also move far at once.
    later = 1 + jax.random.permutation(key_times, frame.shape[1] - 1)
    later = jnp.sort(later[: self.filming.clip_len - 1])
    times = jnp.concatenate([jnp.zeros(1, later.dtype), later])
    labels = (mask[:, times] > _OBJECT).astype(jnp.uint8)
    video = ranges.image_to_uint8(frame[:, times])
    return self.filming(key_film, video, labels)


@dataclasses.dataclass(frozen=True)
class CutOuts:
  """Real objects over generated backgrounds, half of them of other videos.

  A batch of one has no other videos; it lends itself its own, mirrored.

  Attributes:
    synthesis: moves both.
  """

  synthesis: pseudo_video.Synthesis

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Returns b clips of first frames, their masks and the offer `clip`."""
    key_time, key_whose, key_clip = jax.random.split(key, 3)
    bg = batch["clip"].bg
    b, t = bg.shape[:2]
    # The first background is not drawn, only filled.
    time = jax.random.randint(key_time, (b, 1, 1, 1, 1), 1, t)
    own = jnp.take_along_axis(bg, time, axis=1)[:, 0]
    lent = jax.random.bernoulli(key_whose, 0.5, (b, 1, 1, 1))
    behind = jnp.where(lent, staging.lend(own, 1), own)
    labels = ranges.mask_to_float(batch["ref_mask"]) > _OBJECT
    first = batch["video"][:, 0]
    return self.synthesis(key_clip, first, labels.astype(jnp.uint8), behind)


@dataclasses.dataclass(frozen=True)
class Stills:
  """Clips of annotated stills, a stream of the batch by itself.

  Attributes:
    synthesis: moves them.
  """

  synthesis: pseudo_video.Synthesis

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Returns b clips of `stills`."""
    stills = batch["stills"]
    return self.synthesis(key, stills["image"], stills["labels"])


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Clips of several kinds.

  Attributes:
    kinds: what makes b clips of (key, batch), each kind with its weight > 0.
    times: every sample of the batch gives so many clips.
  """

  kinds: tuple[tuple[Callable, float], ...]
  times: int

  def __call__(self, key, batch: game.Batch) -> pseudo_video.Clip:
    """Returns `times` b clips, of each kind as many as its weight says."""
    key_which, *keys = jax.random.split(key, 1 + len(self.kinds))
    again = lambda x: jnp.concatenate([x] * self.times) if x.ndim else x
    batch = jax.tree.map(again, dict(batch))
    made = [
      make(key, batch) for key, (make, _) in zip(keys, self.kinds, strict=True)
    ]
    # Flow and visibility are not known of every kind, and nobody asks.
    made = [clip.replace(flow_fwd=None, visible=None) for clip in made]
    which = self._draw(key_which, len(made[0].video))

    def pick(*options):
      shape = (-1, *(1,) * (options[0].ndim - 1))
      chosen = options[0]
      for i, option in enumerate(options[1:], start=1):
        chosen = jnp.where((which == i).reshape(shape), option, chosen)
      return chosen

    return jax.tree.map(pick, *made)

  def _draw(self, key, count: int) -> jax.Array:
    """Returns the kind of each clip [count], spread evenly over the kinds."""
    weights = jnp.array([weight for _, weight in self.kinds])
    bounds = jnp.cumsum(weights / weights.sum())[:-1]
    key_offset, key_order = jax.random.split(key)
    # One offset for all: as many of a kind as its weight says, or one more.
    places = (jnp.arange(count) + jax.random.uniform(key_offset)) / count
    places = jax.random.permutation(key_order, places)
    return jnp.searchsorted(bounds, places)
