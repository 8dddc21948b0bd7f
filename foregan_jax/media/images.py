"""Decoding and scaling of pictures and label masks.

Each error names its file. OpenCV decodes and scales frames: it is fastest and
releases the GIL. Pillow reads masks, because OpenCV converts the indices of a
palette PNG to colours.
"""

import os
import pathlib
import stat
import unicodedata

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

# The data pipeline has its own threads; with OpenCV's there would be too many.
cv2.setNumThreads(1)

VOID = 255
# Palette masks hold a few ids; more values are grey levels of a soft mask.
MAX_IDS = 64
SUFFIXES = (".jpg", ".jpeg", ".png")

_SIDES = (32, 4320)  # of frames, pixels
_MOST_STRETCH = 1.1  # of the aspect of a video; see `trained_size`
_MULTIPLES = (16, 8)  # of the sides of a network's frames, if they fit
# Unicode's names of control characters, parts of surrogate pairs (in Python,
# bytes that are not UTF-8), and separators of lines and paragraphs.
_ODD_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_PNG_END = b"IEND"
_PNG_TRAILER_BYTES = 16  # the IEND chunk has 12 bytes; allows some padding
_JPEG_START_OF_SCAN = b"\xff\xda"
_JPEG_END_OF_IMAGE = b"\xff\xd9"


class DataError(ValueError):
  """A missing, unreadable or invalid file.

  Attributes:
    path: the file or folder.
    reason: the defect and what was expected.
  """

  def __init__(self, path: str | os.PathLike, reason: str):
    super().__init__(str(path), reason)
    self.path = pathlib.Path(path)
    self.reason = reason

  def __str__(self) -> str:
    return f"{show_name(self.path)}: {self.reason}"


def show_name(name: str | os.PathLike) -> str:
  """Return a name or path with its control characters and odd bytes escaped."""
  escape = lambda x: x.encode("unicode_escape").decode()
  return "".join(
    escape(x) if unicodedata.category(x) in _ODD_CATEGORIES else x
    for x in os.fspath(name)
  )


