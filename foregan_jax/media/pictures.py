"""Pictures for people: palette PNGs, overlays, sheets and animations.

All functions take and return host arrays: RGB uint8 [h, w, 3] and labels uint8
[h, w]. Files are written under a temporary name and then renamed, so that a
killed run leaves no incomplete picture.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, PngImagePlugin

from foregan_jax import storage
from foregan_jax.media import images

Picture = UInt8[np.ndarray, "_ _ 3"]

_TINT = 0.4  # weight of the object's colour
# The contour has one pixel per this number of pixels of the shorter side: it is
# visible on a 128 pixel thumbnail and at 1080p.
_PIXELS_PER_LINE = 240
_GAP = 2  # pixels
_GAP_COLOUR = 255
_GREY = 128
_MIN_SIDE = 64  # `enlarge` repeats the pixels of pictures with a shorter side
_JPEG_QUALITY = 95
_WEBP_QUALITY = 85
# Effort from 0 to 6; above 4 it is slow and hardly smaller.
_WEBP_METHOD = 4
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.4
# Smaller letters are not legible; text that is still too long is cut.
_MIN_FONT_SCALE = 0.3
_TEXT_MARGIN = 4


def _davis_palette() -> np.ndarray:
  """Return the palette of PASCAL VOC and DAVIS 2017, uint8 [256, 3].

  Bit 3i + c of the index is bit 7 - i of channel c (VOC devkit, VOClabelmap).
  """
  index = np.arange(256)
  palette = np.zeros((256, 3), np.uint8)
  for i in range(8):
    for c in range(3):
      bit = (index >> (3 * i + c)) & 1
      palette[:, c] |= (bit << (7 - i)).astype(np.uint8)
  return palette


PALETTE = _davis_palette()


def to_uint8(image: Num[Any, "*b h w c"]) -> UInt8[np.ndarray, "*b h w c"]:
  """Convert images in [-1, 1] (NumPy or JAX, any float type) to uint8."""
  x = np.asarray(image).astype(np.float32)
  return _round_to_uint8((x + 1) / 2)


def mask_to_rgb(mask: Num[Any, "*b h w 1"]) -> UInt8[np.ndarray, "*b h w 3"]:
  """Convert soft masks in [0, 1] to grey pictures: black is background."""
  x = _round_to_uint8(np.asarray(mask).astype(np.float32))
  return np.repeat(x, 3, axis=-1)


def labels_to_rgb(
  labels: UInt8[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h w 3"]:
  """Convert a label map to a picture in the DAVIS palette."""
  return PALETTE[labels]


def overlay(
  frame: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
  """Return the frame with a tint and a contour per object.

  The colours are those of the DAVIS palette at full brightness. The contour has
  the object's colour inside and is black outside, for contrast with any frame.
  """
  line = max(1, round(min(labels.shape) / _PIXELS_PER_LINE))
  kernel = np.ones((2 * line + 1, 2 * line + 1), np.uint8)
  out = frame.copy()
  edges = []
  for k in np.unique(labels[labels > 0]):
    inside = (labels == k).astype(np.uint8)
    colour = _brighten(PALETTE[k])
    region = inside > 0
    tinted = (1 - _TINT) * frame[region] + _TINT * colour
    out[region] = np.round(tinted).astype(np.uint8)
    # `erode` treats pixels outside the frame as inside the object, so that
    # there is no contour along the frame's border.
    inner = region & (cv2.erode(inside, kernel) == 0)
    outer = ~region & (cv2.dilate(inside, kernel) > 0)
    edges.append((inner, outer, colour))
  for _, outer, _ in edges:
    out[outer] = 0
  for inner, _, colour in edges:
    out[inner] = colour
  return out


def enlarge(image: Picture) -> Picture:
  """Repeat the pixels of a small picture, to sides of at least 64 pixels."""
  times = -(-_MIN_SIDE // min(image.shape[:2]))
  return image.repeat(times, axis=0).repeat(times, axis=1)


def grid(rows: Sequence[Sequence[Picture | None]]) -> Picture:
  """Return a grid of pictures of one size, with thin white gaps.

  Args:
    rows: the pictures, row by row. None, or a short row, leaves a cell white.

  Raises:
    ValueError: if there is no picture, or sizes differ.
  """
  h, w = _common_size(rows)
  num_columns = max(len(row) for row in rows)
  height = len(rows) * (h + _GAP) - _GAP
  width = num_columns * (w + _GAP) - _GAP
  sheet = np.full((height, width, 3), _GAP_COLOUR, np.uint8)
  for i, row in enumerate(rows):
    for j, picture in enumerate(row):
      if picture is not None:
        y, x = i * (h + _GAP), j * (w + _GAP)
        sheet[y : y + h, x : x + w] = picture
  return sheet


def contact_sheet(
  rows: Sequence[Sequence[Picture | None]],
  *,
  columns: Sequence[str],
  row_names: Sequence[str] = (),
) -> Picture:
  """Return a grid with a name above each column and left of each row.

  Text that does not fit is scaled down, then cut.

  Args:
    rows: pictures of one size, as for `grid`.
    columns: one name per column.
    row_names: one name per row, or empty.

  Raises:
    ValueError: if names and pictures differ in number; see also `grid`.
  """
  num_columns = max((len(row) for row in rows), default=0)
  if len(columns) != num_columns:
    raise ValueError(
      f"{num_columns} columns of pictures, but {len(columns)} names: "
      f"{list(columns)}."
    )
  if row_names and len(row_names) != len(rows):
    raise ValueError(
      f"{len(rows)} rows of pictures, but {len(row_names)} names: "
      f"{list(row_names)}."
    )
  h, w = _common_size(rows)
  body = grid(rows)
  top = np.concatenate([_text_strip(c, w + _GAP) for c in columns], axis=1)
  sheet = np.concatenate([top[:, : body.shape[1]], body])
  if not row_names:
    return sheet
  width = min(max(_text_size(n, _FONT_SCALE)[0] for n in row_names), w)
  width += 2 * _TEXT_MARGIN
  left = np.full((len(sheet), width, 3), _GAP_COLOUR, np.uint8)
  for i, name in enumerate(row_names):
    strip = _text_strip(name, width)
    y = len(top) + i * (h + _GAP) + max(0, (h - len(strip)) // 2)
    strip = strip[: len(left) - y]
    left[y : y + len(strip)] = strip
  return np.concatenate([left, sheet], axis=1)


def save_labels(path: storage.Path, labels: UInt8[np.ndarray, "h w"]) -> None:
  """Write labels as an indexed PNG in the DAVIS palette (submission format).

  Raises:
    ValueError: if `path` does not end in .png.
  """
  _check_ending(path, ".png")
  image = Image.fromarray(np.ascontiguousarray(labels))
  image.putpalette(PALETTE.tobytes())
  storage.write(path, lambda f: image.save(f, format="PNG"))


def save_png(
  path: storage.Path, image: Picture, text: Mapping[str, str] | None = None
) -> None:
  """Write a picture as PNG.

  Args:
    path: ends in .png.
    image: the picture.
    text: text chunks by keyword, such as `Comment`.

  Raises:
    ValueError: if `path` does not end in .png.
  """
  _check_ending(path, ".png")
  picture = Image.fromarray(np.ascontiguousarray(image))
  info = PngImagePlugin.PngInfo()
  for keyword, value in (text or {}).items():
    info.add_text(keyword, value)
  save = lambda f: picture.save(f, format="PNG", pnginfo=info)
  storage.write(path, save)


def save_grey(path: storage.Path, mask: Num[np.ndarray, "h w"]) -> None:
  """Write a soft mask in [0, 1] as a grey PNG.

  Raises:
    ValueError: if `path` does not end in .png.
  """
  _check_ending(path, ".png")
  picture = Image.fromarray(_round_to_uint8(mask))
  storage.write(path, lambda f: picture.save(f, format="PNG"))


def fit_square(image: Picture, side: int) -> Picture:
  """Fit a picture into a grey square."""
  scale = side / max(image.shape[:2])
  h, w = (max(1, round(scale * n)) for n in image.shape[:2])
  square = np.full((side, side, 3), _GREY, np.uint8)
  y, x = (side - h) // 2, (side - w) // 2
  square[y : y + h, x : x + w] = images.resize_image(image, (h, w))
  return square


def save_jpeg(path: storage.Path, image: Picture) -> None:
  """Write a picture as JPEG with hardly visible loss.

  Raises:
    ValueError: if `path` does not end in .jpg.
  """
  _check_ending(path, ".jpg")
  picture = Image.fromarray(np.ascontiguousarray(image))
  storage.write(path, lambda f: picture.save(f, "JPEG", quality=_JPEG_QUALITY))


def cut_out(
  image: Picture, mask: Num[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 4"]:
  """Return a picture as RGBA with a soft mask in [0, 1] as its alpha."""
  return np.dstack([image, _round_to_uint8(mask)])


def save_cutout(
  path: storage.Path, image: Picture, mask: Num[np.ndarray, "h w"]
) -> None:
  """Write a picture as PNG with a soft mask in [0, 1] as its alpha.

  Raises:
    ValueError: if `path` does not end in .png.
  """
  _check_ending(path, ".png")
  picture = Image.fromarray(cut_out(image, mask))
  storage.write(path, lambda f: picture.save(f, format="PNG"))


def animate(
  path: storage.Path, frames: UInt8[np.ndarray, "t h w 3"], *, fps: float | int
) -> None:
  """Write frames as an animated WebP that repeats without end.

  Browsers and image viewers show it without a video codec.

  Args:
    path: ends in .webp.
    frames: uint8 [t, h, w, 3].
    fps: frames per second, above 0.

  Raises:
    ValueError: for a wrong ending, no frames, or fps not above 0.
  """
  _check_ending(path, ".webp")
  if len(frames) == 0:
    raise ValueError(f"{path}: there are no frames to animate.")
  if fps <= 0:
    raise ValueError(f"{path}: fps must be above 0, got {fps}.")
  first, *rest = [Image.fromarray(np.ascontiguousarray(f)) for f in frames]
  milliseconds = max(1, round(1000 / fps))
  storage.write(
    path,
    lambda f: first.save(
      f,
      format="WEBP",
      save_all=True,
      append_images=rest,
      duration=milliseconds,
      loop=0,
      quality=_WEBP_QUALITY,
      method=_WEBP_METHOD,
    ),
  )


def is_whole_png(path: pathlib.Path) -> bool:
  """Return whether a file exists and begins and ends as a PNG does."""
  if not path.is_file():
    return False
  try:
    with open(path, "rb") as file:
      start = file.read(len(_PNG_START))
      file.seek(-len(_PNG_END), os.SEEK_END)
      return start == _PNG_START and file.read() == _PNG_END
  except OSError:  # missing, or shorter than the end
    return False


def _round_to_uint8(x: np.ndarray) -> np.ndarray:
  return np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)


def _brighten(colour: np.ndarray) -> np.ndarray:
  """Scale a colour so that its largest channel is 255."""
  return np.round(colour * (255 / max(1, colour.max()))).astype(np.uint8)


def _common_size(rows: Sequence[Sequence[Picture | None]]) -> tuple[int, int]:
  """Return (h, w) of all pictures; raise a ValueError if sizes differ."""
  sizes = {p.shape[:2] for row in rows for p in row if p is not None}
  if not sizes:
    raise ValueError("a grid needs at least one picture, got none.")
  if len(sizes) > 1:
    raise ValueError(
      f"pictures of a grid must have one size, got {sorted(sizes)} (h, w)."
    )
  return sizes.pop()


def _text_size(text: str, scale: float) -> tuple[int, int]:
  """Return (width, height) of a text in pixels, with descenders."""
  (width, height), descent = cv2.getTextSize(text, _FONT, scale, 1)
  return width, height + descent


def _text_strip(text: str, width: int) -> np.ndarray:
  """Return a white strip [_, width, 3] with black text that fits into it."""
  room = max(1, width - 2 * _TEXT_MARGIN)
  scale = _FONT_SCALE
  natural = _text_size(text, scale)[0]
  if natural > room:
    # One pixel less, because widths are rounded.
    scale = max(_MIN_FONT_SCALE, scale * (room - 1) / natural)
  while text and _text_size(text, scale)[0] > room:
    text = text[:-1]
  height = _text_size("Ag", _FONT_SCALE)[1] + 2 * _TEXT_MARGIN
  strip = np.full((height, width, 3), _GAP_COLOUR, np.uint8)
  descent = cv2.getTextSize("Ag", _FONT, _FONT_SCALE, 1)[1]
  origin = (_TEXT_MARGIN, height - _TEXT_MARGIN - descent)
  cv2.putText(strip, text, origin, _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
  return strip


def _check_ending(path: storage.Path, ending: str) -> None:
  if path.suffix.lower() != ending:
    raise ValueError(f"{path}: the name must end in {ending}.")
