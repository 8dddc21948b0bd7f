"""Actors of the demo data: a creature with a texture and a path, drawn.

Parts have solid shading from one light, dark outlines and saturated colours.
These distinguish a creature of any kind from the flat scenery. The constants
are tuned by eye.
"""

import dataclasses
import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.demo import creatures, scenery, species

SPEED = (0.033, 0.058)  # in widths of the creature per frame
AREA = (0.085, 0.17)  # of the creature, as a share of the frame
_TEXELS = 64.0  # texels per creature unit
_TILE = 128  # side of a texture tile, in texels
_FIXED_POINT = 4  # fractional bits of polygon vertices
_PAD = 4  # pixels around a part's box
_FLAT_SIZE = 8  # pixels; smaller parts of one colour are drawn without shading
_MIN_SLACK = 8  # pixels; lets a wide creature leave the frame by a little
_MAX_HEIGHT = 0.8  # of the frame's height


@dataclasses.dataclass(frozen=True)
class Skin:
  """The texture tile and the palette of a creature, RGB in [0, 255]."""

  tile: Float[np.ndarray, "n n 3"]
  palette: Float[np.ndarray, "k 3"]


@dataclasses.dataclass(frozen=True)
class Path:
  """The position and pose of a creature on the screen, per frame."""

  x: Float[np.ndarray, " t"]  # pixels
  y: Float[np.ndarray, " t"]  # pixels
  facing: Float[np.ndarray, " t"]  # -1 left .. 1 right
  tilt: Float[np.ndarray, " t"]  # radians
  scale: Float[np.ndarray, " t"]  # relative to the actor's size

  def step(self, i: int) -> Float[np.ndarray, " 2"]:
    """Return the displacement (dx, dy) from frame i - 1 to i; 0 for i = 0."""
    last = max(i - 1, 0)
    return np.array([self.x[i] - self.x[last], self.y[i] - self.y[last]])


@dataclasses.dataclass
class Actor:
  """A creature with its skin, path and size."""

  creature: creatures.Creature
  skin: Skin
  path: Path
  phase: float  # of the gait at frame 0, in cycles
  size: float  # pixels per creature unit
  width: float  # pixels


def _spots(rng: np.random.Generator) -> np.ndarray:
  dots = np.zeros((_TILE, _TILE), np.uint8)
  for _ in range(rng.integers(25, 60)):
    centre = tuple(int(v) for v in rng.integers(0, _TILE, 2))
    cv2.circle(dots, centre, int(rng.integers(3, 9)), 255, -1, cv2.LINE_AA)
  return dots / np.float32(255)


def _stripes(rng: np.random.Generator) -> np.ndarray:
  x = np.arange(_TILE, dtype=np.float32)[None]
  bent = x + 14 * scenery.clouds(rng, _TILE, _TILE, 50.0, 2)
  return 0.5 + 0.5 * np.tanh(3 * np.sin(bent * rng.uniform(0.25, 0.55)))


def _rings(rng: np.random.Generator) -> np.ndarray:
  y, x = np.mgrid[:_TILE, :_TILE].astype(np.float32) - rng.uniform(30, 90)
  return 0.5 + 0.5 * np.tanh(3 * np.sin(np.hypot(x, y) * rng.uniform(0.3, 0.5)))


def _patches(rng: np.random.Generator) -> np.ndarray:
  field = scenery.clouds(rng, _TILE, _TILE, rng.uniform(14, 24), 2)
  return np.clip(0.5 + 12 * (field - np.median(field)), 0, 1)


COATS = {"train": (_spots, _stripes), "val": (_rings, _patches)}


