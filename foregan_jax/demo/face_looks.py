"""Looks of the faces of the demo data: colours, hair and light.

Positions are in the frame of `face_shapes`; positions and strengths are set by
eye.
"""

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from foregan_jax.demo import face_canvas, face_shapes

Colour = Float[np.ndarray, "3"]

# sRGB, from light to dark. Colours are set by eye.
_SKIN = np.array(
  [
    [250, 219, 194], [240, 196, 162], [224, 172, 132], [198, 140, 100],
    [165, 110, 76], [125, 80, 54], [88, 56, 40],
  ]
) / 255  # fmt: skip
_HAIR = np.array(
  [
    [24, 20, 20], [48, 34, 28], [84, 56, 38], [120, 82, 50], [110, 52, 32],
    [190, 150, 92], [222, 190, 130], [150, 146, 142],
  ]
) / 255  # fmt: skip
_IRIS = np.array(
  [[70, 44, 26], [98, 66, 38], [92, 104, 62], [88, 122, 150], [120, 136, 142]]
) / 255  # fmt: skip
# The colour of lips relative to skin, with and without lipstick.
_LIP_TINT = np.array([[0.8, 0.52, 0.52], [0.88, 0.72, 0.69]])
_STYLES = ("short", "parted", "bangs", "long", "bob", "curls", "shaved")
_STYLE_SHARES = (0.2, 0.2, 0.1, 0.2, 0.12, 0.1, 0.08)
_LONG = ("long", "bob")
_STRANDS = 512  # values of a table around the head
_BEARDS = 0.4  # share of faces with a beard, of those that may have one
_BEARD_CONTRAST = 0.5  # a beard's hair is darker than this share of the skin


@dataclasses.dataclass(frozen=True)
class Look:
  """The colours and hair of a person, and the light of a picture."""

  skin: Colour
  lips: Colour
  hair: Colour
  iris: Colour
  cloth: Colour
  backdrop: tuple[Colour, Colour]
  style: str
  volume: float  # of the hair around the head
  hairline: float  # height of the hair on the forehead
  parting: float  # x of the parting
  beard: float  # 0: none
  light: Float[np.ndarray, "3"]  # direction
  warmth: Colour
  ambient: float
  grain: int  # seed of textures


def sample_look(rng: np.random.Generator) -> Look:
  """Sample the look of a person in a picture."""
  u = rng.uniform
  tone = u(0, len(_SKIN) - 1)
  skin = np.array([np.interp(tone, range(len(_SKIN)), c) for c in _SKIN.T])
  skin = np.clip(skin * (1 + 0.03 * rng.normal(size=3)), 0, 1)
  # Blond and red hair for light skin only.
  choices = len(_HAIR) if tone < 2 else 3
  hair = _HAIR[rng.integers(choices)] * u(0.85, 1.15)
  iris = _IRIS[rng.integers(len(_IRIS) if tone < 2.5 else 2)]
  style = str(rng.choice(_STYLES, p=_STYLE_SHARES))
  short = style in ("short", "parted", "shaved", "curls")
  # A beard as light as the skin looks like dirt.
  grows = short and hair.mean() < _BEARD_CONTRAST * skin.mean()
  hue = lambda low, high: _from_hsv(u(0, 1), u(0.05, 0.6), u(low, high))
  angle, tint = u(-1.1, 1.1), u(0, 1)
  return Look(
    skin=skin,
    lips=np.clip(
      skin * (tint * _LIP_TINT[0] + (1 - tint) * _LIP_TINT[1]), 0, 1
    ),
    hair=np.clip(hair, 0, 1),
    iris=np.clip(iris * u(0.8, 1.2), 0, 1),
    cloth=hue(0.15, 0.9),
    backdrop=(hue(0.25, 0.9), hue(0.15, 0.8)),
    style=style,
    volume=u(0.05, 0.14),
    hairline=u(-0.68, -0.54),
    parting=u(-0.35, 0.35),
    beard=u(0.4, 0.9) if grows and rng.random() < _BEARDS else 0.0,
    light=np.array([math.sin(angle) * 0.75, u(-0.6, -0.25), 0.8]),
    warmth=np.array([1.0, u(0.95, 1.0), u(0.93, 1.04)]),
    ambient=u(0.42, 0.6),
    grain=int(rng.integers(2**31)),
  )


