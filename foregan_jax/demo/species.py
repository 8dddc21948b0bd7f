"""The kinds of creatures in the demo data.

Train and val use disjoint kinds, so that val tests generalisation to new
shapes. Proportions and angles are sampled; their ranges are set by eye. The
name of a function is part of the names of its videos' folders.
"""

import functools
import math

import numpy as np

from foregan_jax.demo import creatures

_limb = functools.partial(creatures.Part, "limb")
_blob = functools.partial(creatures.Part, "blob")


def quadruped(rng: np.random.Generator) -> creatures.Creature:
  """Sample a four-legged animal."""
  u = rng.uniform
  half_height = u(0.2, 0.3)
  lobes = (u(-0.08, 0.08), u(-0.06, 0.06))
  body = _blob(
    (0.5, half_height), lobes=lobes, square=2.4, pulse=0.05, bob=0.03
  )
  parts = [body]
  neck = _limb(
    (u(0.2, 0.4), u(0.1, 0.15)),
    joint=(0.36, -0.06),
    rest=u(-1.1, -0.5),
    swing=0.14,
    taper=0.8,
    depth=1,
  )
  head = _blob(
    (u(0.18, 0.24), u(0.12, 0.17)),
    1,
    (0.08, 0.03),
    rest=u(0.6, 1.0),
    lobes=(0, 0.12),
    depth=2,
  )
  ear = (u(0.14, 0.26), u(0.05, 0.08))
  parts += [neck, head]
  parts.append(
    _limb(ear, 2, (-0.08, -0.08), -1.9, 0.25, depth=3, paint=creatures.DARK)
  )
  parts += creatures.eye_parts(2, 0.05, -0.04, 0.042)
  legs = [u(0.28, 0.36), u(-0.36, -0.3)]
  parts += creatures.leg_parts(
    legs, half_height * 0.55, u(0.36, 0.55), u(0.075, 0.11), u(0.4, 0.65), 0.4
  )
  tail = (u(0.25, 0.5), u(0.05, 0.1))
  curl = u(-0.6, 0.9)
  parts.append(
    _limb(
      tail,
      joint=(-0.44, -0.08),
      rest=math.pi + u(-0.2, 0.6),
      swing=0.3,
      bend=curl,
      wave=0.7,
      depth=-1,
      paint=creatures.PLAIN,
    )
  )
  return creatures.Creature(tuple(parts), True, u(0.056, 0.096))


def bird(rng: np.random.Generator) -> creatures.Creature:
  """Sample a bird that beats its wings."""
  u = rng.uniform
  body = _blob((0.45, u(0.2, 0.27)), rest=-0.1, lobes=(0, 0.1), bob=0.03)
  wing = (u(0.55, 0.75), u(0.17, 0.24))
  shape = {"swing": u(0.5, 0.8), "flex": 0.5, "bend": -0.5, "taper": 0.45}
  near = _limb(
    wing, 0, (0.05, -0.05), -1.9, depth=3, paint=creatures.PLAIN, **shape
  )
  far = _limb(wing, 0, (0.15, -0.08), -1.4, depth=-2, **shape)
  tail = _limb(
    (u(0.3, 0.5), 0.09),
    0,
    (-0.38, 0.0),
    math.pi,
    0.2,
    taper=u(1.2, 2.0),
    depth=-1,
    paint=creatures.DARK,
  )
  head = _blob((u(0.16, 0.2), u(0.15, 0.18)), 0, (0.43, -0.12), depth=1)
  beak = _limb(
    (0.24, 0.07), 4, (0.12, 0.03), 0.1, taper=0.15, paint=creatures.LIGHT
  )
  parts = [
    body,
    near,
    far,
    tail,
    head,
    beak,
    *creatures.eye_parts(4, 0.05, -0.03, 0.045),
  ]
  return creatures.Creature(tuple(parts), False, u(0.072, 0.112))


def fish(rng: np.random.Generator) -> creatures.Creature:
  """Sample a fish that swims through the air."""
  u = rng.uniform
  body = _blob((0.5, u(0.22, 0.33)), lobes=(0.05, u(-0.1, 0)), pulse=0.05)
  tail = _limb(
    (u(0.35, 0.5), 0.1),
    0,
    (-0.42, 0),
    math.pi,
    0.35,
    flex=0.5,
    taper=u(2.0, 2.8),
    depth=-1,
    paint=creatures.PLAIN,
  )
  top = (u(0.35, 0.5), u(0.1, 0.16))
  back = _limb(
    top, 0, (0.05, -0.18), -2.5, 0.15, bend=-0.4, depth=-1, paint=creatures.DARK
  )
  fin = _limb(
    (u(0.25, 0.35), 0.09),
    0,
    (0.1, 0.08),
    2.2,
    0.5,
    0.3,
    taper=1.4,
    depth=2,
    paint=creatures.PLAIN,
  )
  lip = _blob((0.08, 0.06), 0, (0.47, 0.06), depth=-1, paint=creatures.LIGHT)
  parts = [
    body,
    tail,
    back,
    fin,
    lip,
    *creatures.eye_parts(0, 0.3, -0.06, 0.06),
  ]
  return creatures.Creature(tuple(parts), False, u(0.064, 0.104))


