"""Pictures of a few bytes that claim a huge size."""

import struct
import zlib


def png(width: int, height: int) -> bytes:
  """Return a grey PNG whose header has this size, with one row of data."""

  def chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum

  header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
  rows = zlib.compress(bytes(1 << 16))
  return (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", rows)
    + chunk(b"IEND", b"")
  )