def _from_hsv(hue: float, saturation: float, value: float) -> np.ndarray:
  pixel = np.array([[[360 * hue, saturation, value]]], np.float32)
  return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(float)


def backdrop(look: Look, size: int) -> Float[np.ndarray, "s s 3"]:
  """Return a blurred background."""
  rng = np.random.default_rng(look.grain)
  ramp = np.linspace(-0.3, 0.3, 6)[:, None]
  mix = np.clip(rng.random((6, 6)) + ramp, 0, 1)[..., None]
  first, second = look.backdrop
  small = (mix * first + (1 - mix) * second).astype(np.float32)
  return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


# Textures are computed in the frame of the outline, from `_LOW` to `_HIGH`.
_LOW, _HIGH, _CELLS = -1.5, 1.7, 144
_AXIS = np.linspace(_LOW, _HIGH, _CELLS, dtype=np.float32)


def _to_canvas(
  texture: np.ndarray, pose: face_shapes.Pose, size: int
) -> Float[np.ndarray, "s s 3"]:
  """Map a texture of the outline's frame to the picture."""
  corners = np.array([[_LOW, _LOW], [_HIGH, _LOW], [_LOW, _HIGH]])
  end = _CELLS - 1
  matrix = cv2.getAffineTransform(
    np.array([[0, 0], [end, 0], [0, end]], np.float32),
    # OpenCV's positions are those of pixel centres.
    (face_shapes.place(pose, corners) - 0.5).astype(np.float32),
  )
  return cv2.warpAffine(
    np.clip(texture, 0, 1).astype(np.float32), matrix, (size, size),
    flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
  )  # fmt: skip


def _hills(
  hills: Sequence[tuple[tuple[float, float], tuple[float, float], float]],
) -> Float[np.ndarray, "n n"]:
  """Return a sum of Gaussians: centre, widths and height of each."""
  centres, widths, heights = (
    np.array(part, np.float32) for part in zip(*hills, strict=True)
  )
  bell = lambda k: np.exp(
    -(((_AXIS - centres[:, k : k + 1]) / widths[:, k : k + 1]) ** 2)
  )
  return (bell(1) * heights[:, None]).T @ bell(0)


def skin(
  look: Look,
  pose: face_shapes.Pose,
  head: face_shapes.Head,
  change: face_shapes.Expression,
  size: int,
) -> Float[np.ndarray, "s s 3"]:
  """Return the shaded skin of a head, for the whole picture."""
  narrow = 0.735 / head.half_width  # as far as the outline
  x, y = np.meshgrid(_AXIS * narrow, _AXIS / 1.02)
  height = face_shapes.depth(np.stack([x, y], -1)).astype(np.float32)
  bumps = list(_bumps(head, change))
  centres = face_shapes.turn(pose, np.array([centre for centre, *_ in bumps]))
  height += _hills(
    [
      (tuple(centre), *bump)
      for centre, (_, *bump) in zip(centres, bumps, strict=True)
    ]
  )
  height = cv2.GaussianBlur(height, (0, 0), 1.2)
  dy, dx = np.gradient(height, _AXIS[1] - _AXIS[0])
  length = np.sqrt(dx**2 + dy**2 + 1)
  light = look.light.astype(np.float32)
  light = light / np.linalg.norm(light)
  facing = (-dx * light[0] - dy * light[1] + light[2]) / length
  # Light that is scattered inside the skin reaches beyond the shadow's border.
  diffuse = np.clip((facing + 0.25) / 1.25, 0, 1)
  shade = look.ambient + (1.1 - look.ambient) * diffuse
  half = light + np.array([0, 0, 1], np.float32)
  half = half / np.linalg.norm(half)
  shine = (-dx * half[0] - dy * half[1] + half[2]) / length
  shine = 0.12 * np.clip(shine, 0, 1) ** 24
  rng = np.random.default_rng(look.grain + 1)
  mottled = rng.normal(0, 0.012, (32, 32)).astype(np.float32)
  shade = shade + cv2.resize(mottled, shade.shape)
  # Shadows of skin are redder than its lit parts.
  tinted = np.stack([shade**power for power in face_canvas.WARM], -1)
  colour = (look.skin * look.warmth).astype(np.float32)
  out = tinted * colour + shine[..., None]
  red = 0.05 + 0.06 * change.cheeks
  blush = _hills([((x, 0.28), (0.2, 0.16), red) for x in (-0.42, 0.42)])
  out *= 1 - blush[..., None] * np.array([0.1, 1.0, 0.9], np.float32)
  return _to_canvas(out, pose, size)