def beetle(rng: np.random.Generator) -> creatures.Creature:
  """Sample a domed insect on six legs."""
  u = rng.uniform
  half_height = u(0.26, 0.36)
  body = _blob((0.5, half_height), square=u(2, 2.6), pulse=0.03, bob=0.02)
  head = _blob(
    (u(0.16, 0.22), 0.16), 0, (0.5, 0.05), paint=creatures.DARK, depth=-1
  )
  horn = _limb(
    (u(0.25, 0.4), 0.035), 1, (0.08, -0.1), -1, 0.3, bend=0.9, flex=0.4
  )
  seam = (0.46, 0.05)
  belt = _blob(seam, 0, (0, 0.12), depth=1, paint=creatures.LIGHT)
  legs = creatures.leg_parts(
    [0.34, 0.02, -0.3], 0.16, u(0.3, 0.42), 0.055, 0.5, 0.6
  )
  parts = [
    body,
    head,
    horn,
    belt,
    *creatures.eye_parts(1, 0.06, -0.04, 0.05),
    *legs,
  ]
  return creatures.Creature(tuple(parts), True, u(0.08, 0.128))


def car(rng: np.random.Generator) -> creatures.Creature:
  """Sample a car."""
  u = rng.uniform
  half_height, top = u(0.15, 0.2), u(0.22, 0.32)
  body = _blob((0.58, half_height), square=u(3, 5), bob=0.015)
  at = (u(-0.14, 0.02), -half_height - 0.04)
  cabin = _blob((top, 0.17), 0, at, square=3, depth=-1, paint=creatures.PLAIN)
  pane = _blob(
    (0.34 * top, 0.09), 1, (0.5 * top, -0.01), square=4, paint=creatures.GLASS
  )
  rear = _blob(
    (0.34 * top, 0.09), 1, (-0.4 * top, -0.01), square=4, paint=creatures.GLASS
  )
  lamp = _blob(
    (0.05, 0.05), 0, (0.53, -0.04), depth=1, paint=creatures.WHITE, bob=0.0
  )
  wheels = creatures.wheel_parts(
    [u(0.28, 0.36), u(-0.38, -0.3)], half_height * 0.85, u(0.13, 0.17)
  )
  parts = [body, cabin, pane, rear, lamp, *wheels]
  return creatures.Creature(tuple(parts), True, u(0.072, 0.12))


def biped(rng: np.random.Generator) -> creatures.Creature:
  """Sample a robot or a person that walks."""
  u = rng.uniform
  box = u(2, 4)
  body = _blob((u(0.2, 0.27), 0.33), square=box, bob=0.02, swing=0.04)
  head = _blob(
    (u(0.15, 0.2), u(0.15, 0.2)),
    0,
    (0.03, -0.47),
    swing=0.1,
    square=box,
    depth=1,
    paint=creatures.PLAIN,
  )
  cap = _blob((0.17, 0.06), 1, (0, -0.14), depth=2, paint=creatures.DARK)
  parts = [body, head, cap, *creatures.eye_parts(1, 0.08, -0.02, 0.045)]
  for far in (False, True):
    parts.append(
      _limb(
        (u(0.4, 0.48), 0.075),
        0,
        (0.0, -0.2),
        math.pi / 2,
        u(0.6, 0.9),
        phase=0.5 * far,
        bend=-0.5,
        flex=0.3,
        taper=0.8,
        depth=-2 if far else 3,
        paint=creatures.LIGHT,
      )
    )
  parts += creatures.leg_parts(
    [0.0], 0.24, u(0.45, 0.55), 0.1, u(0.5, 0.7), 0.4
  )
  return creatures.Creature(tuple(parts), True, u(0.056, 0.088))


