"""Optical flow: .flo files, OpenCV's DIS estimator, and a cache on disk.

A flow is float32 [h, w, 2], (dx, dy) in pixels of its own grid.
`flow_fwd[t]` maps frame t to t+1 and is defined on frame t.
"""

import os
import pathlib
import struct
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from foregan_jax import storage
from foregan_jax.media import images

# Middlebury's format: "PIEH" read as a little-endian float32.
_FLO_MAGIC = 202021.25
_FLO_HEADER = struct.Struct("<fii")
_FLOAT_BYTES = 4

# KITTI flow development kit: 16 bit, 1/64 pixel, zero at 2^15.
_PNG_SCALE = 64.0
_PNG_ZERO = 2**15
_PNG_MAX = 2**16 - 1
# Level 1 writes 5 times faster than the default; files are hardly larger.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1)

DIRECTIONS = ("fwd", "bwd")


def read_flo(path: str | os.PathLike) -> Float32[np.ndarray, "h w 2"]:
  """Read a Middlebury .flo file.

  Raises:
    DataError: if the magic number or the length is wrong, or a value is not
      finite.
  """
  content = images.read_bytes(path)
  height, width = _flo_size(path, content[: _FLO_HEADER.size])
  expected = _FLO_HEADER.size + height * width * 2 * _FLOAT_BYTES
  if len(content) != expected:
    raise images.DataError(
      path,
      f"flow of {width}x{height} has {len(content)} bytes, expected {expected}",
    )
  flow = np.frombuffer(content, "<f4", offset=_FLO_HEADER.size)
  flow = flow.reshape(height, width, 2).astype(np.float32)
  if not np.isfinite(flow).all():
    raise images.DataError(path, "flow holds NaN or infinite values")
  return flow


def _flo_size(path: str | os.PathLike, header: bytes) -> tuple[int, int]:
  if len(header) < _FLO_HEADER.size:
    raise images.DataError(
      path, f"flow file has {len(header)} bytes, shorter than its header"
    )
  magic, width, height = _FLO_HEADER.unpack(header)
  if magic != _FLO_MAGIC:
    raise images.DataError(
      path, f"magic number is {magic}, expected {_FLO_MAGIC} (.flo)"
    )
  if width < 1 or height < 1:
    raise images.DataError(path, f"flow size {width}x{height} is not positive")
  return height, width


def write_flo(
  path: str | os.PathLike, flow: Float32[np.ndarray, "h w 2"]
) -> None:
  """Write a Middlebury .flo file, atomically."""
  height, width = flow.shape[:2]
  header = _FLO_HEADER.pack(_FLO_MAGIC, width, height)
  storage.write(pathlib.Path(path), header + flow.astype("<f4").tobytes())


def resize(
  flow: Float32[np.ndarray, "h w 2"], size: tuple[int, int]
) -> Float32[np.ndarray, "H W 2"]:
  """Resize a flow to the grid `size` = (h, w), and scale its vectors.

  dx is multiplied by the ratio of widths, dy by the ratio of heights.
  """
  (height, width), (old_height, old_width) = size, flow.shape[:2]
  if (height, width) == (old_height, old_width):
    return flow
  shrinks = old_height >= height and old_width >= width
  method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  flow = cv2.resize(flow, (width, height), interpolation=method)
  ratio = np.array([width / old_width, height / old_height], np.float32)
  return flow * ratio


def estimate(
  frame0: UInt8[np.ndarray, "h w 3"], frame1: UInt8[np.ndarray, "h w 3"]
) -> Float32[np.ndarray, "h w 2"]:
  """Estimate the flow frame0 -> frame1 with OpenCV's DIS (medium preset).

  Source: Kroeger et al., "Fast optical flow using dense inverse search",
  ECCV 2016.
  """
  # One estimator per call: it has buffers, which threads cannot share.
  estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (frame0, frame1)]
  return estimator.calc(grey[0], grey[1], None)


def encode_png(flow: Float32[np.ndarray, "h w 2"]) -> bytes:
  """Encode a flow as KITTI's 16-bit PNG: steps of 1/64, up to 512 pixels."""
  values = np.rint(flow * _PNG_SCALE) + _PNG_ZERO
  planes = np.ones((*flow.shape[:2], 3), np.uint16)
  # KITTI stores (u, v, valid) as RGB; OpenCV writes BGR.
  planes[..., 2] = np.clip(values[..., 0], 0, _PNG_MAX)
  planes[..., 1] = np.clip(values[..., 1], 0, _PNG_MAX)
  return cv2.imencode(".png", planes, _PNG_OPTIONS)[1].tobytes()


def decode_png(content: bytes) -> Float32[np.ndarray, "h w 2"] | None:
  """Decode KITTI's 16-bit PNG; None if it is damaged."""
  planes = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
  if planes is None or planes.dtype != np.uint16 or planes.ndim != 3:
    return None
  return (planes[..., 2:0:-1].astype(np.float32) - _PNG_ZERO) / _PNG_SCALE


class FlowCache:
  """A cache of DIS flows on disk; each flow is computed on first access.

  Files are `<folder>/<h>x<w>/<video key>/<direction>/<frame>.png`. The key
  must change with the pictures. Several threads and processes may share one
  folder: files appear atomically, in the worst case a flow is computed twice.
  """

  def __init__(self, folder: str | os.PathLike):
    """Set the folder; it need not exist yet."""
    self.folder = pathlib.Path(folder)

  def path(
    self, key: str, direction: str, index: int, size: tuple[int, int]
  ) -> pathlib.Path:
    """Return the path of a flow; the file may not exist yet."""
    if direction not in DIRECTIONS:
      raise ValueError(f"direction {direction!r} is not one of {DIRECTIONS}")
    name = f"{size[0]}x{size[1]}"
    return self.folder / name / key / direction / f"{index:05d}.png"

  def get(
    self,
    key: str,
    direction: str,
    index: int,
    size: tuple[int, int],
    read_frames: Callable[[], tuple[np.ndarray, np.ndarray]],
  ) -> Float32[np.ndarray, "h w 2"]:
    """Read one flow, or compute it if it is missing or damaged.

    The result always has the rounding of the PNG, so that the first run and
    later runs get identical numbers.

    Args:
      key: identifies the video and its pictures.
      direction: "fwd" or "bwd".
      index: number of the transition.
      size: (h, w) of the flow.
      read_frames: returns the two pictures; called only to compute the flow.

    Raises:
      DataError: if the folder is not writable.
    """
    path = self.path(key, direction, index, size)
    if path.exists():
      flow = decode_png(path.read_bytes())
      if flow is not None and flow.shape[:2] == size:
        return flow
    content = encode_png(estimate(*read_frames()))
    try:
      storage.write(path, content)
    except OSError as error:
      raise images.DataError(
        path, f"flow cannot be cached here ({error.strerror})"
      ) from error
    return decode_png(content)
