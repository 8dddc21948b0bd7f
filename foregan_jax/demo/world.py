"""The renderer of the demo data: a creature that moves through a scene.

The videos contain what is hard for a mask tracker: the camera moves, the
creature swings, reverses and is occluded, light and blur change, and flat
clutter moves too. Without these, warping the first mask by optical flow is
nearly perfect, and appearance adds no information.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.demo import actors, scenery

EXPOSURE = 1.25
OCCLUDER_WIDTH = (0.1, 0.32)  # in lengths of the creature
OCCLUDED_SHARE = 0.45  # share of videos that have occluders
_COARSE = 4  # pixels per sample of the light, which varies slowly
_CALM = 0.6  # pace of the creatures in calm videos
_GRAIN_SHIFT = 24  # pixels; range of the noise's random shift per frame
_HALF_COVERED = 127  # of 255; above it a pixel belongs to the layer


@dataclasses.dataclass(frozen=True)
class View:
  """One rendered frame.

  Attributes:
    frame: RGB.
    plate: The frame without the creatures but with their shadows, or None.
    labels: 0 background, 1.. the visible pixels of each creature.
  """

  frame: UInt8[np.ndarray, "h w 3"]
  plate: UInt8[np.ndarray, "h w 3"] | None
  labels: UInt8[np.ndarray, "h w"]


@dataclasses.dataclass(frozen=True)
class Camera:
  """Pan (ground pixels), zoom and roll (degrees) per frame."""

  pan: Float[np.ndarray, "t 2"]
  zoom: Float[np.ndarray, " t"]
  roll: Float[np.ndarray, " t"]

  def matrix(self, i: int, parallax: float) -> Float[np.ndarray, "2 3"]:
    """Return the matrix canvas -> screen of a layer at frame i."""
    h, w = scenery.FRAME
    zoom = self.zoom[i] ** parallax
    m = cv2.getRotationMatrix2D((0, 0), self.roll[i], zoom)
    centre = np.array([w, h]) / 2 + scenery.MARGIN[::-1]
    m[:, 2] = (w / 2, h / 2) - m[:, :2] @ (centre + parallax * self.pan[i])
    return m


def fix_camera(num_frames: int) -> Camera:
  """Return a camera that does not move."""
  still = np.zeros(num_frames)
  return Camera(np.zeros((num_frames, 2)), still + 1, still)


def sample_camera(rng: np.random.Generator, num_frames: int) -> Camera:
  """Sample a smooth camera motion: drift, sway, zoom and roll."""
  t = np.arange(num_frames) - num_frames / 2
  drift = rng.uniform(-1.5, 1.5) * t
  sway = rng.uniform(2, 9) * np.sin(
    rng.uniform(0.1, 0.35) * t + rng.uniform(0, 6)
  )
  lift = rng.uniform(1, 5) * np.sin(
    rng.uniform(0.1, 0.3) * t + rng.uniform(0, 6)
  )
  zoom = np.exp(rng.uniform(-0.006, 0.006) * t)
  roll = rng.uniform(-2.5, 2.5) * np.sin(0.15 * t + rng.uniform(0, 6))
  return Camera(np.stack([drift + sway, lift], 1), zoom, roll)


def _warp_layer(layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  """Warp a canvas to the frame by a matrix canvas -> screen."""
  h, w = scenery.FRAME
  return cv2.warpAffine(layer, matrix, (w, h), flags=cv2.INTER_LINEAR)


def _sample_clutter(
  rng: np.random.Generator, split: str
) -> tuple[np.ndarray, ...]:
  """Sample a flat textured distractor that drifts.

  Returns:
    Its RGBA sprite, and its start (x, y) and velocity in pixels.
  """
  size = int(rng.integers(16, 34))
  mask = np.zeros((size, size), np.uint8)
  if rng.random() < 0.5:
    cv2.circle(mask, (size // 2,) * 2, size // 2 - 2, 255, -1, cv2.LINE_AA)
  else:
    corners = rng.integers(1, size - 1, (4, 2)).astype(np.int32)
    cv2.fillPoly(mask, [cv2.convexHull(corners)], 255, cv2.LINE_AA)
  places = scenery.PLACES[split]
  pattern = places[rng.integers(len(places))][1]
  skin = scenery.colour_field(
    rng, pattern(rng, size, size), rng.uniform(0.2, 0.7)
  )
  sprite = scenery.add_alpha(skin, mask)
  h, w = scenery.FRAME
  start = rng.uniform((0, 0.1 * h), (w, 0.6 * h))
  return sprite, start, rng.uniform((-3, -0.7), (3, 0.7))


def _lighting_gains(
  rng: np.random.Generator, num_frames: int
) -> Iterator[np.ndarray]:
  """Yield gains [h, w, 3] per frame: exposure, tint and a moving shadow."""
  h, w = scenery.FRAME
  y, x = np.mgrid[:h:_COARSE, :w:_COARSE].astype(np.float32)
  slant, pace = rng.uniform(-0.6, 0.6), rng.uniform(-5, 5)
  start, width = rng.uniform(0, w), rng.uniform(20, 45)
  depth = rng.uniform(0, 0.35)
  swing, rate = rng.uniform(0, 0.2), rng.uniform(0.15, 0.5)
  tint = rng.uniform(0.9, 1.1, 3).astype(np.float32)
  for i in range(num_frames):
    level = EXPOSURE * (1 + swing * math.sin(rate * i + start))
    away = (x + slant * y - start - pace * i) / width
    shade = level * (1 - depth * np.exp(-away * away))
    gain = shade[..., None] * tint ** (i / num_frames)
    yield cv2.resize(gain, (w, h), interpolation=cv2.INTER_LINEAR)


def render(
  rng: np.random.Generator,
  split: str,
  num_frames: int,
  kinds: Sequence[int],
  *,
  plates: bool,
  bare: bool = False,
  calm: bool = False,
) -> Iterator[View]:
  """Render one video of a split, frame by frame.

  Args:
    rng: Source of randomness; the same state gives the same bytes.
    split: "train" or "val": the set of kinds, coats and places.
    num_frames: Number of views.
    kinds: The kind of each creature; later creatures are in front.
    plates: If True, render the plates too.
    bare: If True, omit occluders and clutter.
    calm: If True, camera and light do not change, and creatures move slowly.
  """
  h, w = scenery.FRAME
  camera = fix_camera(num_frames) if calm else sample_camera(rng, num_frames)
  performers = [
    actors.sample_actor(
      rng, split, kind, num_frames, pace=_CALM if calm else 1.0
    )
    for kind in kinds
  ]
  occluders = [] if bare else _sample_occluders(rng, performers[0], camera)
  scene = scenery.sample_scene(rng, split, occluders)
  count = 0 if bare else rng.integers(0, 4)
  clutter = [_sample_clutter(rng, split) for _ in range(count)]
  light = _sample_light(rng)
  gains = _lighting_gains(rng, num_frames)
  if calm:
    gains = itertools.repeat(next(gains), num_frames)
  shutter, blur = rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.65)
  noise = _sample_grain(rng)
  for i, gain in enumerate(gains):
    plate = _background(scene, camera, clutter, i)
    posed = [actors.pose(actor, i) for actor in performers]
    for actor, parts in zip(performers, posed, strict=True):
      if actor.creature.grounded:
        actors.draw_shadow(plate, actor, i, parts)
    frame, labels = plate, np.zeros((h, w), np.uint8)
    for number, (actor, parts) in enumerate(
      zip(performers, posed, strict=True)
    ):
      layer = actors.draw(actor, i, parts, light)
      labels[layer[..., 3] > _HALF_COVERED] = number + 1
      dx, dy = shutter * actor.path.step(i)
      frame = scenery.composite_over(frame, actors.motion_blur(layer, dx, dy))
    front = _warp_layer(scene.front, camera.matrix(i, scenery.PARALLAX[2]))
    labels[front[..., 3] > _HALF_COVERED] = 0
    y, x = rng.integers(0, _GRAIN_SHIFT, 2)
    optics = front, gain, blur, noise[y : y + h, x : x + w]
    plate_view = _finish(plate, *optics) if plates else None
    yield View(_finish(frame, *optics), plate_view, labels)


def _sample_light(rng: np.random.Generator) -> tuple[float, float, float]:
  """Sample a unit vector (x, y, z) towards a light above and in front."""
  # Python floats: NumPy scalars would promote the shading to float64.
  side, up, ahead = rng.uniform(-0.6, 0.6), -0.65, 0.75
  norm = math.hypot(side, up, ahead)
  return side / norm, up / norm, ahead / norm


def _sample_grain(rng: np.random.Generator) -> np.ndarray:
  """Sample noise larger than a frame, to be cropped at each frame."""
  h, w = scenery.FRAME
  noise = rng.standard_normal((h + _GRAIN_SHIFT, w + _GRAIN_SHIFT), np.float32)
  return cv2.merge([rng.uniform(0.5, 2) * noise] * 3)


def _finish(
  picture: np.ndarray,
  front: np.ndarray,
  gain: np.ndarray,
  blur: float,
  noise: np.ndarray,
) -> np.ndarray:
  """Add the front layer, blur, light and grain; return uint8.

  Args:
    picture: RGB uint8.
    front: The front layer, premultiplied RGBA uint8.
    gain: Factor of each pixel and channel.
    blur: Standard deviation of the blur, in pixels.
    noise: The grain to add, in units of 1/255.
  """
  picture = scenery.composite_over(picture, front)
  picture = cv2.GaussianBlur(picture, (0, 0), blur)
  lit = cv2.multiply(picture, gain, dtype=cv2.CV_32F)
  return cv2.add(lit, noise, dtype=cv2.CV_8U)


def _background(
  scene: scenery.Scene, camera: Camera, clutter: list, i: int
) -> np.ndarray:
  """Return the far layer, the clutter and the near layer at frame i."""
  h, w = scenery.FRAME
  far, near, _ = scenery.PARALLAX
  picture = cv2.warpAffine(
    scene.far, camera.matrix(i, far), (w, h), borderMode=cv2.BORDER_REFLECT
  )
  for sprite, start, velocity in clutter:
    x, y = np.round(start + i * velocity - camera.pan[i] * far).astype(int)
    size = sprite.shape[0]
    y0, y1, x0, x1 = max(y, 0), min(y + size, h), max(x, 0), min(x + size, w)
    if y0 < y1 and x0 < x1:
      piece = sprite[y0 - y : y1 - y, x0 - x : x1 - x]
      picture[y0:y1, x0:x1] = scenery.composite_over(
        picture[y0:y1, x0:x1], piece
      )
  return scenery.composite_over(
    picture, _warp_layer(scene.near, camera.matrix(i, near))
  )


def _sample_occluders(
  rng: np.random.Generator, actor: actors.Actor, camera: Camera
) -> list[tuple[float, float]]:
  """Sample occluders at places that the actor passes after its first frames.

  Returns:
    (x, width) of each, in pixels of the front canvas.
  """
  if rng.random() > OCCLUDED_SHARE:
    return []
  num_frames, clearance = len(actor.path.x), 0.58 * actor.width
  occluders = []
  for _ in range(rng.integers(1, 3)):
    i = int(rng.integers(min(4, num_frames - 1), num_frames))
    width = rng.uniform(*OCCLUDER_WIDTH) * actor.size
    ahead = actor.path.x[i] - actor.path.x[0]
    # Only the first mask is given: keep it free of occlusion.
    ahead = math.copysign(max(abs(ahead), clearance + width), ahead or 1)
    x = actor.path.x[0] + ahead + scenery.MARGIN[1]
    occluders.append((x + scenery.PARALLAX[2] * camera.pan[i, 0], width))
  return occluders
