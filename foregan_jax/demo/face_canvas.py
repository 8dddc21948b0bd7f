"""A canvas for the faces of the demo data: outlines, soft edges and labels."""

import dataclasses
import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Points = Float[np.ndarray, "_ 2"]
Number = float | int

# The powers of a shade in each channel: shadows of skin are redder than its lit
# parts.
WARM = (0.85, 1.0, 1.12)

_BITS = 4  # of the fraction of a coordinate in `fillPoly`
_REACH = 3  # standard deviations at which a blur ends


@dataclasses.dataclass(frozen=True)
class Mask:
  """Coverage of a part of a canvas, 0 to 1; the rest is not covered.

  Attributes:
    top: of the part, pixels.
    left: of the part, pixels.
    values: coverage, float32 [h, w].
  """

  top: int
  left: int
  values: Float[np.ndarray, "h w"]

  @property
  def window(self) -> tuple[slice, slice]:
    """Return the part's rows and columns."""
    height, width = self.values.shape
    rows = slice(self.top, self.top + height)
    return rows, slice(self.left, self.left + width)

  def __mul__(self, other: "Mask") -> "Mask":
    """Return the product, on the part that both have."""
    top, left = max(self.top, other.top), max(self.left, other.left)
    (a, b), (c, d) = self.window, other.window
    bottom, right = min(a.stop, c.stop), min(b.stop, d.stop)
    shape = max(bottom - top, 0), max(right - left, 0)
    if 0 in shape:
      return Mask(top, left, np.zeros(shape, np.float32))
    cut = lambda mask: mask.values[
      top - mask.top : bottom - mask.top, left - mask.left : right - mask.left
    ]
    return Mask(top, left, cut(self) * cut(other))


class Canvas:
  """A picture and its label map, drawn from back to front.

  Attributes:
    size: side of the picture, pixels.
    colours: the picture, float32 [size, size, 3], 0 to 1.
    labels: the label map, uint8 [size, size].
  """

  def __init__(self, colours: Float[np.ndarray, "s s 3"]):
    """Start with a background."""
    self.size = len(colours)
    self.colours = colours
    self.labels = np.zeros(colours.shape[:2], np.uint8)

  def cover(self, points: Points, blur: Number = 0.0) -> Mask:
    """Return the coverage of a closed outline in pixels."""
    mask, corner = self._part(points, blur)
    moved = _fixed(points - corner)
    cv2.fillPoly(mask, [moved], 255, cv2.LINE_AA, _BITS)
    return _soften(mask, corner, blur)

  def stroke(self, points: Points, width: Number, blur: Number = 0.0) -> Mask:
    """Return the coverage of a line in pixels."""
    mask, corner = self._part(points, blur + width)
    moved, width = _fixed(points - corner), max(1, round(width))
    cv2.polylines(mask, [moved], False, 255, width, cv2.LINE_AA, _BITS)
    return _soften(mask, corner, blur)

  def _part(
    self, points: Points, margin: Number
  ) -> tuple[np.ndarray, np.ndarray]:
    """Return an empty mask around points, and its corner (x, y)."""
    reach = math.ceil(_REACH * margin) + 2
    low = np.clip(np.floor(points.min(0)) - reach, 0, self.size - 1).astype(int)
    high = np.clip(np.ceil(points.max(0)) + reach, 1, self.size).astype(int)
    width, height = np.maximum(high - low, 1)  # OpenCV refuses empty pictures
    return np.zeros((height, width), np.uint8), low

  def blend(self, mask: Mask, colour: np.ndarray, alpha: Number = 1.0) -> None:
    """Draw a colour [3], or a picture of the canvas's size, inside a mask."""
    paint = np.asarray(colour, np.float32)
    if paint.ndim > 1:
      paint = paint[mask.window]
    weight = np.float32(alpha) * mask.values[..., None]
    below = self.colours[mask.window]
    below += weight * (paint - below)

  def shade(self, mask: Mask, factor: Number, alpha: Number = 1.0) -> None:
    """Multiply the colours inside a mask by a factor."""
    if alpha > 0:
      loss = 1 - np.array([factor**power for power in WARM], np.float32)
      below = self.colours[mask.window]
      below *= 1 - np.float32(alpha) * mask.values[..., None] * loss

  def mark(self, points: Points, label: int) -> None:
    """Set the label inside a closed outline in pixels."""
    cv2.fillPoly(self.labels, [_fixed(points)], label, cv2.LINE_8, _BITS)


def _fixed(points: np.ndarray) -> np.ndarray:
  """Convert positions in pixels to the integers of OpenCV."""
  # OpenCV's integers are pixel centres.
  return np.round((points - 0.5) * 2**_BITS).astype(np.int32)


def _soften(mask: np.ndarray, corner: np.ndarray, blur: Number) -> Mask:
  if blur:
    mask = cv2.GaussianBlur(mask, (0, 0), blur)
  values = mask.astype(np.float32) / np.float32(255)
  return Mask(int(corner[1]), int(corner[0]), values)


def halve(labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
  """Shrink a label map to half by the most frequent of four labels."""
  h, w = labels.shape
  fours = labels.reshape(h // 2, 2, w // 2, 2).transpose(0, 2, 1, 3)
  a, b, c, _ = np.moveaxis(np.sort(fours.reshape(h // 2, w // 2, 4)), -1, 0)
  return np.where((b == a) | (b == c), b, c)