def read_image(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
  """Read a picture as RGB, 0..255; ignore its EXIF orientation.

  Raises:
    DataError: if the file is missing, empty, truncated or not a picture.
  """
  return decode_image(read_bytes(path), path)


def decode_image(
  content: bytes, path: str | os.PathLike
) -> UInt8[np.ndarray, "h w 3"]:
  """Decode the content of a picture file; `path` is for errors only.

  Raises:
    DataError: if the content is truncated, too large or not a picture.
  """
  _check_complete(path, content)
  flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
  try:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
  except (cv2.error, MemoryError) as error:
    raise DataError(
      path,
      "cannot be decoded: it has more pixels than OpenCV accepts "
      "(CV_IO_MAX_IMAGE_PIXELS, 2^30), or it is damaged",
    ) from error
  if image is None:
    raise DataError(path, "cannot be decoded, expected a JPEG or PNG picture")
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_opaque_image(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
  """Read a picture as RGB, 0..255; refuse one with transparent pixels.

  Their colours are arbitrary, and `read_image` would show them.

  Raises:
    DataError: see `read_image`, or if a pixel is transparent.
  """
  content = read_bytes(path)
  image = decode_image(content, path)
  whole = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
  if whole.ndim == 3 and whole.shape[2] == 4 and whole[..., 3].min() < 255:
    raise DataError(
      path,
      "has transparent pixels, expected a picture without transparency; put it "
      "in front of a background first",
    )
  return image


def read_labels(path: str | os.PathLike) -> UInt8[np.ndarray, "h w"]:
  """Read a mask as object ids: 0 background, 1.. objects, 255 void.

  Palette masks (DAVIS-2017, VOC) contain ids. Grey masks contain ids too,
  except if their only value other than 0 is 255 (DAVIS-2016): then 255 is
  object 1, not void.

  Raises:
    DataError: if the file is missing, truncated, too large, or a colour
      picture.
  """
  if not os.path.isfile(path):
    raise DataError(path, "mask is missing")
  try:
    with Image.open(path) as image:
      mode = image.mode
      values = np.asarray(image)
  except Exception as error:  # Pillow raises many kinds
    raise DataError(path, f"mask cannot be decoded ({error})") from error
  if mode == "LA":  # Some DAVIS-2016 masks carry an alpha channel.
    values = values[..., 0]
  elif mode not in ("1", "L", "P"):
    raise DataError(
      path,
      f"mask has mode {mode}, expected a palette (P) or grey (L) picture",
    )
  labels = np.array(values, np.uint8)
  if mode in ("L", "LA") and not np.any((labels > 0) & (labels < VOID)):
    labels = (labels > 0).astype(np.uint8)
  return labels


def read_coverage(path: str | os.PathLike) -> UInt8[np.ndarray, "h w"]:
  """Read the mask of one object as coverage, 0..255.

  Grey masks contain coverage. In palette masks each index other than 0 and
  void belongs to the object.

  Raises:
    DataError: if the file is missing, broken or too large.
  """
  if not os.path.isfile(path):
    raise DataError(path, "mask is missing")
  try:
    with Image.open(path) as image:
      if image.mode != "P":
        return np.array(image.convert("L"))
  except Exception as error:  # Pillow raises many kinds
    raise DataError(path, f"mask cannot be decoded ({error})") from error
  labels = read_labels(path)
  return np.where((labels > 0) & (labels < VOID), 255, 0).astype(np.uint8)


def read_bytes(path: str | os.PathLike) -> bytes:
  """Read a whole file.

  Raises:
    DataError: if the file is missing, unreadable or empty, or is a folder, a
      pipe or a device.
  """
  try:
    # Reading a pipe or a device may never end.
    if not stat.S_ISREG(os.stat(path).st_mode):
      raise DataError(path, "is not a file")
    content = pathlib.Path(path).read_bytes()
  except FileNotFoundError as error:
    raise DataError(path, "file is missing") from error
  except OSError as error:
    raise DataError(path, f"cannot be read ({error.strerror})") from error
  if not content:
    raise DataError(path, "file is empty")
  return content


def read_text(path: str | os.PathLike) -> str:
  """Read a text file in UTF-8; remove the mark that some editors add.

  Raises:
    DataError: see `read_bytes`, or if the file is not UTF-8.
  """
  try:
    return read_bytes(path).decode("utf-8-sig")
  except UnicodeDecodeError as error:
    raise DataError(
      path,
      f"is not text in UTF-8 (byte {error.start} is "
      f"{error.object[error.start]:#04x}); save it as UTF-8",
    ) from error


def _check_complete(path: str | os.PathLike, content: bytes) -> None:
  """Raise a DataError for a truncated JPEG or PNG.

  Decoders may fill the missing part with grey.
  """
  if content.startswith(b"\xff\xd8"):
    # Entropy-coded data contains neither marker, and an EXIF thumbnail precedes
    # the last scan. So the last end marker must follow the last scan's start.
    end = content.rfind(_JPEG_END_OF_IMAGE)
    complete = end > content.rfind(_JPEG_START_OF_SCAN)
  elif content.startswith(b"\x89PNG"):
    complete = _PNG_END in content[-_PNG_TRAILER_BYTES:]
  else:
    complete = True
  if not complete:
    raise DataError(path, "picture is truncated, its end marker is missing")


def check_size(
  path: str | os.PathLike,
  size: tuple[int, ...],
  expected: tuple[int, ...],
  like: str,
) -> None:
  """Check that a picture has the expected size.

  Args:
    path: file or description of the picture, for the error.
    size: (h, w) of the picture.
    expected: (h, w) that it must have.
    like: description of the object that has the expected size.

  Raises:
    DataError: if the sizes differ.
  """
  if tuple(size) != tuple(expected):
    raise DataError(
      path,
      f"size is {size[1]}x{size[0]}, expected {expected[1]}x{expected[0]} "
      f"as {like}",
    )


def same_aspect(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
  """Return whether two sizes have one aspect ratio, but for rounded sides."""
  scale = max(size) / max(other)
  close = lambda a, b: abs(a - scale * b) <= max(1.0, scale)
  return all(map(close, size, other))


def crop_square(
  picture: UInt8[np.ndarray, "h w c"], place: float = 0.5
) -> UInt8[np.ndarray, "s s c"]:
  """Cut out a square as long as the shorter side.

  Args:
    picture: a picture of any shape.
    place: of the square, as a share of the way: 0.5 is the centre.
  """
  h, w = picture.shape[:2]
  side = min(h, w)
  top, left = round(place * (h - side)), round(place * (w - side))
  return picture[top : top + side, left : left + side]


def resize_image(
  image: UInt8[np.ndarray, "h w c"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W c"]:
  """Scale a picture, or several masks, to `size` = (h, w).

  By area averages if it shrinks.
  """
  return _resize(image, size)


def resize_mask(
  mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 1"]:
  """Scale a 0/1 mask to `size` = (h, w) as coverage 0..255.

  The border becomes fractional, as in VOS-ForeGAN sec. 2.2.
  """
  return _resize((mask > 0).astype(np.uint8) * 255, size)[..., None]


def check_side(side: int) -> None:
  """Refuse a side of frames in pixels; 0 means that none was given.

  Raises:
    ValueError: if it is too small or too large for any network.
  """
  low, high = _SIDES
  if side and not low <= side <= high:
    raise ValueError(f"--side={side}: expected {low} to {high} pixels")


def shrunk_size(
  native: tuple[int, int], side: int, *, enlarge: bool = False
) -> tuple[int, int]:
  """Return a size (h, w) of the same aspect, with at most the shorter side.

  Args:
    native: (h, w) of a video.
    side: the largest shorter side.
    enlarge: whether smaller videos get this side, too.
  """
  scale = side / min(native)
  if not enlarge:
    scale = min(1.0, scale)
  return round(scale * native[0]), round(scale * native[1])


def trained_size(
  native: tuple[int, int], trained: tuple[int, int]
) -> tuple[int, int]:
  """Return the size (h, w) at which a network segments a video.

  It is the size of training, unless this changes the aspect by more than a
  tenth: then it is the video's aspect with the shorter side of training, in
  multiples of 16, 8 or 4 as the size of training.

  Args:
    native: (h, w) of the video.
    trained: (h, w) of the frames of training, multiples of 4.
  """
  stretch = native[0] * trained[1] / (native[1] * trained[0])
  if 1 / _MOST_STRETCH <= stretch <= _MOST_STRETCH:
    return trained
  scale = min(trained) / min(native)
  fits = (n for n in _MULTIPLES if not any(side % n for side in trained))
  multiple = next(fits, 4)
  height, width = (multiple * round(scale * n / multiple) for n in native)
  return height, width


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Scale an array to (h, w), by area averages if both sides shrink."""
  height, width = size
  if image.shape[:2] == (height, width):
    return image
  shrinks = image.shape[0] >= height and image.shape[1] >= width
  # INTER_AREA is box averaging only when both sides shrink.
  method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(image, (width, height), interpolation=method)
