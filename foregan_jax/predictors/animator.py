"""Animation of pictures by the frames of a video, in memory."""

import dataclasses
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax import game, tasks
from foregan_jax.media import images
from foregan_jax.runtime import settings

BATCH = 8  # frames per call, if there are several
_WHITE = 255.0

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclasses.dataclass(frozen=True)
class Frames:
  """The results for t frames.

  Attributes:
    images: uint8 RGB [t, s, s, 3]: the source's object as in the frames.
    masks: float32 [t, s, s] in [0, 1]: soft masks that the images show.
    swapped: uint8 RGB [t, s, s, 3]: the object in front of the new background;
      None without one.
  """

  images: UInt8[np.ndarray, "t s s 3"]
  masks: Float[np.ndarray, "t s s"]
  swapped: UInt8[np.ndarray, "t s s 3"] | None


@dataclasses.dataclass(frozen=True)
class Scene:
  """What is animated, at the size of the networks.

  Attributes:
    source: uint8 RGB [s, s, 3].
    background: uint8 RGB [s, s, 3]; None: that of the source.
    hole: what is cut out of the background, one of `tasks.HOLES`.
  """

  source: Picture
  background: Picture | None = None
  hole: str = tasks.HOLES[0]


class Animator:
  """The networks of a `tasks.AnimationSystem`, compiled once.

  Attributes:
    size: side of the images, pixels.
  """

  def __init__(self, system: Any, nets: game.Nets, *, head: str = ""):
    """Put the networks on the device.

    Args:
      system: a `tasks.AnimationSystem`.
      nets: its networks.
      head: which images, one of `system.heads`; "": the first one.
    """
    self._system = system
    # Without frozen nets, which only losses read.
    params = {name: nets.params[name] for name in system.nets}
    self._nets = jax.device_put(game.Nets(params, nets.variables))
    self._head = head or system.heads[0]
    self._run = jax.jit(self._compute, static_argnames="hole")
    self.size = system.size

  def square(self, picture: np.ndarray, name: str) -> Picture:
    """Return the central square of a picture, at the size of the networks.

    Args:
      picture: uint8 RGB [h, w, 3].
      name: of the picture, for the error.

    Raises:
      ValueError: if it is no such array.
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,):
      raise ValueError(
        f"{name} is an array of {picture.dtype} with shape {picture.shape}, "
        "expected uint8 RGB [h, w, 3]"
      )
    return images.resize_image(
      images.crop_square(picture), (self.size, self.size)
    )

  def scene(
    self,
    source: np.ndarray,
    background: np.ndarray | None = None,
    hole: str = tasks.HOLES[0],
    *,
    names: tuple[str, str] = ("the source", "the background"),
  ) -> Scene:
    """Prepare the pictures of an animation.

    Args:
      source: uint8 RGB [h, w, 3].
      background: uint8 RGB [h, w, 3], at least of the networks' size.
      hole: what is cut out of the background, one of `tasks.HOLES`.
      names: of both pictures, for the errors.

    Raises:
      ValueError: if the background is too small, the model has no networks for
        it, or the hole is unknown.
    """
    source = self.square(source, names[0])
    if background is None:
      return Scene(source)
    if not self._system.swaps_backgrounds:
      raise ValueError(
        f"{names[1]} cannot be used: the run was trained without a background "
        "network"
      )
    if hole not in tasks.HOLES:
      raise ValueError(
        f"hole is {hole!r}, but must be one of {', '.join(tasks.HOLES)}"
        f"{settings.suggestion(hole, list(tasks.HOLES))}"
      )
    square = self.square(background, names[1])
    height, width = background.shape[:2]
    if min(height, width) < self.size:
      raise ValueError(
        f"{names[1]}: size is {width}x{height}, expected at least "
        f"{self.size}x{self.size}, the size of the animation"
      )
    return Scene(source, square, hole)

  def run(
    self,
    scene: Scene,
    driving: UInt8[np.ndarray, "t s s 3"],
    *,
    batch: int = BATCH,
  ) -> Frames:
    """Animate a scene by frames of the networks' size.

    Args:
      scene: from `scene`.
      driving: at most `batch` frames.
      batch: number of frames that are computed; each number is compiled once.
    """
    count = len(driving)
    filled = np.resize(driving, (batch, *driving.shape[1:]))
    repeat = lambda x: np.broadcast_to(x, filled.shape)
    background = scene.background
    made = self._run(
      self._nets,
      repeat(scene.source),
      filled,
      None if background is None else repeat(background),
      hole=scene.hole,
    )
    image, mask, swapped = jax.device_get(made)
    return Frames(
      images=image[:count],
      masks=np.stack([self._enlarge(x) for x in mask[:count]]),
      swapped=None if swapped is None else swapped[:count],
    )

  def _compute(self, nets, source, driving, background, *, hole: str):
    made = self._system.animate(nets, source, driving)
    image, mask = made[self._head], made["mask"]
    swapped = None
    if background is not None:
      swapped = self._system.swap_background(
        nets, background, image, mask, hole=hole
      )
      swapped = _to_uint8(swapped)
    return _to_uint8(image), mask, swapped

  def _enlarge(self, mask: np.ndarray) -> np.ndarray:
    soft = mask[..., 0].astype(np.float32)
    return cv2.resize(soft, (self.size, self.size))


def _to_uint8(image: jax.Array) -> jax.Array:
  """Convert images in [0, 1] to uint8."""
  level = jnp.round(image.astype(jnp.float32) * _WHITE)
  return jnp.clip(level, 0, _WHITE).astype(jnp.uint8)
