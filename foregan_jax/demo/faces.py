"""Procedural faces with expressions, for the demo data.

A face is drawn from back to front on a canvas of twice its size. Its label map
has CelebAMask-HQ's classes. Sizes are shares of half of the head's height, as
in `face_shapes`; sizes and strengths are set by eye.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

from foregan_jax.demo import face_canvas, face_looks, face_shapes

SIZE = 128
_CANVAS = 2 * SIZE
_NOISE = 0.008  # of the camera
# Neutral and happy faces are most frequent: they are the domains of the default
# transfer.
EMOTIONS = (
  "neutral", "happiness", "sadness", "neutral", "happiness", "anger",
  "neutral", "happiness", "surprise",
)  # fmt: skip

# Numbers of CelebAMask-HQ's classes. Left and right are those of the person.
SKIN, NOSE = 1, 2
_EYES, _BROWS, _EARS = {1: 4, -1: 5}, {1: 6, -1: 7}, {1: 8, -1: 9}
MOUTH, UPPER_LIP, LOWER_LIP, HAIR = 10, 11, 12, 13
NECK, CLOTH = 17, 18


def emotion(index: int) -> str:
  """Return the emotion of a face."""
  return EMOTIONS[index % len(EMOTIONS)]


def _neutral(u: Callable[..., float]) -> dict[str, float]:
  return {"corners": u(0.0, 0.25), "press": u(0, 0.2), "lids": u(-0.1, 0.1)}


def _happiness(u: Callable[..., float]) -> dict[str, float]:
  opened = u(0.3, 0.75) if u(0, 1) < 0.8 else 0.0
  return {
    "corners": u(0.8, 1.2), "width": u(0.2, 0.36), "open": opened,
    "teeth": u(0.6, 0.95), "lids": u(-0.2, 0.0), "lower_lids": u(0.3, 0.6),
    "brows": u(0.0, 0.3), "cheeks": u(0.7, 1.1), "folds": u(0.6, 1.0),
  }  # fmt: skip


def _sadness(u: Callable[..., float]) -> dict[str, float]:
  return {
    "corners": -u(0.7, 1.1), "width": -u(0.05, 0.15), "pout": u(0.4, 1.0),
    "lids": -u(0.3, 0.55), "brows": u(-0.1, 0.1), "inner_brows": u(0.8, 1.2),
    "folds": u(0.1, 0.4), "wrinkles": u(0.0, 0.5),
  }  # fmt: skip


def _anger(u: Callable[..., float]) -> dict[str, float]:
  bared = u(0, 1) < 0.35
  return {
    "corners": -u(0.3, 0.6), "width": u(0.0, 0.15) if bared else -u(0, 0.1),
    "open": u(0.25, 0.45) if bared else 0.0, "teeth": 1.0,
    "press": u(0.5, 0.9), "lids": -u(0.2, 0.4), "lower_lids": u(0.1, 0.3),
    "brows": -u(0.35, 0.6), "inner_brows": -u(0.7, 1.0), "furrow": u(0.6, 1.0),
    "folds": u(0.3, 0.6),
  }  # fmt: skip


def _surprise(u: Callable[..., float]) -> dict[str, float]:
  return {
    "width": -u(0.25, 0.4), "open": u(0.6, 1.0), "teeth": u(0.0, 0.3),
    "lids": u(0.4, 0.7), "lower_lids": -u(0.0, 0.2), "brows": u(0.7, 1.1),
    "wrinkles": u(0.3, 0.9),
  }  # fmt: skip


_EXPRESSIONS = {
  "neutral": _neutral, "happiness": _happiness, "sadness": _sadness,
  "anger": _anger, "surprise": _surprise,
}  # fmt: skip


def render(
  rng: np.random.Generator, emotion: str
) -> tuple[UInt8[np.ndarray, "s s 3"], UInt8[np.ndarray, "s s"]]:
  """Return the picture and the label map of a new person."""
  head = face_shapes.sample_head(rng)
  look = face_looks.sample_look(rng)
  u = lambda low, high: float(rng.uniform(low, high))
  pose = face_shapes.Pose(
    centre=(_CANVAS * u(0.48, 0.52), _CANVAS * u(0.5, 0.54)),
    scale=_CANVAS * u(0.4, 0.44),
    roll=float(rng.normal(0, 0.06)),
    yaw=float(np.clip(rng.normal(0, 0.12), -0.25, 0.25)),
    pitch=float(np.clip(rng.normal(0, 0.04), -0.08, 0.08)),
  )
  change = face_shapes.Expression(**_EXPRESSIONS[emotion](u))
  artist = _Artist(head, look, pose, change)
  artist.draw()
  small = cv2.resize(
    artist.canvas.colours, (SIZE, SIZE), interpolation=cv2.INTER_AREA
  )
  small += rng.normal(0, _NOISE, small.shape)
  image = np.clip(np.round(255 * small), 0, 255).astype(np.uint8)
  return image, face_canvas.halve(artist.canvas.labels)


class _Artist:
  """Draws one face."""

  def __init__(
    self,
    head: face_shapes.Head,
    look: face_looks.Look,
    pose: face_shapes.Pose,
    change: face_shapes.Expression,
  ):
    self._head, self._look, self._pose = head, look, pose
    self._change = change
    self.canvas = face_canvas.Canvas(face_looks.backdrop(look, _CANVAS))
    self._unit = pose.scale

  def draw(self) -> None:
    """Draw everything, from back to front."""
    self._body()
    self._skull()
    self._folds()
    for side in (-1, 1):
      self._eye(side)
      self._brow(side)
    self._nose()
    self._mouth()
    self._hair()

  def _flat(self, points):
    """Map points of the outline's frame to pixels."""
    return face_shapes.place(self._pose, points)

  def _on(self, points, lift=0.0):
    """Map points on the head to pixels."""
    turned = face_shapes.turn(self._pose, np.asarray(points, float), lift)
    return face_shapes.place(self._pose, turned)

  def _body(self) -> None:
    canvas, look = self.canvas, self._look
    self._skin = face_looks.skin(
      look, self._pose, self._head, self._change, _CANVAS
    )
    self._strands = face_looks.hair(look, self._pose, _CANVAS)
    shoulders = self._flat(face_looks.shoulders())
    canvas.blend(canvas.cover(shoulders), look.cloth * look.warmth * 0.9)
    canvas.mark(shoulders, CLOTH)
    back = face_looks.back_hair(look, self._head)
    if back is not None:
      back = self._flat(back)
      canvas.blend(canvas.cover(back), 0.62 * self._strands)
      canvas.mark(back, HAIR)
    neck = self._flat(face_looks.neck(self._head))
    canvas.blend(canvas.cover(neck), look.skin * look.warmth * 0.78)
    canvas.mark(neck, NECK)
    # The shadow of the chin.
    shadow = self._flat(face_shapes.outline(self._head, self._change))
    shadow = shadow + [0, 0.13 * self._unit]
    mask = canvas.cover(shadow, 0.05 * self._unit) * canvas.cover(neck)
    canvas.shade(mask, 0.55)

  def _skull(self) -> None:
    canvas = self.canvas
    for side in (-1, 1):
      ear = self._flat(face_looks.ear(self._head, side))
      canvas.blend(canvas.cover(ear), self._look.skin * self._look.warmth * 0.8)
      canvas.mark(ear, _EARS[side])
      inner = ear.mean(0) + 0.5 * (ear - ear.mean(0))
      canvas.shade(canvas.cover(inner, 0.02 * self._unit), 0.65)
    outline = self._flat(face_shapes.outline(self._head, self._change))
    canvas.blend(canvas.cover(outline), self._skin)
    canvas.mark(outline, SKIN)
    if self._look.beard:
      beard = self._on(face_looks.beard(self._head))
      mask = canvas.cover(beard, 0.035 * self._unit) * canvas.cover(outline)
      colour = 0.55 * self._look.hair + 0.12 * self._look.skin
      canvas.blend(mask, colour, self._look.beard)

  def _folds(self) -> None:
    canvas, head, change = self.canvas, self._head, self._change
    soft, line = 0.012 * self._unit, 0.02 * self._unit
    mouth_end = head.mouth_width * (1 + change.width)
    for side in (-1, 1):
      fold = [
        [1.05 * head.nose_width, head.nose_y - 0.04],
        [mouth_end + 0.06, head.mouth_y - 0.1 - 0.06 * change.corners],
        [mouth_end + 0.09, head.mouth_y + 0.06],
      ]
      curve = self._on(face_shapes.spline(np.array(fold)) * [side, 1])
      depth = 0.12 + 0.5 * change.folds
      canvas.shade(canvas.stroke(curve, line, 1.6 * soft), 0.62, depth)
      # A shadow under the eye, and the crease of a raised lid.
      pouch = face_shapes.eye(head, change, side)[1] + [0, 0.055]
      depth = 0.15 + 0.5 * max(change.lower_lids, 0)
      canvas.shade(canvas.stroke(self._on(pouch), line, soft), 0.72, depth)
      ditch = [[0.05, head.eye_y - 0.24], [0.06, head.eye_y - 0.14]]
      ditch = self._on(np.array(ditch) * [side, 1])
      canvas.shade(canvas.stroke(ditch, line, soft), 0.5, 0.8 * change.furrow)
    x = np.linspace(-0.38, 0.38, 9)
    for y in (-0.5, -0.42):
      wave = np.stack([x, y - head.brow_y * 0.3 + 0.06 * x**2], 1)
      mask = canvas.stroke(self._on(wave), line, soft)
      canvas.shade(mask, 0.65, 0.6 * change.wrinkles)

  def _eye(self, side: int) -> None:
    canvas, head, look = self.canvas, self._head, self._look
    upper, lower = face_shapes.eye(head, self._change, side)
    socket = face_shapes.between(upper + [0, -0.05], lower + [0, 0.02])
    canvas.shade(canvas.cover(self._on(socket), 0.04 * self._unit), 0.74, 0.8)
    opening = self._on(face_shapes.between(upper, lower))
    within = canvas.cover(opening)
    canvas.blend(within, np.array([0.93, 0.91, 0.89]) * look.warmth * 0.95)
    centre = np.array([side * head.eye_x, head.eye_y - 0.008])
    disc = lambda radius, at=centre: self._on(_circle(at, radius))
    canvas.blend(within * canvas.cover(disc(0.082)), look.iris * 0.45)
    canvas.blend(within * canvas.cover(disc(0.068), 0.6), look.iris * 1.1)
    glow = centre + [0, 0.03]
    canvas.blend(
      within * canvas.cover(disc(0.04, glow), 1.5), look.iris * 1.6, 0.6
    )
    canvas.blend(within * canvas.cover(disc(0.034)), np.full(3, 0.03))
    # The upper lid shades the eyeball.
    rim = self._on(face_shapes.between(upper - [0, 0.02], upper + [0, 0.035]))
    canvas.shade(within * canvas.cover(rim, 0.012 * self._unit), 0.45, 0.8)
    spark = centre + [-0.028 + 0.02 * look.light[0], -0.03]
    canvas.blend(within * canvas.cover(disc(0.017, spark), 0.4), np.ones(3))
    dark = look.skin * 0.22
    lid = canvas.stroke(self._on(upper), 0.024 * self._unit, 0.5)
    canvas.blend(lid, dark, 0.9)
    canvas.blend(canvas.stroke(self._on(lower), 1, 0.7), look.skin * 0.45, 0.6)
    crease = upper - [0, 0.045]
    mask = canvas.stroke(self._on(crease), 0.014 * self._unit, 0.9)
    canvas.shade(mask, 0.55, 0.7)
    canvas.mark(opening, _EYES[side])

  def _brow(self, side: int) -> None:
    brow = self._on(face_shapes.brow(self._head, self._change, side))
    colour = 0.75 * self._look.hair + 0.08 * self._look.skin
    self.canvas.blend(self.canvas.cover(brow, 1.0), colour, 0.88)
    self.canvas.mark(brow, _BROWS[side])

  def _nose(self) -> None:
    canvas, head, unit = self.canvas, self._head, self._unit
    base, wide = head.nose_y, head.nose_width
    for side in (-1, 1):
      wing = [
        [0.95 * wide, base - 0.1], [1.08 * wide, base - 0.03],
        [0.95 * wide, base + 0.02],
      ]  # fmt: skip
      wing = self._on(face_shapes.spline(np.array(wing)) * [side, 1], 0.05)
      canvas.shade(canvas.stroke(wing, 0.018 * unit, 0.012 * unit), 0.55, 0.6)
      hole = _circle(np.array([side * 0.45 * wide, base + 0.01]), 1.0)
      middle = hole.mean(0)
      hole = middle + (hole - middle) * [0.32 * wide, 0.022]
      canvas.shade(canvas.cover(self._on(hole, 0.12), 0.9), 0.32, 0.85)
    under = np.array([[-0.7 * wide, base + 0.04], [0.7 * wide, base + 0.04]])
    mask = canvas.stroke(self._on(under, 0.05), 0.05 * unit, 0.025 * unit)
    canvas.shade(mask, 0.7, 0.5)
    canvas.mark(self._on(face_shapes.nose(head), 0.04), NOSE)

  def _mouth(self) -> None:
    canvas, head, look = self.canvas, self._head, self._look
    mouth = face_shapes.mouth(head, self._change)
    curves = (mouth.upper, mouth.inner_upper, mouth.inner_lower, mouth.lower)
    upper, inner_upper, inner_lower, lower = (
      self._on(curve, 0.04) for curve in curves
    )
    between = face_shapes.between
    lips = look.lips * look.warmth
    unit = self._unit
    # The shadow under the lower lip.
    shadow = lower[4:-4] + [0, 0.035 * unit]
    canvas.shade(canvas.stroke(shadow, 0.03 * unit, 0.02 * unit), 0.68, 0.6)
    canvas.blend(canvas.cover(between(upper, inner_upper), 0.8), lips * 0.84)
    canvas.blend(canvas.cover(between(inner_lower, lower), 0.8), lips)
    shine = between(inner_lower, lower, 0.62)[8:-8]
    shine = canvas.cover(shine, 0.02 * unit)
    shine = shine * canvas.cover(between(inner_lower, lower))
    canvas.blend(shine, np.clip(lips * 1.25 + 0.1, 0, 1), 0.35)
    gap = float((inner_lower - inner_upper)[:, 1].max())
    canvas.mark(between(upper, inner_upper), UPPER_LIP)
    canvas.mark(between(inner_lower, lower), LOWER_LIP)
    if gap > 1:
      self._inner_mouth(inner_upper, inner_lower)
    line = canvas.stroke(inner_upper, 0.014 * unit, 0.6)
    canvas.blend(line, look.lips * 0.3, 0.75)
    ends = np.stack([inner_upper[0], inner_upper[-1]])
    for end in ends:
      corner = canvas.cover(_circle(end, 0.022 * unit), 0.012 * unit)
      canvas.shade(corner, 0.5, 0.7)

  def _inner_mouth(self, top, bottom) -> None:
    canvas = self.canvas
    inside = face_shapes.between(top, bottom)
    within = canvas.cover(inside)
    canvas.blend(within, np.array([0.2, 0.06, 0.07]))
    middle = (top + bottom) / 2
    if self._change.teeth < 0.5:  # the tongue is visible
      tongue = face_shapes.between(middle[5:-5], bottom[5:-5])
      mask = within * canvas.cover(tongue + [0, 2], 0.015 * self._unit)
      canvas.blend(mask, np.array([0.62, 0.28, 0.28]), 0.8)
    if self._change.teeth > 0:
      row = face_shapes.between(top, bottom, self._change.teeth * 0.92)
      teeth = within * canvas.cover(row, 0.5)
      canvas.blend(teeth, np.array([0.94, 0.92, 0.87]) * self._look.warmth)
      for i in range(3, len(top) - 2, 3):
        gap = canvas.stroke(np.stack([top[i], bottom[i]]), 1, 0.6)
        canvas.shade(teeth * gap, 0.8, 0.5)
      if self._change.teeth == 1:  # both rows
        seam = canvas.stroke(top + 0.5 * (bottom - top), 1, 0.7)
        canvas.shade(teeth * seam, 0.45, 0.8)
    # Lips shade the teeth, most of all at the corners.
    for end in (inside[0], inside[len(top) - 1]):
      dark = canvas.cover(_circle(end, 0.09 * self._unit), 0.04 * self._unit)
      canvas.shade(within * dark, 0.4, 0.8)
    rim = canvas.stroke(top, 0.03 * self._unit, 0.015 * self._unit)
    canvas.shade(within * rim, 0.6, 0.8)
    canvas.mark(inside, MOUTH)

  def _hair(self) -> None:
    canvas, look = self.canvas, self._look
    hair = self._flat(face_looks.front_hair(look, self._head))
    if look.style == "shaved":
      skull = self._flat(face_shapes.outline(self._head, self._change))
      mask = canvas.cover(hair, 0.05 * self._unit) * canvas.cover(skull)
      canvas.blend(mask, self._strands, 0.45)
      return
    # Its shadow on the skin.
    mask = canvas.cover(hair + [0, 0.03 * self._unit], 0.03 * self._unit)
    outline = self._flat(face_shapes.outline(self._head, self._change))
    canvas.shade(mask * canvas.cover(outline), 0.6, 0.6)
    canvas.blend(canvas.cover(hair, 0.8), self._strands)
    canvas.mark(hair, HAIR)


def _circle(centre: np.ndarray, radius: float | int) -> np.ndarray:
  angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
  return centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