def sample_skin(rng: np.random.Generator, split: str) -> Skin:
  """Sample a texture and a palette, more saturated than the scenery's."""
  base = scenery.sample_colour(rng, (0.65, 1.0), rng.uniform(0.5, 0.85))
  second = scenery.sample_colour(rng, (0.35, 0.95), rng.uniform(0.4, 0.8))
  coats = COATS[split]
  coat = coats[rng.integers(len(coats))](rng)[..., None]
  strength = rng.uniform(0.25, 0.9)
  tile = (base + strength * coat * (second - base)).astype(np.float32)
  palette = np.zeros((creatures.GLASS + 1, 3), np.float32)
  palette[creatures.PLAIN] = 0.6 * base + 0.4 * second
  palette[creatures.LIGHT] = 0.45 * base + 0.55 * 250
  palette[creatures.DARK] = 0.45 * second
  palette[creatures.WHITE] = 245
  palette[creatures.BLACK] = 35
  palette[creatures.GLASS] = (150, 190, 215)
  return Skin(tile, palette)


def sample_path(
  rng: np.random.Generator,
  num_frames: int,
  width: float,
  grounded: bool,
  pace: float = 1.0,
) -> Path:
  """Sample a path across the frame; some paths reverse their direction.

  Args:
    rng: Source of randomness.
    num_frames: Length of the path.
    width: Width of the creature in pixels. Narrow creatures move slower, so
      that all leave their first mask after about the same time.
    grounded: If True, y is the position of the feet, else of the centre.
    pace: Factor of the speed.
  """
  h, w = scenery.FRAME
  t = np.arange(num_frames, dtype=np.float64)
  direction = rng.choice([-1, 1])
  turn = num_frames * (rng.uniform(0.6, 0.8) if rng.random() < 0.3 else 2)
  facing = direction * np.tanh((turn - t) / 1.6)
  speed = pace * rng.uniform(*SPEED) * width
  speed = speed * (1 + 0.25 * np.sin(0.4 * t + rng.uniform(0, 6)))
  x = np.cumsum(speed * facing)
  slack = max(0.5 * (w - width - np.ptp(x)), _MIN_SLACK)
  x += 0.5 * (w - x.min() - x.max()) + rng.uniform(-slack, slack)
  if grounded:
    y = h * rng.uniform(0.76, 0.92) + rng.uniform(-0.5, 0.5) * (t - t.mean())
    hops = rng.uniform(2, 14) * (rng.random() < 0.35)
    y = y - hops * np.abs(np.sin(t * rng.uniform(0.25, 0.5)))
  else:
    y = h * rng.uniform(0.42, 0.52)
    y = y + rng.uniform(5, 16) * np.sin(t * rng.uniform(0.12, 0.28) + direction)
  rise = np.gradient(y) / np.maximum(np.abs(speed), 1)
  steepest = 0.12 if grounded else 0.4
  tilt = np.clip(0.6 * rise, -steepest, steepest) * np.sign(facing)
  growth = rng.uniform(-0.2, 0.2) * (t / 24 - 0.5)
  # Seen from the front, a creature is still a third of its length wide.
  facing = np.where(facing < 0, -1, 1) * np.maximum(np.abs(facing), 0.33)
  return Path(x, y, facing, tilt, np.exp(growth))


def pose(actor: Actor, i: int) -> list[creatures.PosedPart]:
  """Return an actor's parts at frame i, in the creature's frame."""
  return creatures.pose(actor.creature, actor.phase + actor.creature.rate * i)


def _sample_size(
  rng: np.random.Generator, creature: creatures.Creature, phase: float
) -> tuple[float, float, float]:
  """Sample the size of a creature from its range of areas.

  Returns:
    Pixels per creature unit, width in pixels, and y of the feet in pixels.
  """
  unit = 60.0
  canvas = np.zeros((256, 256), np.uint8)
  posed = creatures.pose(creature, phase)
  for part in posed:
    points = (part.outline * unit + 128).astype(np.int32)
    cv2.fillPoly(canvas, [points], 1)
  target = rng.uniform(*AREA) * scenery.FRAME[0] * scenery.FRAME[1]
  size = unit * math.sqrt(target / np.count_nonzero(canvas))
  points = np.concatenate([part.outline for part in posed])
  width, height = np.ptp(points, axis=0)
  size = min(size, _MAX_HEIGHT * scenery.FRAME[0] / height)
  return size, size * width, size * points[:, 1].max()


