"""Damages of files, lists, tables and JSON for the sweep."""

import json
import os
import pathlib
import shutil
import struct
import zlib

import numpy as np
from PIL import Image

from tests.sweep.commands import Damage


def _flip(path: pathlib.Path, share: float) -> None:
  content = bytearray(path.read_bytes())
  rng = np.random.default_rng(zlib.crc32(path.name.encode()))
  for place in rng.integers(0, len(content), max(1, int(share * len(content)))):
    content[place] ^= 1 << int(rng.integers(8))
  path.write_bytes(content)


def _remove(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _replace(make: Damage) -> Damage:
  def damage(path: pathlib.Path) -> None:
    _remove(path)
    make(path)

  return damage


def write(content: bytes) -> Damage:
  """Return a damage that replaces the content of a file."""
  return _replace(lambda path: path.write_bytes(content))


def _cut(share: float) -> Damage:
  def damage(path: pathlib.Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

  return damage


def _append(content: bytes) -> Damage:
  return lambda path: path.write_bytes(path.read_bytes() + content)


def png(width: int, height: int, *, bits: int = 8, colour: int = 0) -> bytes:
  """Return a PNG whose header has this size, with a few bytes of data."""

  def chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum

  header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
  rows = zlib.compress(bytes(1 << 16), 9)
  start = b"\x89PNG\r\n\x1a\n"
  palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
  return start + chunk(b"IHDR", header) + palette + chunk(b"IDAT", rows) + (
    chunk(b"IEND", b"")
  )  # fmt: skip


def _picture(mode: str, size: tuple[int, int], kind: str) -> Damage:
  def make(path: pathlib.Path) -> None:
    Image.new(mode, size, 1 if mode in "LPI" else None).save(path, kind)

  return _replace(make)


def _loop(path: pathlib.Path) -> None:
  os.symlink(path.name, path)


# Of any file.
FILES: dict[str, Damage] = {
  "missing": _remove,
  "empty": write(b""),
  "half": _cut(0.5),
  "without its last byte": _cut(1 - 1e-9),
  "one bit flipped": lambda path: _flip(path, 0.0),
  "many bits flipped": lambda path: _flip(path, 0.05),
  "text": write(b"not what you expect\n"),
  "web page": write(b"<!DOCTYPE html><html>404 Not Found</html>\n"),
  "zeros": write(bytes(5000)),
  "noise": write(np.random.default_rng(0).bytes(3000)),
  "with more at the end": _append(b"\0more" * 50),
  "a folder": _replace(lambda path: path.mkdir()),
  "a link to itself": _replace(_loop),
  "a dangling link": _replace(lambda path: os.symlink("nowhere", path)),
  "a link to a folder": _replace(lambda path: os.symlink(".", path)),
  "a pipe": _replace(os.mkfifo),
  "a device": _replace(lambda path: os.symlink("/dev/zero", path)),
}

# Of a folder.
FOLDERS = {
  name: FILES[name]
  for name in (
    "missing",
    "text",
    "a folder",
    "a link to itself",
    "a dangling link",
  )
}

# Of a picture or mask.
PICTURES: dict[str, Damage] = {
  "bomb of 2^31 pixels": write(png(2**16, 2**15)),
  "bomb of 2^62 pixels": write(png(2**31 - 1, 2**31 - 1)),
  "bomb of 10^8 pixels": write(png(10_000, 10_001)),
  "bomb of 2^28 palette pixels": write(png(2**14, 2**14, colour=3)),
  "no pixel": write(png(0, 0)),
  "16 bits": write(png(48, 32, bits=16)),
  "RGBA": _picture("RGBA", (48, 32), "PNG"),
  "CMYK": _picture("CMYK", (48, 32), "JPEG"),
  "grey": _picture("L", (48, 32), "PNG"),
  "of one pixel": _picture("P", (1, 1), "PNG"),
  "of another size": _picture("P", (50, 40), "PNG"),
  "32 bit integers": _picture("I", (48, 32), "TIFF"),
  "GIF": _picture("P", (48, 32), "GIF"),
  "TIFF of floats": _picture("F", (48, 32), "TIFF"),
}

# Of a list of names.
LISTS: dict[str, Damage] = {
  "blank": write(b"\n \n\t\n"),
  "UTF-16": lambda p: p.write_text(p.read_text(), encoding="utf-16"),
  "UTF-8 with a mark": lambda p: p.write_text(
    p.read_text(), encoding="utf-8-sig"
  ),
  "Latin-1": write("bär\nspäße\n".encode("latin-1")),
  "binary": write(bytes(range(256)) * 8),
  "null bytes": write(b"ant\0bee\n"),
  "leaving the folder": write(b"../../../etc\n"),
  "absolute": write(b"/etc/passwd\n"),
  "a very long name": write(b"x" * 5000 + b"\n"),
  "an unknown name": write(b"unicorn\n"),
  "many names": write(b"".join(b"n%d\n" % i for i in range(20_000))),
  "old line ends": lambda p: p.write_bytes(
    p.read_bytes().replace(b"\n", b"\r")
  ),
  "other separators": lambda p: p.write_bytes(
    p.read_bytes().replace(b"\n", b";")
  ),
}

# Of a table with two columns.
TABLES: dict[str, Damage] = {
  "one column": write(b"1\n2\n3\n4\n"),
  "three columns": lambda p: p.write_text(p.read_text().replace("\n", " x\n")),
  "a missing row": lambda p: p.write_text(p.read_text().split("\n", 1)[1]),
  "no number": lambda p: p.write_text(p.read_text().replace("1 ", "one ", 1)),
  "blank lines": lambda p: p.write_text(p.read_text().replace("\n", "\n\n")),
  "commas": lambda p: p.write_text(p.read_text().replace(" ", ",")),
  "another flag": lambda p: p.write_text(p.read_text().replace(" 1", " yes")),
}

_DEEP = 10_000
# Of a JSON file.
JSONS: dict[str, Damage] = {
  "null": write(b"null"),
  "a list": write(b"[1, 2]"),
  "a number": write(b"7"),
  "a text": write(b'"foregan"'),
  "an empty object": write(b"{}"),
  "deep lists": write(b"[" * _DEEP + b"]" * _DEEP),
  "deep objects": write(b'{"a":' * _DEEP + b"1" + b"}" * _DEEP),
  "a deep value": lambda p: _edit(p, deep=None, depth=_DEEP),
  "not a number": write(b'{"step": NaN}'),
  "a huge number": write(b'{"step": 1' + b"0" * 5000 + b"}"),
  "UTF-16": lambda p: p.write_text(p.read_text(), encoding="utf-16"),
  "invalid UTF-8": write(b'{"a": "\xff"}'),
}


def _edit(path: pathlib.Path, *, depth: int = 0, **values: object) -> None:
  # Of a file of lines, the first one.
  fields, _ = json.JSONDecoder().raw_decode(path.read_text())
  text = json.dumps({**fields, **values})
  if depth:
    text = text.replace('"deep": null', f'"deep": {"[" * depth}{"]" * depth}')
  path.write_text(text)


def set_key(name: str, value: object) -> Damage:
  """Return a damage that sets a dotted key of a JSON file."""

  def damage(path: pathlib.Path) -> None:
    fields = json.loads(path.read_text())
    *groups, last = name.split(".")
    node = fields
    for group in groups:
      node = node[group]
    node[last] = value
    path.write_text(json.dumps(fields))

  return damage


def drop_key(name: str) -> Damage:
  """Return a damage that removes a dotted key of a JSON file."""

  def damage(path: pathlib.Path) -> None:
    fields = json.loads(path.read_text())
    *groups, last = name.split(".")
    node = fields
    for group in groups:
      node = node[group]
    del node[last]
    path.write_text(json.dumps(fields))

  return damage


def add_odd_file(name: bytes) -> Damage:
  """Return a damage of a folder: copy its first file to a name in bytes."""

  def damage(folder: pathlib.Path) -> None:
    first = min(p for p in folder.iterdir() if p.is_file())
    shutil.copy(first, os.path.join(os.fsencode(folder), name))

  return damage


def rename(name: bytes) -> Damage:
  """Return a damage that renames a file or folder to a name in bytes."""
  return lambda path: os.rename(
    os.fsencode(path), os.path.join(os.fsencode(path.parent), name)
  )
