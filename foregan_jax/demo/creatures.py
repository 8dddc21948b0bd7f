"""The things of the demo world: jointed parts and how they swing.

A creature is a list of parts in its own frame: x forward, y down, the body
about one unit long. `species.py` says which there are.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

# What a part is painted with: the creature's texture, or one of its colours.
TEXTURE, PLAIN, LIGHT, DARK, WHITE, BLACK, GLASS = range(7)

Number = float | int

_OUTLINE = 40  # vertices of a blob
_SPINE = 14  # samples along a limb
_CAP = 0.18  # share of a limb's length that is rounded, at each end


@dataclasses.dataclass(frozen=True)
class Part:
  """One rigid or bending piece of a creature.

  Attributes:
    kind: "blob" (closed outline round its centre) or "limb" (along +x).
    size: Half axes of a blob; length and half width at the root of a limb.
    parent: Index of the part it hangs on; -1 is the creature itself.
    joint: Where on the parent (a limb's frame sits at its tip).
    rest: Angle at rest, radians clockwise on the screen.
    swing: Amplitude of the angle, radians.
    phase: Of all its movement, in turns.
    bend: Total angle of a limb's curve at rest.
    flex: Amplitude of the bend.
    wave: Amplitude of a wave that runs down a limb.
    taper: Half width at the tip over half width at the root.
    square: Exponent of the superellipse (2 = ellipse, larger = box).
    lobes: Amplitude of the outline's harmonics 2, 3, ...
    pulse: Relative amplitude of squash and stretch.
    bob: Amplitude of the joint's up and down.
    turns: Rotations per cycle (wheels).
    depth: Drawing order; below zero lies behind the body and is darker.
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
class Posed:
  """A part at one moment, in the creature's frame."""

  part: Part
  matrix: Float[np.ndarray, "3 3"]
  outline: Float[np.ndarray, "n 2"]


@dataclasses.dataclass(frozen=True)
class Creature:
  """Parts and the way they move through the world."""

  parts: tuple[Part, ...]
  grounded: bool
  rate: Number  # cycles of the gait per frame


def _matrix(x: Number, y: Number, angle: Number) -> np.ndarray:
  c, s = math.cos(angle), math.sin(angle)
  return np.array([[c, -s, x], [s, c, y], [0, 0, 1]])


def apply(
  matrix: Float[np.ndarray, "r 3"], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 2"]:
  """Map points by the first two rows of an affine matrix."""
  return points @ matrix[:2, :2].T + matrix[:2, 2]


def _blob(part: Part, wobble: Number) -> np.ndarray:
  theta = np.linspace(0, 2 * np.pi, _OUTLINE, endpoint=False)
  c, s = np.cos(theta), np.sin(theta)
  radius = np.ones(_OUTLINE)
  for i, amplitude in enumerate(part.lobes):
    radius += amplitude * np.cos((i + 2) * theta + (i + 1) * wobble)
  power = 2 / part.square
  stretch = 1 + part.pulse * math.sin(wobble)
  x = part.size[0] * stretch * np.sign(c) * np.abs(c) ** power
  y = part.size[1] / stretch * np.sign(s) * np.abs(s) ** power
  return radius[:, None] * np.stack([x, y], 1)


def _limb(part: Part, turn: Number) -> tuple[np.ndarray, np.ndarray]:
  """Return the outline and the matrix of the tip, in the limb's frame."""
  s = np.linspace(0, 1, _SPINE)
  angle = (part.bend + part.flex * math.sin(turn)) * s
  angle = angle + part.wave * s * np.sin(turn - 2 * np.pi * s)
  step = part.size[0] / (_SPINE - 1)
  middle = 0.5 * (angle[1:] + angle[:-1])
  x = np.concatenate([[0], np.cumsum(np.cos(middle))]) * step
  y = np.concatenate([[0], np.cumsum(np.sin(middle))]) * step
  edge = np.minimum(np.minimum(s, 1 - s) / _CAP, 1)
  width = part.size[1] * (1 + (part.taper - 1) * s)
  width = width * np.sqrt(np.maximum(edge * (2 - edge), 0))
  normal = np.stack([-np.sin(angle), np.cos(angle)], 1) * width[:, None]
  spine = np.stack([x, y], 1)
  outline = np.concatenate([spine + normal, (spine - normal)[::-1]])
  return outline, _matrix(x[-1], y[-1], angle[-1])


def pose(creature: Creature, clock: Number) -> list[Posed]:
  """Pose all parts at a time in cycles, in drawing order, back to front."""
  frames, posed = [], []
  for part in creature.parts:
    turn = 2 * math.pi * (clock + part.phase)
    parent = np.eye(3) if part.parent < 0 else frames[part.parent]
    angle = part.rest + part.swing * math.sin(turn)
    angle += part.turns * 2 * math.pi * clock
    lift = part.bob * math.sin(turn)
    matrix = parent @ _matrix(part.joint[0], part.joint[1] + lift, angle)
    if part.kind == "limb":
      outline, tip = _limb(part, turn)
      frames.append(matrix @ tip)
    else:
      outline = _blob(part, turn)
      frames.append(matrix)
    posed.append(Posed(part, matrix, apply(matrix, outline)))
  return sorted(posed, key=lambda p: p.part.depth)


def eye(parent: int, x: Number, y: Number, size: Number) -> list[Part]:
  """Return an eye: a white and a pupil that looks ahead."""
  white = Part("blob", (size, size), parent, (x, y), paint=WHITE, depth=4)
  pupil = (0.55 * size, 0.55 * size)
  at = (x + 0.3 * size, y)
  return [
    white,
    Part("blob", pupil, parent, at, paint=BLACK, depth=5),
  ]


def legs(
  xs: list[Number],
  y: Number,
  length: Number,
  width: Number,
  swing: Number,
  knee: Number,
) -> list[Part]:
  """Two legs at each x, near and far, half a turn apart."""
  legs = []
  for i, x in enumerate(xs):
    for far in (False, True):
      legs.append(
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
  return legs


def wheels(xs: list[Number], y: Number, radius: Number) -> list[Part]:
  """Return wheels with turning hubs, one at each x."""
  wheels = []
  for x in xs:
    rim, hub = (radius, radius), (0.55 * radius, 0.55 * radius)
    wheels.append(Part("blob", rim, joint=(x, y), depth=2, paint=BLACK))
    wheels.append(
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
  return wheels
