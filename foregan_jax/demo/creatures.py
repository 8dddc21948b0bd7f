"""Jointed creatures of the demo data: their parts and periodic motion.

A creature is a list of parts in its own frame: x forward, y down, the body
about one unit long. `species.py` defines the kinds.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

# Values of `Part.paint`: the creature's texture, or a colour of its palette.
TEXTURE, PLAIN, LIGHT, DARK, WHITE, BLACK, GLASS = range(7)

Number = float | int

_BLOB_VERTICES = 40  # of the outline
_LIMB_SAMPLES = 14  # along the centre line
_CAP_SHARE = 0.18  # of a limb's length, rounded at each end


@dataclasses.dataclass(frozen=True)
class Part:
  """One rigid or bending part of a creature.

  Attributes:
    kind: "blob" (closed outline around its centre) or "limb" (along +x).
    size: Half axes of a blob; length and half width at the root of a limb.
    parent: Index of the part that carries this one; -1 is the creature.
    joint: Position in the parent's frame (a limb's children: from its tip).
    rest: Angle at rest, radians clockwise on the screen.
    swing: Amplitude of the angle, radians.
    phase: Phase of every motion of the part, in cycles.
    bend: Total angle of a limb's curve at rest, radians.
    flex: Amplitude of the bend, radians.
    wave: Amplitude of a wave that travels along a limb, radians.
    taper: Half width at the tip divided by half width at the root.
    square: Exponent of the superellipse (2 = ellipse, larger = box).
    lobes: Amplitude of the outline's harmonics 2, 3, ...
    pulse: Relative amplitude of squash and stretch.
    bob: Amplitude of the joint's vertical motion.
    turns: Rotations per cycle (wheels).
    depth: Drawing order; parts below 0 are behind the body and darker.
    paint: One of the constants above.
  """

  kind: str
  size: tuple[Number, Number]
  parent: int = -1
  joint: tuple[Number, Number] = (0.0, 0.0)
  rest: Number = 0.0
  swing: Number = 0.0
  phase: Number = 0.0
  bend: Number = 0.0
  flex: Number = 0.0
  wave: Number = 0.0
  taper: Number = 0.6
  square: Number = 2.0
  lobes: tuple[Number, ...] = ()
  pulse: Number = 0.0
  bob: Number = 0.0
  turns: Number = 0.0
  depth: int = 0
  paint: int = TEXTURE


@dataclasses.dataclass(frozen=True)
class PosedPart:
  """A part at one time, in the creature's frame."""

  part: Part
  matrix: Float[np.ndarray, "3 3"]  # part -> creature
  outline: Float[np.ndarray, "n 2"]


@dataclasses.dataclass(frozen=True)
class Creature:
  """The parts of a creature and how it moves."""

  parts: tuple[Part, ...]
  grounded: bool  # stands on the ground; otherwise it floats
  rate: Number  # cycles of the gait per frame


def _matrix(x: Number, y: Number, angle: Number) -> np.ndarray:
  """Return the matrix [3, 3] that rotates by radians, then translates."""
  c, s = math.cos(angle), math.sin(angle)
  return np.array([[c, -s, x], [s, c, y], [0, 0, 1]])