def sample_actor(
  rng: np.random.Generator,
  split: str,
  kind: int,
  num_frames: int,
  *,
  pace: float = 1.0,
) -> Actor:
  """Sample an actor of a split; `kind` counts modulo the number of kinds."""
  kinds = species.KINDS[split]
  creature = kinds[kind % len(kinds)](rng)
  skin, phase = sample_skin(rng, split), rng.uniform(0, 1)
  size, width, feet = _sample_size(rng, creature, phase)
  path = sample_path(rng, num_frames, width, creature.grounded, pace)
  if creature.grounded:
    path = dataclasses.replace(path, y=path.y - feet)
  return Actor(creature, skin, path, phase, size, width)


def _screen_matrix(actor: Actor, i: int) -> np.ndarray:
  """Return the matrix [3, 3] creature -> screen at frame i."""
  path, size = actor.path, actor.size * actor.path.scale[i]
  c, s = math.cos(path.tilt[i]), math.sin(path.tilt[i])
  turn = np.array([[c, -s, path.x[i]], [s, c, path.y[i]], [0, 0, 1]])
  return turn @ np.diag([size * path.facing[i], size, 1])


def _shade(
  cover: np.ndarray,
  albedo: np.ndarray,
  light: tuple[float, float, float],
  gloss: float,
) -> np.ndarray:
  """Shade a flat part like a solid and darken its outline.

  The height is a dome over the distance to the part's edge.

  Args:
    cover: Coverage in [0, 255], uint8 [h, w].
    albedo: RGB in [0, 255], [h, w, 3] or [3].
    light: Unit vector (x, y, z) towards the light; z points to the viewer.
    gloss: Strength of the highlight.

  Returns:
    RGB [h, w, 3], not clipped.
  """
  depth = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 3)
  radius = max(float(depth.max()), 1.0)
  ratio = np.minimum(depth / radius, 1)
  dome = radius * np.sqrt(ratio * (2 - ratio))
  sigma = 0.22 * radius + 0.5
  dome = cv2.GaussianBlur(dome, (0, 0), sigma)
  nx = -cv2.Sobel(dome, cv2.CV_32F, 1, 0, ksize=3, scale=0.125 * 1.3)
  ny = -cv2.Sobel(dome, cv2.CV_32F, 0, 1, ksize=3, scale=0.125 * 1.3)
  norm = 1 / np.sqrt(nx * nx + ny * ny + 1)
  diffuse = np.maximum((nx * light[0] + ny * light[1] + light[2]) * norm, 0)
  edge = 0.45 + 0.55 * np.clip((depth - 0.6) / 1.6, 0, 1)
  shine = gloss * diffuse**16
  return (
    albedo * ((0.38 + 0.72 * diffuse) * edge)[..., None]
    + 255 * shine[..., None]
  )


def _albedo(
  posed: creatures.PosedPart,
  to_screen: np.ndarray,
  skin: Skin,
  box: tuple[int, int, int, int],
) -> np.ndarray:
  """Return a part's unshaded colour in a box (x0, y0, x1, y1) of the screen.

  Returns:
    RGB [h, w, 3] of a textured part, [3] of a part of one colour.
  """
  x0, y0, x1, y1 = box
  if posed.part.paint != creatures.TEXTURE:
    return skin.palette[posed.part.paint]
  local = np.diag([_TEXELS, _TEXELS, 1]) @ np.linalg.inv(
    to_screen @ posed.matrix
  )
  local[:2, 2] += local[:2, :2] @ (x0, y0) + _TILE / 2
  return cv2.warpAffine(
    skin.tile,
    local[:2],
    (x1 - x0, y1 - y0),
    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REFLECT,
  )


