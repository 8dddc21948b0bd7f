"""A lock on a folder, held while one process trains in it."""

import contextlib
import os
import socket
from collections.abc import Iterator

from absl import logging

from foregan_jax import storage

try:
  import fcntl
except ImportError:  # Windows has no such lock
  fcntl = None

FILE = ".lock"


@contextlib.contextmanager
def hold(folder: storage.Path) -> Iterator[None]:
  """Hold the folder's lock; create the folder.

  The operating system releases the lock when the process ends, also when it is
  killed.

  Raises:
    ValueError: if another process holds the lock.
  """
  if storage.is_remote(folder):
    logging.warning(
      "%s has no locks: make sure that no other run trains in it", folder
    )
    yield
    return
  folder.mkdir(parents=True, exist_ok=True)
  with open(folder / FILE, "a+") as file:
    try:
      if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      holder = file.read().strip() or "another process"
      raise ValueError(
        f"{folder} is in use: {holder} trains in it. Wait until it ends, or "
        "give another --workdir"
      ) from None
    except OSError as error:  # some network file systems have no locks
      logging.warning("%s cannot be locked: %s", folder, error)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    yield
