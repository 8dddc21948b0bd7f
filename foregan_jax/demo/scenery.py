"""Backgrounds and occluders of the demo data.

A scene is three flat canvases that move at different speeds under the camera.
The scenery is flat and textured: nothing in it has solid shading or an
outline, so that these two distinguish a creature. Train and val use disjoint
sets of textures. The constants are tuned by eye.
"""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

FRAME = (128, 224)  # height, width
MARGIN = (40, 96)  # canvas beyond the frame, for camera motion
CANVAS = (FRAME[0] + 2 * MARGIN[0], FRAME[1] + 2 * MARGIN[1])
# Speed relative to the ground under the creature: far, near, front.
PARALLAX = (0.6, 1.0, 1.5)

Pattern = Callable[[np.random.Generator, int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Scene:
  """The canvases of one scene; RGBA colours are premultiplied by alpha."""

  far: UInt8[np.ndarray, "h w 3"]
  near: UInt8[np.ndarray, "h w 4"]
  front: UInt8[np.ndarray, "h w 4"]


def clouds(
  rng: np.random.Generator, h: int, w: int, cell: float = 48.0, octaves: int = 4
) -> np.ndarray:
  """Sample a sum of octaves of smooth noise, in [0, 1]."""
  total = np.zeros((h, w), np.float32)
  for i in range(octaves):
    size = max(cell / 2**i, 1)
    shape = (int(h / size) + 2, int(w / size) + 2)
    noise = rng.random(shape, np.float32)
    total += cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC) / 2**i
  low, high = total.min(), total.max()
  return (total - low) / (high - low)


def grass(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample vertical streaks."""
  noise = rng.random((h // 7 + 2, w), np.float32)
  streaks = cv2.resize(noise, (w, h), interpolation=cv2.INTER_LINEAR)
  return 0.5 * streaks + 0.5 * clouds(rng, h, w, 30.0, 3)


def bricks(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample rows of bricks with bright joints."""
  bh, bw = int(rng.integers(9, 14)), int(rng.integers(20, 34))
  y, x = np.mgrid[:h, :w]
  row = y // bh
  column = (x + (row % 2) * (bw // 2)) // bw
  tone = rng.random((h // bh + 2, w // bw + 3), np.float32)[row, column]
  joint = (y % bh < 2) | ((x + (row % 2) * (bw // 2)) % bw < 2)
  value = np.where(joint, 1, 0.65 * tone)
  return 0.8 * value + 0.2 * rng.random((h, w), np.float32)


def planks(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample vertical boards of different tones."""
  width = int(rng.integers(12, 24))
  x = np.arange(w)
  tone = rng.random(w // width + 1, np.float32)[x // width]
  tone = np.where(x % width < 2, 0, tone)
  return 0.65 * tone[None] + 0.35 * grass(rng, h, w)


def waves(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample ripples as of sand or water."""
  y, _ = np.mgrid[:h, :w]
  bent = y + 26 * clouds(rng, h, w, 60.0, 3)
  ripple = 0.5 + 0.5 * np.sin(bent * 2 * np.pi / rng.uniform(8, 15))
  return 0.6 * ripple + 0.4 * clouds(rng, h, w, 12.0, 3)


def tiles(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample a chequered pattern of square tiles."""
  size = int(rng.integers(14, 24))
  y, x = np.mgrid[:h, :w]
  turned = rng.random() < 0.5
  a, b = (x + y, x - y + h) if turned else (x, y)
  check = (a // size + b // size) % 2
  joint = (a % size < 2) | (b % size < 2)
  value = np.where(joint, 0, 0.35 + 0.4 * check)
  return 0.75 * value + 0.25 * clouds(rng, h, w, 20.0, 4)


def cells(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample Voronoi cells with dark gaps, like a stone wall."""
  size = rng.uniform(11, 18)
  seeds = np.full((h, w), 255, np.uint8)
  n = int(h * w / size**2)
  seeds[rng.integers(0, h, n), rng.integers(0, w, n)] = 0
  _, label = cv2.distanceTransformWithLabels(
    seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
  )
  tone = rng.random(n + 2, np.float32)[label]
  gap = (label != np.roll(label, 1, 0)) | (label != np.roll(label, 1, 1))
  value = np.where(gap, 0, 0.3 + 0.7 * tone)
  return 0.8 * value + 0.2 * rng.random((h, w), np.float32)


def windows(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
  """Sample house fronts with rows of windows."""
  size = int(rng.integers(9, 14))
  y, x = np.mgrid[:h, :w]
  lit = rng.random((h // size + 1, w // size + 1), np.float32)
  pane = (y % size > 3) & (x % size > size // 2 - 1)
  front = rng.random(w // (5 * size) + 1, np.float32)[x // (5 * size)]
  value = np.where(pane, lit[y // size, x // size], 0.3 + 0.4 * front)
  return 0.85 * value + 0.15 * rng.random((h, w), np.float32)


# (far, ground) pairs. Only clouds and the sky occur in both splits.
PLACES: dict[str, tuple[tuple[Pattern, Pattern], ...]] = {
  "train": (
    (clouds, grass),
    (bricks, clouds),
    (planks, clouds),
    (grass, clouds),
    (bricks, planks),
  ),
  "val": ((windows, tiles), (cells, waves), (clouds, waves), (windows, cells)),
}


def sample_colour(
  rng: np.random.Generator, value: tuple[float, float], chroma: float
) -> np.ndarray:
  """Sample an RGB colour in [0, 255].

  Args:
    rng: Source of randomness.
    value: Range of the largest channel, in [0, 1].
    chroma: Saturation, in [0, 1].
  """
  hue, top = rng.uniform(0, 1), rng.uniform(*value)
  ramp = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
  full = np.clip(ramp, 0, 1)
  return (255 * top * (1 - chroma + chroma * full)).astype(np.float32)


def colour_field(
  rng: np.random.Generator, field: np.ndarray, chroma: float, gain: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
  """Map a field in [0, 1] to a ramp between two sampled, muted colours."""
  low = sample_colour(rng, (0.2, 0.5), chroma)
  high = 0.5 * low + 0.5 * sample_colour(rng, (0.55, 0.95), chroma)
  ramp = low + np.linspace(0, 1, 256)[:, None, None] * (high - low)
  table = np.clip(gain * ramp, 0, 255).astype(np.uint8)
  level = cv2.convertScaleAbs(field, alpha=255)
  return cv2.applyColorMap(level, table)


def add_alpha(
  image: UInt8[np.ndarray, "h w 3"], alpha: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 4"]:
  """Return the image with an alpha channel, premultiplied."""
  weight = cv2.merge([alpha, alpha, alpha])
  premultiplied = cv2.multiply(image, weight, scale=1 / 255)
  return cv2.merge([*cv2.split(premultiplied), alpha])


def composite_over(
  below: UInt8[np.ndarray, "h w 3"], layer: UInt8[np.ndarray, "h w 4"]
) -> UInt8[np.ndarray, "h w 3"]:
  """Composite a premultiplied RGBA layer over an image."""
  *image, alpha = cv2.split(layer)
  clear = cv2.bitwise_not(alpha)
  clear = cv2.multiply(below, cv2.merge([clear] * 3), scale=1 / 255)
  return cv2.add(clear, cv2.merge(image))


def _sample_skyline(
  rng: np.random.Generator, w: int, deviation: float
) -> np.ndarray:
  """Sample a smooth random curve around 0, in pixels [w]."""
  knots = rng.normal(0, deviation, (1, max(w // 50, 2))).astype(np.float32)
  return cv2.resize(knots, (w, 1), interpolation=cv2.INTER_CUBIC)[0]


def _far_canvas(rng: np.random.Generator, pattern: Pattern) -> np.ndarray:
  """Sample the far canvas: a full-height pattern, or a sky above one."""
  h, w = CANVAS
  canvas = colour_field(rng, pattern(rng, h, w), rng.uniform(0.15, 0.5))
  if pattern in (bricks, planks, cells):
    return canvas
  y = np.arange(h, dtype=np.float32)[:, None]
  sky = colour_field(
    rng, clouds(rng, h, w, 70.0, 4) * (1.2 - 0.5 * y / h), 0.3, 1.1
  )
  skyline = h * rng.uniform(0.3, 0.42) + _sample_skyline(rng, w, 14.0)
  if pattern is windows:
    block = np.arange(w) // 26
    skyline = h * 0.36 + 30 * (rng.random(w // 26 + 1)[block] - 0.5)
  below = cv2.convertScaleAbs(np.clip(y - skyline, 0, 1), alpha=255)
  return composite_over(sky, add_alpha(canvas, below))


def _paste(canvas: np.ndarray, x: int, y: int, sprite: np.ndarray) -> None:
  """Composite an RGBA sprite over an RGBA canvas, in place and clipped."""
  (h, w), (sh, sw) = canvas.shape[:2], sprite.shape[:2]
  y0, y1, x0, x1 = max(y, 0), min(y + sh, h), max(x, 0), min(x + sw, w)
  if y0 < y1 and x0 < x1:
    piece = sprite[y0 - y : y1 - y, x0 - x : x1 - x]
    clear = 1 - piece[..., 3:] / np.float32(255)
    canvas[y0:y1, x0:x1] = clear * canvas[y0:y1, x0:x1] + piece


def _sample_block(rng: np.random.Generator, pattern: Pattern) -> np.ndarray:
  """Sample a flat textured post, slab or bush as RGBA."""
  width, height = (int(v) for v in rng.uniform((7, 16), (34, 58)))
  pad = width // 3 + 3
  mask = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
  if rng.random() < 0.6:
    cv2.rectangle(mask, (pad, pad), (pad + width, pad + height), 255, -1)
  else:
    for x, y in rng.integers(0, (width, height), (12, 2)):
      centre = (int(x) + pad, int(y) + pad)
      cv2.circle(mask, centre, width // 3 + 2, 255, -1, cv2.LINE_AA)
  mask[pad + height :] = 0
  skin = colour_field(rng, pattern(rng, *mask.shape), rng.uniform(0.1, 0.6))
  return add_alpha(skin, mask)[: pad + height]


def _near_canvas(
  rng: np.random.Generator,
  pattern: Pattern,
  block_pattern: Pattern,
  horizon: float,
) -> np.ndarray:
  """Sample the near canvas: the ground below the horizon and its blocks."""
  h, w = CANVAS
  y = np.arange(h, dtype=np.float32)[:, None]
  depth = np.clip((y - horizon) / (h - horizon), 0, 1)
  field = pattern(rng, h, w) * (0.7 + 0.3 * depth)
  skin = colour_field(rng, field, rng.uniform(0.15, 0.5))
  line = horizon + _sample_skyline(rng, w, rng.choice([0.0, 3.0]))
  alpha = cv2.convertScaleAbs(np.clip(y - line, 0, 1), alpha=255)
  canvas = add_alpha(skin, alpha)
  for _ in range(rng.integers(3, 8)):
    block = _sample_block(rng, block_pattern)
    x, foot = rng.uniform(0, w), horizon + rng.uniform(1, 16)
    _paste(canvas, int(x), int(foot) - block.shape[0], block)
  return canvas


def draw_trunk(
  rng: np.random.Generator, canvas: np.ndarray, x: float, width: float
) -> None:
  """Draw a textured trunk of the canvas's full height, in place."""
  h, w = canvas.shape[0], int(width) + 48
  lean = rng.uniform(-0.12, 0.12) * (np.arange(h) - h / 2)
  sides = 0.5 * width + 2 * clouds(rng, h, 4, 30.0, 2)[:, 0] + 0.5
  away = np.abs(np.arange(w) - w / 2 - lean[:, None])
  inside = np.clip(sides[:, None] - away, 0, 1)
  alpha = cv2.convertScaleAbs(inside, alpha=255)
  skin = colour_field(rng, grass(rng, h, w), rng.uniform(0.1, 0.4), 0.7)
  _paste(canvas, int(x - w / 2), 0, add_alpha(skin, alpha))


def draw_reeds(
  rng: np.random.Generator, canvas: np.ndarray, x: float, width: float
) -> None:
  """Draw blades of grass that start below the frame, in place."""
  foot = MARGIN[0] + FRAME[0] + 12
  base = sample_colour(rng, (0.3, 0.55), 0.5)
  s = np.linspace(0, 1, 8)
  for _ in range(int(6 + 0.5 * width)):
    root = x + rng.uniform(-1, 1) * width
    height, lean = FRAME[0] * rng.uniform(0.35, 0.75), rng.normal(0, 14)
    half = rng.uniform(1.5, 3) * (1 - s)
    spine_x, spine_y = root + lean * s**2, foot - height * s
    left = np.stack([spine_x - half, spine_y], 1)
    right = np.stack([spine_x + half, spine_y], 1)[::-1]
    blade = np.round(16 * np.concatenate([left, right])).astype(np.int32)
    ink = (*(float(v) for v in base * rng.uniform(0.6, 1.3)), 255.0)
    # Antialiasing over an empty canvas leaves the colours premultiplied.
    cv2.fillPoly(canvas, [blade], ink, cv2.LINE_AA, 4)


def sample_scene(
  rng: np.random.Generator, split: str, occluders: list[tuple[float, float]]
) -> Scene:
  """Sample one scene of a split.

  Args:
    rng: Source of randomness.
    split: "train" or "val": the set of textures.
    occluders: (x, width) of each occluder, in pixels of the front canvas.

  Returns:
    The canvases, of size `CANVAS`.
  """
  places = PLACES[split]
  back, ground = places[rng.integers(len(places))]
  horizon = MARGIN[0] + FRAME[0] * rng.uniform(0.42, 0.6)
  far = _far_canvas(rng, back)
  near = _near_canvas(
    rng, ground, back if back is not clouds else ground, horizon
  )
  front = np.zeros((*CANVAS, 4), np.uint8)
  for x, width in occluders:
    if rng.random() < 0.65:
      draw_trunk(rng, front, x, width)
    else:
      draw_reeds(rng, front, x, width)
  return Scene(far, near, front)