def _bumps(head: face_shapes.Head, change: face_shapes.Expression):
  """Yield the centre, spread and height of the bumps of a head."""
  base, wide = head.nose_y, head.nose_width
  yield (0, 0.35 * base), (0.09, 0.28), 0.1  # the ridge of the nose
  yield (0, base - 0.06), (0.11, 0.1), 0.17
  yield (0, -0.3), (0.4, 0.16), 0.04  # the forehead
  yield (0, 0.9), (0.2, 0.12), 0.07 + 0.03 * change.pout  # the chin
  yield (0, head.mouth_y), (0.3, 0.14), 0.06
  yield (0, head.mouth_y + 0.16), (0.16, 0.05), -0.03
  for side in (-1, 1):
    yield (side * 0.85 * wide, base - 0.02), (0.07, 0.06), 0.06
    yield (side * head.eye_x, head.eye_y - 0.02), (0.2, 0.1), -0.075
    yield (side * head.eye_x, head.eye_y), (0.12, 0.06), 0.035
    yield (side * head.eye_x, head.eye_y - 0.2), (0.2, 0.06), 0.03
    cheek = (side * 0.43, 0.32 - 0.06 * change.cheeks)
    yield cheek, (0.17, 0.14), 0.045 + 0.06 * change.cheeks


def hair(
  look: Look, pose: face_shapes.Pose, size: int
) -> Float[np.ndarray, "s s 3"]:
  """Return strands of hair for the whole picture."""
  x, y = np.meshgrid(_AXIS - np.float32(look.parting), _AXIS + 0.55)
  angle, radius = np.arctan2(x, -y), np.hypot(x, y)
  if look.style == "curls":
    angle = angle + 0.25 * np.sin(14 * radius)
  rng = np.random.default_rng(look.grain + 2)
  coarse, fine = rng.normal(size=(2, _STRANDS)).astype(np.float32)
  read = lambda table, place: table[place.astype(int) % _STRANDS]
  strands = 0.6 * read(coarse, 45 * angle + 3 * radius)
  strands += 0.4 * read(fine, 100 * angle + 6 * radius)
  strands = cv2.GaussianBlur(strands, (0, 0), 0.8)
  # A band of light around the head.
  band = np.exp(-(((radius - 0.42) / 0.16) ** 2))
  side = 0.95 + 0.5 * float(look.light[0]) * x - 0.35 * y
  side = np.clip(side, 0.35, 1.2)
  shade = side * (1 + 0.28 * strands)
  # Dark hair shines most.
  gloss = 0.35 * float(1 - look.hair.mean()) ** 2
  shade += gloss * band * (1 + 0.7 * strands)
  colour = (look.hair * look.warmth).astype(np.float32)
  return _to_canvas(shade[..., None] * colour, pose, size)


def back_hair(look: Look, head: face_shapes.Head) -> face_shapes.Points | None:
  """Return the outline of the hair behind the neck; None if it is short."""
  if look.style not in _LONG:
    return None
  side = _hair_side(look, head)
  end = [[0.62 * side[-1, 0], side[-1, 1] + 0.06]]
  side = np.concatenate([side, end])
  points = np.concatenate([[[0, side[0, 1] - 0.1]], side, side[::-1] * [-1, 1]])
  return face_shapes.spline(points, closed=True)


def _hair_side(look: Look, head: face_shapes.Head) -> face_shapes.Points:
  """Return the outer border of hair, from the top to its lower right end."""
  w, v = head.half_width + look.volume, look.volume
  side = [[0.45 * w, -0.95 - v], [0.84 * w, -0.7 - v], [w, -0.3]]
  if look.style == "long":
    side += [[1.03 * w, 0.2], [1.06 * w, 0.7], [1.02 * w, 1.4]]
  elif look.style == "bob":
    side += [[1.06 * w, 0.15], [1.08 * w, 0.5], [0.98 * w, 0.74]]
  else:
    side += [[head.half_width + 0.4 * v, -0.05]]
  return np.array(side)


