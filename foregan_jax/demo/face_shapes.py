"""Shapes of the faces of the demo data: outlines of the parts of a head.

A head is described in its own frame: x to the right of the picture, y down, the
centre of the head at 0, its top at -1 and its chin at 1. Proportions are those
of adults, with ranges set by eye.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "_ 2"]
Number = float | int

_SAMPLES = 24  # points along a curve
_DEPTH = 0.75  # of the head, from its outline to its front


@dataclasses.dataclass(frozen=True)
class Expression:
  """Changes of a neutral face; 0 is neutral, 1 strong.

  Attributes:
    corners: of the mouth, up.
    width: of the mouth, as a share of its neutral width.
    open: height of the inner mouth.
    teeth: share of the inner mouth that shows upper teeth.
    press: how far the lips are pressed together.
    pout: of the lower lip.
    lids: how far the upper lids open; negative: droop.
    lower_lids: how far the lower lids rise.
    brows: height of the brows.
    inner_brows: height of their inner ends.
    cheeks: how far they bulge.
    folds: depth of the folds beside the mouth.
    furrow: depth of the folds between the brows.
    wrinkles: depth of the folds of the forehead.
  """

  corners: Number = 0.0
  width: Number = 0.0
  open: Number = 0.0
  teeth: Number = 0.0
  press: Number = 0.0
  pout: Number = 0.0
  lids: Number = 0.0
  lower_lids: Number = 0.0
  brows: Number = 0.0
  inner_brows: Number = 0.0
  cheeks: Number = 0.0
  folds: Number = 0.0
  furrow: Number = 0.0
  wrinkles: Number = 0.0


@dataclasses.dataclass(frozen=True)
class Head:
  """The shape of a person's head.

  Attributes:
    half_width: of the head at its cheeks.
    jaw: half width of the jaw.
    chin: half width of the chin.
    eye_x: distance of the eyes from the middle.
    eye_y: height of the eyes.
    eye_width: half width of an eye.
    eye_open: height of an open eye.
    eye_tilt: slope of the eyes, outer corners up.
    brow_y: height of the brows.
    brow_arch: of the brows.
    brow_width: half thickness of the brows.
    nose_width: half width of the nose.
    nose_y: height of its base.
    mouth_y: height of the mouth.
    mouth_width: half width of the mouth.
    lips: thickness of the upper and the lower lip.
    skew: random differences between both sides.
  """

  half_width: Number
  jaw: Number
  chin: Number
  eye_x: Number
  eye_y: Number
  eye_width: Number
  eye_open: Number
  eye_tilt: Number
  brow_y: Number
  brow_arch: Number
  brow_width: Number
  nose_width: Number
  nose_y: Number
  mouth_y: Number
  mouth_width: Number
  lips: tuple[Number, Number]
  skew: tuple[Number, ...]


@dataclasses.dataclass(frozen=True)
class Pose:
  """The place of a head in a picture, in pixels and radians."""

  centre: tuple[Number, Number]
  scale: Number  # pixels per unit
  roll: Number
  yaw: Number
  pitch: Number


@dataclasses.dataclass(frozen=True)
class Mouth:
  """The outlines of a mouth; curves run from left to right."""

  upper: Points  # outer border of the upper lip
  inner_upper: Points
  inner_lower: Points
  lower: Points


def sample_head(rng: np.random.Generator) -> Head:
  """Sample the shape of a head."""
  u = rng.uniform
  half_width = u(0.66, 0.78)
  upper = u(0.042, 0.066)
  return Head(
    half_width=half_width,
    jaw=half_width * u(0.74, 0.9),
    chin=u(0.22, 0.36),
    eye_x=0.44 * half_width + u(0.0, 0.03),
    eye_y=u(-0.04, 0.05),
    eye_width=u(0.15, 0.18),
    eye_open=u(0.1, 0.14),
    eye_tilt=u(-0.05, 0.14),
    brow_y=u(0.22, 0.27),
    brow_arch=u(0.02, 0.07),
    brow_width=u(0.024, 0.042),
    nose_width=u(0.13, 0.19),
    nose_y=u(0.33, 0.4),
    mouth_y=u(0.58, 0.64),
    mouth_width=u(0.25, 0.31),
    lips=(upper, upper * u(1.25, 1.7)),
    skew=tuple(rng.normal(0, 1, 4)),
  )


# Weights of four neighbouring points, for places between the middle two.
_T = np.linspace(0, 1, 6, endpoint=False)[:, None]
_CATMULL_ROM = np.concatenate(
  [
    -0.5 * _T + _T**2 - 0.5 * _T**3, 1 - 2.5 * _T**2 + 1.5 * _T**3,
    0.5 * _T + 2 * _T**2 - 1.5 * _T**3, -0.5 * _T**2 + 0.5 * _T**3,
  ],
  axis=1,
)  # fmt: skip


def spline(points: Points, closed: bool = False) -> Points:
  """Return a smooth curve through points."""
  if closed:
    around = np.concatenate([points[-1:], points, points[:2]])
  else:
    around = np.concatenate([points[:1], points, points[-1:]])
  starts = np.arange(len(around) - 3)
  fours = around[starts[:, None] + np.arange(4)]
  curve = (_CATMULL_ROM @ fours).reshape(-1, 2)
  return curve if closed else np.concatenate([curve, points[-1:]])


def depth(points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
  """Return how far the surface of a head is in front of its outline."""
  x, y = points[..., 0] / 0.85, points[..., 1] / 1.12
  return _DEPTH * np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))


def turn(pose: Pose, points: Points, lift: Number = 0.0) -> Points:
  """Return points on a head after it turns, in the frame of its outline.

  Args:
    pose: its yaw and pitch are used.
    points: points on the head as seen from the front.
    lift: how far they are in front of the smooth head.
  """
  z = depth(points) + lift
  x = points[:, 0] * math.cos(pose.yaw) + z * math.sin(pose.yaw)
  y = points[:, 1] * math.cos(pose.pitch) + z * math.sin(pose.pitch)
  return np.stack([x, y], 1)


def place(pose: Pose, points: Points) -> Points:
  """Map points in the frame of the outline to pixels."""
  c, s = math.cos(pose.roll), math.sin(pose.roll)
  turned = points @ np.array([[c, s], [-s, c]])
  return pose.scale * turned + pose.centre


def outline(head: Head, change: Expression) -> Points:
  """Return the outline of the head; an open mouth lowers the chin."""
  w = head.half_width
  side = np.array(
    [
      [0.42 * w, -0.95], [0.8 * w, -0.72], [w, -0.3], [0.98 * w, 0.15],
      [head.jaw, 0.57], [0.5 * (head.jaw + head.chin), 0.83],
      [0.8 * head.chin, 0.97],
    ]
  )  # fmt: skip
  left = side[::-1] * [-1, 1]
  points = np.concatenate([[[0, -1.0]], side, [[0, 1.0]], left])
  lower = np.clip((points[:, 1] - 0.3) / 0.7, 0, 1)
  points[:, 1] += 0.16 * change.open * lower
  return spline(points, closed=True)


def eye(head: Head, change: Expression, side: int) -> tuple[Points, Points]:
  """Return the upper and lower lid of an eye, from the nose outwards.

  Args:
    head: the head.
    change: the expression.
    side: 1 is on the right in the picture, -1 on the left.
  """
  t = np.linspace(-1, 1, _SAMPLES)
  bow = np.clip(1 - t**2, 0, 1) ** 0.75
  opened = head.eye_open * (1 + 0.05 * side * head.skew[0])
  up = opened * (0.62 + 0.45 * change.lids) * bow * (1 - 0.18 * t)
  down = opened * (0.38 - 0.5 * change.lower_lids) * bow * (1 + 0.15 * t)
  slope = -head.eye_tilt * head.eye_width * t
  x = side * (head.eye_x + head.eye_width * t)
  # Even a closed eye has some height.
  return (
    np.stack([x, head.eye_y + slope - np.maximum(up, 0.012)], 1),
    np.stack([x, head.eye_y + slope + down], 1),
  )


def brow(head: Head, change: Expression, side: int) -> Points:
  """Return the closed outline of a brow."""
  t = np.linspace(0, 1, _SAMPLES)
  x = head.eye_x + head.eye_width * (-1.15 + 2.5 * t)
  arch = head.brow_arch * np.sin(np.pi * np.clip(t / 1.3, 0, 1))
  drop = 0.06 * np.clip(t - 0.6, 0, 1) ** 1.5 / 0.4**1.5
  inner = 0.13 * change.inner_brows * (1 - t) ** 1.5
  raised = 0.12 * change.brows + 0.01 * side * head.skew[1]
  y = head.eye_y - head.brow_y - arch + drop - inner - raised
  half = head.brow_width * np.interp(
    t, [0, 0.12, 0.55, 1], [0.55, 1.0, 0.95, 0.15]
  )
  top = np.stack([side * x, y - half], 1)
  bottom = np.stack([side * x, y + half], 1)
  return np.concatenate([top, bottom[::-1]])


def nose(head: Head) -> Points:
  """Return the closed outline of the nose."""
  w, base = head.nose_width, head.nose_y
  side = np.array(
    [
      [0.35 * w, head.eye_y], [0.42 * w, 0.4 * base],
      [0.75 * w, 0.72 * base], [w, base - 0.05], [0.8 * w, base + 0.02],
      [0.3 * w, base + 0.035],
    ]
  )  # fmt: skip
  return spline(np.concatenate([side, side[::-1] * [-1, 1]]), closed=True)


def mouth(head: Head, change: Expression) -> Mouth:
  """Return the outlines of the mouth."""
  t = np.linspace(-1, 1, _SAMPLES + 1)
  half = head.mouth_width * (1 + change.width)
  bow = np.clip(1 - t**2, 0, 1)
  thin = 1 - 0.55 * change.press
  upper, lower = (thin * thickness for thickness in head.lips)
  upper *= 1 - 0.35 * max(change.corners, 0)
  lower *= 1 + 0.25 * change.pout - 0.15 * max(change.corners, 0)
  corner = -0.1 * change.corners + 0.006 * head.skew[2] * t
  # The middle moves against the corners, by less.
  line = head.mouth_y + 0.035 * change.corners - 0.03 * change.pout
  line = line + corner * np.abs(t) ** 2
  gap = 0.3 * change.open
  up = 0.3 * gap * bow**0.6
  down = 0.7 * gap * bow**0.55
  cupid = 1 + 0.12 * np.exp(-(((np.abs(t) - 0.22) / 0.16) ** 2))
  cupid = cupid - 0.2 * np.exp(-((t / 0.12) ** 2))
  x = half * t + 0.012 * head.skew[3] * bow
  # A closed mouth has a line that is slightly bent towards the upper lip.
  bend = 0.006 * np.cos(3 * np.pi * t) * bow
  inner_upper = line - up + bend
  inner_lower = line + down + bend
  curve = lambda y: np.stack([x, y], 1)
  return Mouth(
    upper=curve(inner_upper - upper * bow**0.6 * cupid),
    inner_upper=curve(inner_upper),
    inner_lower=curve(inner_lower),
    lower=curve(inner_lower + lower * bow**0.7),
  )


def between(first: Points, second: Points, share: Number = 1.0) -> Points:
  """Return the closed outline between two curves, or its first share."""
  end = first + share * (second - first)
  return np.concatenate([first, end[::-1]])