def _draw_part(
  canvas: np.ndarray,
  posed: creatures.PosedPart,
  to_screen: np.ndarray,
  skin: Skin,
  light: tuple[float, float, float],
) -> None:
  """Draw one part over a premultiplied uint8 RGBA canvas, in place."""
  h, w = canvas.shape[:2]
  points = creatures.apply(to_screen, posed.outline)
  low, high = points.min(0), points.max(0)
  x0, y0 = (max(int(v) - _PAD, 0) for v in low)
  x1, y1 = int(min(high[0] + _PAD, w)), int(min(high[1] + _PAD, h))
  if x1 - x0 < _PAD or y1 - y0 < _PAD:
    return
  fixed = np.round((points - (x0, y0)) * 2**_FIXED_POINT).astype(np.int32)
  target = canvas[y0:y1, x0:x1]
  albedo = _albedo(posed, to_screen, skin, (x0, y0, x1, y1))
  if np.max(high - low) < _FLAT_SIZE and albedo.ndim == 1:
    ink = (*albedo.tolist(), 255.0)
    cv2.fillPoly(target, [fixed], ink, cv2.LINE_AA, _FIXED_POINT)
    return
  cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
  cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, _FIXED_POINT)
  colour = _shade(cover, albedo, light, 0.25)
  if posed.part.depth < 0:
    colour *= 0.72
  alpha = cover[..., None] / np.float32(255)
  solid = np.empty((*cover.shape, 4), np.float32)
  solid[..., :3], solid[..., 3] = np.minimum(colour, 255), 255
  target[:] = target + alpha * (solid - target) + 0.5


def draw(
  actor: Actor,
  i: int,
  posed: list[creatures.PosedPart],
  light: tuple[float, float, float],
) -> UInt8[np.ndarray, "h w 4"]:
  """Draw an actor at frame i as premultiplied RGBA.

  Args:
    actor: The actor.
    i: The frame.
    posed: The actor's parts at that frame.
    light: Unit vector (x, y, z) towards the light; z points to the viewer.
  """
  canvas = np.zeros((*scenery.FRAME, 4), np.uint8)
  to_screen = _screen_matrix(actor, i)
  for part in posed:
    _draw_part(canvas, part, to_screen, actor.skin, light)
  return canvas


def draw_shadow(
  plate: UInt8[np.ndarray, "h w 3"],
  actor: Actor,
  i: int,
  posed: list[creatures.PosedPart],
) -> None:
  """Draw a soft shadow on the ground under an actor, in place."""
  h, w = scenery.FRAME
  points = np.concatenate([p.outline for p in posed])
  points = creatures.apply(_screen_matrix(actor, i), points)
  (x0, _), (x1, y1) = points.min(0), points.max(0)
  top, foot = max(int(y1) - 14, 0), min(int(y1) + 14, h)
  if foot <= top:
    return
  gain = np.full((foot - top, w, 3), 255, np.uint8)
  centre = (int((x0 + x1) / 2), int(y1) - 1 - top)
  axes = (int((x1 - x0) * 0.45), 5)
  cv2.ellipse(gain, centre, axes, 0, 0, 360, (120, 120, 120), -1)
  gain = cv2.GaussianBlur(gain, (0, 0), 2.5)
  plate[top:foot] = cv2.multiply(plate[top:foot], gain, scale=1 / 255)


def motion_blur(
  layer: UInt8[np.ndarray, "h w 4"], dx: float, dy: float
) -> UInt8[np.ndarray, "h w 4"]:
  """Blur a layer along a displacement (dx, dy) in pixels."""
  length = math.hypot(dx, dy)
  size = 2 * int(math.ceil(length / 2)) + 1
  if size < 3:
    return layer
  kernel = np.zeros((size, size), np.float32)
  middle = np.array([size // 2, size // 2])
  for s in np.linspace(-0.5, 0.5, 2 * size):
    x, y = np.round(middle + s * np.array([dx, dy])).astype(int)
    kernel[y, x] += 1
  return cv2.filter2D(layer, -1, kernel / kernel.sum())