def front_hair(look: Look, head: face_shapes.Head) -> face_shapes.Points:
  """Return the outline of the hair on top of the head and beside the face."""
  w = head.half_width
  side = _hair_side(look, head)
  if look.style == "curls":
    side = face_shapes.spline(side)
    ripple = 1.05 + 0.05 * np.sin(14 * side[:, 1] + look.grain % 7)
    side = side * ripple[:, None]
  elif look.style == "shaved":
    side = side * [(w + 0.01) / (w + look.volume), 1 / (1 + look.volume)]
  if look.style in _LONG:  # locks beside the face
    inner = np.array([[0.86 * w, 0.1], [0.95 * w, 0.45]])
    if look.style == "long":
      inner = np.concatenate([inner, [[0.85 * w, 0.9]]])
  else:  # in front of the ears
    inner = np.array([[0.955 * w, 0.06]])
  top = [[0, side[0, 1] - 0.1]]
  line = face_shapes.spline(
    np.concatenate([inner[::-1] * [-1, 1], _hairline(look, 0.88 * w), inner])
  )
  outer = np.concatenate([side[::-1], top, side * [-1, 1]])
  return np.concatenate([face_shapes.spline(outer), line])


def _hairline(look: Look, temple: float) -> face_shapes.Points:
  """Return the border of the hair on the forehead, from left to right."""
  top, p = look.hairline, look.parting
  if look.style == "bangs":
    heights = (-0.2, -0.34, -0.39, -0.37, -0.4, -0.34, -0.2)
    middle = 0.0
  elif look.style in ("parted", "long"):
    heights = (-0.2, -0.4, top + 0.1, top - 0.06, top + 0.1, -0.4, -0.2)
    middle = p
  else:
    heights = (-0.2, -0.46, top, top - 0.03, top, -0.46, -0.2)
    middle = 0.0
  left, right = (middle - temple) / 2, (middle + temple) / 2
  x = (-temple, -0.92 * temple, left, middle, right, 0.92 * temple, temple)
  return np.stack([x, heights], 1)


def beard(head: face_shapes.Head) -> face_shapes.Points:
  """Return the outline of a beard; it includes the mouth."""
  w, y = head.half_width, head.mouth_y
  side = np.array(
    [[0, y - 0.12], [0.2, y - 0.11], [0.36, y + 0.02], [0.7 * w, y - 0.15],
     [0.93 * w, y - 0.45], [1.1 * w, y - 0.4], [1.1 * w, 1.0], [0.4, 1.2]]
  )  # fmt: skip
  return face_shapes.spline(
    np.concatenate([side, side[:0:-1] * [-1, 1]]), closed=True
  )


def neck(head: face_shapes.Head) -> face_shapes.Points:
  """Return the outline of the neck."""
  half = 0.62 * head.jaw + 0.06
  return np.array(
    [[-half, 0.4], [half, 0.4], [half, 1.15], [half + 0.25, 1.6],
     [-half - 0.25, 1.6], [-half, 1.15]]
  )  # fmt: skip


def shoulders() -> face_shapes.Points:
  """Return the outline of the shoulders."""
  side = np.array([[0.42, 1.12], [0.8, 1.3], [1.4, 1.5], [1.7, 2.4]])
  points = np.concatenate([[[0, 1.3]], side, side[::-1] * [-1, 1]])
  return face_shapes.spline(points, closed=True)


def ear(head: face_shapes.Head, side: int) -> face_shapes.Points:
  """Return the outline of an ear."""
  w = head.half_width
  points = np.array(
    [
      [w - 0.06, -0.1], [w + 0.06, -0.14], [w + 0.09, 0.0], [w + 0.06, 0.2],
      [w, 0.33], [w - 0.06, 0.28],
    ]
  )  # fmt: skip
  return face_shapes.spline(points * [side, 1], closed=True)
