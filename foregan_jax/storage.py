"""Where a run lives: a folder of this machine, of shared storage, or a cloud.

A local folder is a `pathlib.Path`. An address such as `gs://bucket/run` is an
`epath.Path`, which has the same methods for all that a run needs.
"""

import io
import os
import pathlib
import secrets
from collections.abc import Callable
from typing import Any, TypeAlias

from etils import epath

Path: TypeAlias = pathlib.Path | epath.Path
_REMOTE = "gs://"
_MARK = "://"


def open_path(path: str | os.PathLike) -> Path:
  """Return an absolute path, or an address in Google's cloud.

  Raises:
    ValueError: for an address of another kind than gs://BUCKET/FOLDER, or if
      the package that opens it is not installed.
  """
  text = os.fspath(path)
  if _MARK not in text:
    return pathlib.Path(text).absolute()
  if not text.removeprefix(_REMOTE).strip("/") or not text.startswith(_REMOTE):
    raise ValueError(
      f"{text!r} is neither a local folder nor {_REMOTE}BUCKET/FOLDER. Orbax "
      "writes checkpoints to no other cloud: mount the bucket as a folder"
    )
  address = epath.Path(text)
  try:
    address.exists()
  except ImportError as error:
    raise ValueError(
      f"{text} needs the package gcsfs (pip install 'foregan_jax[cloud]'): "
      f"{error}"
    ) from error
  return address


def is_remote(path: str | os.PathLike) -> bool:
  """Return whether a path is an address in a cloud."""
  return _MARK in os.fspath(path)


def cache(workdir: Path) -> pathlib.Path:
  """Return the local folder for what can be made again, such as flows.

  It is beside a local workdir, so that all hosts share it. For a workdir in a
  cloud it belongs to this machine: `XDG_CACHE_HOME` (~/.cache) and
  `foregan_jax`.
  """
  if not is_remote(workdir):
    return pathlib.Path(workdir).parent
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(home, "foregan_jax")


def write(path: Path, content: bytes | str | Callable[[Any], Any]) -> None:
  """Write a file atomically and create its folder.

  Threads, and processes of several hosts, may write the same file at the same
  time: readers find one content or the other.

  Args:
    path: the file.
    content: bytes, a text, or a function that writes to an open binary file.
  """
  if isinstance(content, str):
    content = content.encode()
  if isinstance(content, bytes):
    data = content
    save = lambda file: file.write(data)
  else:
    save = content
  if is_remote(path):
    buffer = io.BytesIO()
    save(buffer)
    path.write_bytes(buffer.getvalue())  # a new object replaces the old one
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  # Processes of several containers may have the same number.
  unique = f"{os.getpid()}.{secrets.randbits(64)}"
  temporary = path.with_name(f".{path.name}.{unique}")
  try:
    with open(temporary, "wb") as file:
      save(file)
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)
