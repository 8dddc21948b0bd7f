"""The demo world: renders a creature that moves through a place.

Everything a mask tracker finds hard is there on purpose: the camera moves, the
creature swings, turns round and goes behind things, light and blur change, and
flat clutter moves too. Without those, carrying the first mask by optical flow
is nearly perfect and there is nothing left to learn from appearance.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.demo import actors, scenery

EXPOSURE = 1.25
OCCLUDER = (0.1, 0.32)  # width in lengths of the creature
HIDING = 0.45  # share of videos with something in front
_COARSE = 4  # pixels; light varies slowly
_SHAKE = 24  # pixels over which the film grain is shifted about
_HALF = 127  # half covered, of 255


@dataclasses.dataclass(frozen=True)
class View:
  """One rendered moment.

  Attributes:
    frame: RGB.
    plate: The same without the creatures (their shadows stay), if wanted.
    labels: 0 background, 1.. the creatures, where they are seen.
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
    """Map canvas to screen for a layer of a parallax."""
    h, w = scenery.FRAME
    zoom = self.zoom[i] ** parallax
    m = cv2.getRotationMatrix2D((0, 0), self.roll[i], zoom)
    centre = np.array([w, h]) / 2 + scenery.MARGIN[::-1]
    m[:, 2] = (w / 2, h / 2) - m[:, :2] @ (centre + parallax * self.pan[i])
    return m


def film(rng: np.random.Generator, num_frames: int) -> Camera:
  """Draw a smooth camera movement; it starts somewhere and drifts."""
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