def apply(
  matrix: Float[np.ndarray, "r 3"], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 2"]:
  """Map points by the first two rows of an affine matrix."""
  return points @ matrix[:2, :2].T + matrix[:2, 2]


def _blob_outline(part: Part, phase: Number) -> np.ndarray:
  """Return a blob's outline [n, 2] at a phase in radians."""
  theta = np.linspace(0, 2 * np.pi, _BLOB_VERTICES, endpoint=False)
  c, s = np.cos(theta), np.sin(theta)
  radius = np.ones(_BLOB_VERTICES)
  for i, amplitude in enumerate(part.lobes):
    radius += amplitude * np.cos((i + 2) * theta + (i + 1) * phase)
  power = 2 / part.square
  stretch = 1 + part.pulse * math.sin(phase)
  x = part.size[0] * stretch * np.sign(c) * np.abs(c) ** power
  y = part.size[1] / stretch * np.sign(s) * np.abs(s) ** power
  return radius[:, None] * np.stack([x, y], 1)


def _limb_outline(part: Part, phase: Number) -> tuple[np.ndarray, np.ndarray]:
  """Return a limb's outline [n, 2] and its tip's matrix at a phase.

  Both are in the limb's frame; the phase is in radians.
  """
  s = np.linspace(0, 1, _LIMB_SAMPLES)
  angle = (part.bend + part.flex * math.sin(phase)) * s
  angle = angle + part.wave * s * np.sin(phase - 2 * np.pi * s)
  step = part.size[0] / (_LIMB_SAMPLES - 1)
  middle = 0.5 * (angle[1:] + angle[:-1])
  x = np.concatenate([[0], np.cumsum(np.cos(middle))]) * step
  y = np.concatenate([[0], np.cumsum(np.sin(middle))]) * step
  edge = np.minimum(np.minimum(s, 1 - s) / _CAP_SHARE, 1)
  width = part.size[1] * (1 + (part.taper - 1) * s)
  width = width * np.sqrt(np.maximum(edge * (2 - edge), 0))
  normal = np.stack([-np.sin(angle), np.cos(angle)], 1) * width[:, None]
  spine = np.stack([x, y], 1)
  outline = np.concatenate([spine + normal, (spine - normal)[::-1]])
  return outline, _matrix(x[-1], y[-1], angle[-1])


def pose(creature: Creature, cycles: Number) -> list[PosedPart]:
  """Return all parts at a time in gait cycles, sorted from back to front."""
  frames, posed = [], []
  for part in creature.parts:
    phase = 2 * math.pi * (cycles + part.phase)
    parent = np.eye(3) if part.parent < 0 else frames[part.parent]
    angle = part.rest + part.swing * math.sin(phase)
    angle += part.turns * 2 * math.pi * cycles
    lift = part.bob * math.sin(phase)
    matrix = parent @ _matrix(part.joint[0], part.joint[1] + lift, angle)
    if part.kind == "limb":
      outline, tip = _limb_outline(part, phase)
      frames.append(matrix @ tip)
    else:
      outline = _blob_outline(part, phase)
      frames.append(matrix)
    posed.append(PosedPart(part, matrix, apply(matrix, outline)))
  return sorted(posed, key=lambda p: p.part.depth)


def eye_parts(parent: int, x: Number, y: Number, size: Number) -> list[Part]:
  """Return the white of an eye and a pupil that is shifted forward."""
  white = Part("blob", (size, size), parent, (x, y), paint=WHITE, depth=4)
  pupil_size = (0.55 * size, 0.55 * size)
  centre = (x + 0.3 * size, y)
  pupil = Part("blob", pupil_size, parent, centre, paint=BLACK, depth=5)
  return [white, pupil]


def leg_parts(
  xs: list[Number],
  y: Number,
  length: Number,
  width: Number,
  swing: Number,
  knee: Number,
) -> list[Part]:
  """Return two legs at each x, near and far, half a cycle apart."""
  parts = []
  for i, x in enumerate(xs):
    for far in (False, True):
      parts.append(
        Part(
          "limb",
          (length, width),
          joint=(x + 0.05 * far, y),
          rest=math.pi / 2 + 0.1 - 0.2 * (i % 2),
          swing=swing,
          phase=0.5 * far + 0.31 * i,
          bend=knee * (1 - 2 * (i % 2)),
          flex=0.5 * swing,
          taper=0.62,
          depth=-2 if far else 2,
          paint=PLAIN,
        )
      )
  return parts


def wheel_parts(xs: list[Number], y: Number, radius: Number) -> list[Part]:
  """Return a wheel with a turning hub at each x."""
  parts = []
  for x in xs:
    rim, hub = (radius, radius), (0.55 * radius, 0.55 * radius)
    parts.append(Part("blob", rim, joint=(x, y), depth=2, paint=BLACK))
    parts.append(
      Part(
        "blob",
        hub,
        joint=(x, y),
        lobes=(0, 0, 0.28),
        turns=1,
        depth=3,
        paint=LIGHT,
      )
    )
  return parts