def saurian(rng: np.random.Generator) -> creatures.Creature:
  """Sample a long-necked, thick-tailed reptile with plates on its back."""
  u = rng.uniform
  body = _blob((0.4, u(0.22, 0.27)), lobes=(0, 0.06), bob=0.02)
  neck = _limb(
    (u(0.5, 0.65), 0.15),
    0,
    (0.24, -0.06),
    -0.3,
    0.15,
    bend=-0.9,
    flex=0.2,
    taper=0.5,
    depth=-1,
  )
  head = _blob((0.15, 0.1), 1, (0.06, 0.03), 1.2, lobes=(0, 0.15))
  tail = _limb(
    (u(0.6, 0.8), 0.17),
    0,
    (-0.25, 0.0),
    math.pi - 0.2,
    0.15,
    bend=0.5,
    wave=0.5,
    taper=0.15,
    depth=-1,
  )
  parts = [body, neck, head, tail, *creatures.eye_parts(2, 0.03, -0.03, 0.035)]
  for x in (-0.25, -0.05, 0.15):
    parts.append(
      _limb(
        (0.2, 0.09),
        0,
        (x, -0.15),
        -math.pi / 2 - 0.2,
        0.06,
        taper=0.3,
        depth=-1,
        paint=creatures.LIGHT,
      )
    )
  parts += creatures.leg_parts(
    [0.2, -0.2], 0.12, u(0.3, 0.4), 0.1, u(0.4, 0.6), 0.3
  )
  return creatures.Creature(tuple(parts), True, u(0.048, 0.08))


def caterpillar(rng: np.random.Generator) -> creatures.Creature:
  """Sample a chain of segments with a wave running through it."""
  u = rng.uniform
  count, size = int(rng.integers(5, 7)), u(0.15, 0.19)
  parts = []
  for i in range(count):
    x = (0.5 * (count - 1) - i) * 1.45 * size
    girth = size * (1 if i else 1.15)
    parts.append(
      _blob(
        (girth, girth),
        joint=(x, 0),
        phase=-i / count,
        bob=0.09,
        pulse=0.1,
        depth=1 if i % 2 else 0,
        paint=creatures.TEXTURE if i % 2 else creatures.PLAIN,
      )
    )
    if i:
      foot = (0.12, 0.05)
      parts.append(
        _limb(
          foot,
          joint=(x, 0.8 * size),
          rest=math.pi / 2,
          swing=0.5,
          phase=-i / count,
          depth=-1,
          paint=creatures.DARK,
        )
      )
  parts += creatures.eye_parts(0, 0.06, -0.04, 0.055)
  for rest in (-1.7, -1.0):
    parts.append(
      _limb(
        (0.24, 0.03),
        0,
        (0.03, -0.15),
        rest,
        0.25,
        bend=0.6,
        paint=creatures.DARK,
        depth=-1,
      )
    )
  return creatures.Creature(tuple(parts), True, u(0.064, 0.096))


def octopus(rng: np.random.Generator) -> creatures.Creature:
  """Sample a floating head with waving arms."""
  u = rng.uniform
  head = _blob((u(0.3, 0.38), u(0.32, 0.4)), lobes=(0, 0.07), pulse=0.1)
  parts = [
    head,
    *creatures.eye_parts(0, 0.1, 0.02, 0.07),
    *creatures.eye_parts(0, 0.27, 0.02, 0.055),
  ]
  count = int(rng.integers(5, 7))
  for i in range(count):
    share = i / (count - 1) - 0.5
    parts.append(
      _limb(
        (u(0.5, 0.65), 0.085),
        0,
        (0.45 * share, 0.22),
        math.pi / 2 - 0.9 * share + 0.35,
        0.2,
        phase=0.27 * i,
        wave=1.1,
        bend=0.5,
        taper=0.4,
        depth=1 if i % 2 else -1,
        paint=creatures.PLAIN if i % 2 else creatures.TEXTURE,
      )
    )
  return creatures.Creature(tuple(parts), False, u(0.048, 0.08))


def truck(rng: np.random.Generator) -> creatures.Creature:
  """Sample a lorry: cab and load on three axles."""
  u = rng.uniform
  half_height = u(0.22, 0.3)
  load = _blob(
    (0.4, half_height), joint=(-0.18, -half_height), square=7, bob=0.015
  )
  cab = _blob(
    (0.17, 0.2),
    joint=(0.43, -0.18),
    square=4,
    bob=0.01,
    phase=0.3,
    paint=creatures.PLAIN,
  )
  bed = _blob((0.6, 0.05), square=6, depth=-1, paint=creatures.DARK)
  pane = _blob(
    (0.08, 0.08), 1, (0.07, -0.05), square=4, depth=1, paint=creatures.GLASS
  )
  lamp = _blob((0.035, 0.04), 1, (0.16, 0.12), depth=1, paint=creatures.WHITE)
  wheels = creatures.wheel_parts([0.42, -0.2, -0.44], 0.04, u(0.12, 0.14))
  parts = [load, cab, bed, pane, lamp, *wheels]
  return creatures.Creature(tuple(parts), True, u(0.072, 0.12))


# The splits are disjoint: val shows kinds that train does not contain.
KINDS = {
  "train": (quadruped, bird, fish, beetle, car),
  "val": (biped, saurian, caterpillar, octopus, truck),
}