def _moved(layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  h, w = scenery.FRAME
  return cv2.warpAffine(layer, matrix, (w, h), flags=cv2.INTER_LINEAR)


def _clutter(rng: np.random.Generator, split: str) -> tuple[np.ndarray, ...]:
  """Draw a flat textured thing that drifts: sprite RGBA, start, velocity."""
  size = int(rng.integers(16, 34))
  mask = np.zeros((size, size), np.uint8)
  if rng.random() < 0.5:
    cv2.circle(mask, (size // 2,) * 2, size // 2 - 2, 255, -1, cv2.LINE_AA)
  else:
    corners = rng.integers(1, size - 1, (4, 2)).astype(np.int32)
    cv2.fillPoly(mask, [cv2.convexHull(corners)], 255, cv2.LINE_AA)
  places = scenery.PLACES[split]
  pattern = places[rng.integers(len(places))][1]
  skin = scenery.paint(rng, pattern(rng, size, size), rng.uniform(0.2, 0.7))
  sprite = scenery.opaque(skin, mask)
  h, w = scenery.FRAME
  start = rng.uniform((0, 0.1 * h), (w, 0.6 * h))
  return sprite, start, rng.uniform((-3, -0.7), (3, 0.7))


def _lighting(
  rng: np.random.Generator, num_frames: int
) -> Iterator[np.ndarray]:
  """Yield gains [h, w, 3] per frame: exposure, tint and a passing shade."""
  h, w = scenery.FRAME
  y, x = np.mgrid[:h:_COARSE, :w:_COARSE].astype(np.float32)
  slant, pace = rng.uniform(-0.6, 0.6), rng.uniform(-5, 5)
  begin, width = rng.uniform(0, w), rng.uniform(20, 45)
  depth = rng.uniform(0, 0.35)
  swing, rate = rng.uniform(0, 0.2), rng.uniform(0.15, 0.5)
  tint = rng.uniform(0.9, 1.1, 3).astype(np.float32)
  for i in range(num_frames):
    level = EXPOSURE * (1 + swing * math.sin(rate * i + begin))
    away = (x + slant * y - begin - pace * i) / width
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
) -> Iterator[View]:
  """Render one video of a split, frame by frame.

  Args:
    rng: Everything is drawn from it; the same state gives the same bytes.
    split: "train" or "val": which kinds, coats and places.
    num_frames: How many views to yield.
    kinds: Which kinds of creatures; later ones are in front.
    plates: Whether to render the plates too.
    bare: Whether to leave out what hides the creatures and distracts from
      them.
  """
  h, w = scenery.FRAME
  camera = film(rng, num_frames)
  cast = [actors.cast(rng, split, kind, num_frames) for kind in kinds]
  hideouts = [] if bare else _hideouts(rng, cast[0], camera)
  scene = scenery.build(rng, split, hideouts)
  count = 0 if bare else rng.integers(0, 4)
  clutter = [_clutter(rng, split) for _ in range(count)]
  light = _light(rng)
  gains = _lighting(rng, num_frames)
  shutter, soft = rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.65)
  noise = _film_grain(rng)
  for i, gain in enumerate(gains):
    plate = _backdrop(scene, camera, clutter, i)
    posed = [actors.pose(actor, i) for actor in cast]
    for actor, parts in zip(cast, posed, strict=True):
      if actor.creature.grounded:
        actors.cast_shadow(plate, actor, i, parts)
    frame, labels = plate, np.zeros((h, w), np.uint8)
    for number, (actor, parts) in enumerate(zip(cast, posed, strict=True)):
      layer = actors.draw(actor, i, parts, light)
      labels[layer[..., 3] > _HALF] = number + 1
      dx, dy = shutter * actor.path.step(i)
      frame = scenery.over(frame, actors.smear(layer, dx, dy))
    front = _moved(scene.front, camera.matrix(i, scenery.PARALLAX[2]))
    labels[front[..., 3] > _HALF] = 0
    y, x = rng.integers(0, _SHAKE, 2)
    lens = front, gain, soft, noise[y : y + h, x : x + w]
    shown = _expose(plate, *lens) if plates else None
    yield View(_expose(frame, *lens), shown, labels)


def _light(rng: np.random.Generator) -> tuple[float, float, float]:
  """Draw a direction from above, in front, to some side."""
  # Plain floats: NumPy's own scalars would turn the shading to float64.
  side, up, ahead = rng.uniform(-0.6, 0.6), -0.65, 0.75
  norm = math.hypot(side, up, ahead)
  return side / norm, up / norm, ahead / norm


def _film_grain(rng: np.random.Generator) -> np.ndarray:
  """Draw noise larger than a frame, to be cut out anew at every frame."""
  h, w = scenery.FRAME
  noise = rng.standard_normal((h + _SHAKE, w + _SHAKE), np.float32)
  return cv2.merge([rng.uniform(0.5, 2) * noise] * 3)


def _expose(
  picture: np.ndarray,
  front: np.ndarray,
  gain: np.ndarray,
  soft: float,
  noise: np.ndarray,
) -> np.ndarray:
  """Put the front before it, defocus, light, add grain, quantise."""
  picture = scenery.over(picture, front)
  picture = cv2.GaussianBlur(picture, (0, 0), soft)
  lit = cv2.multiply(picture, gain, dtype=cv2.CV_32F)
  return cv2.add(lit, noise, dtype=cv2.CV_8U)


def _backdrop(
  scene: scenery.Scene, camera: Camera, clutter: list, i: int
) -> np.ndarray:
  """Return everything behind the creatures at frame i."""
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
      picture[y0:y1, x0:x1] = scenery.over(picture[y0:y1, x0:x1], piece)
  return scenery.over(picture, _moved(scene.near, camera.matrix(i, near)))


def _hideouts(
  rng: np.random.Generator, actor: actors.Actor, camera: Camera
) -> list[tuple[float, float]]:
  """Place occluders where the actor passes after its first frames."""
  if rng.random() > HIDING:
    return []
  num_frames, clear = len(actor.path.x), 0.58 * actor.width
  places = []
  for _ in range(rng.integers(1, 3)):
    i = int(rng.integers(min(4, num_frames - 1), num_frames))
    width = rng.uniform(*OCCLUDER) * actor.size
    ahead = actor.path.x[i] - actor.path.x[0]
    # The first mask is the only one that is given: keep it in the clear.
    ahead = math.copysign(max(abs(ahead), clear + width), ahead or 1)
    x = actor.path.x[0] + ahead + scenery.MARGIN[1]
    places.append((x + scenery.PARALLAX[2] * camera.pan[i, 0], width))
  return places
