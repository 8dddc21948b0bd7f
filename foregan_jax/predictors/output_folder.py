"""The output folder of a verb: what it writes, replaces and never touches.

Only files of earlier calls are replaced: their names are in the snapshot (see
`resume`). A hidden file marks folders as those of this program; folders without
it are never removed.
"""

import pathlib
import re
from collections.abc import Iterable, Sequence

from foregan_jax.media import paths

_MARK = ".foregan_jax"
# The name that `pictures` gives to a file until it is complete.
_UNFINISHED = re.compile(r"\..+\.\d+\.\d+")


class OutputFolder:
  """Files and folders of pictures below one folder.

  Attributes:
    out: the folder.
    written: names of all files and folders to write.
    replaced: `written`, and names that an earlier call wrote.
  """

  def __init__(
    self,
    out: pathlib.Path,
    *,
    folders: Sequence[str],
    files: Sequence[str],
    written: Sequence[str],
    earlier: Sequence[str],
  ):
    """Set the paths; write nothing yet.

    Args:
      out: the folder.
      folders: names of all folders of pictures that the verb can write.
      files: names of all files that it can write.
      written: names that this call writes.
      earlier: names that an earlier call wrote.
    """
    names = (*folders, *files)
    self.out = out
    self.written = tuple(name for name in names if name in written)
    self.replaced = tuple(
      name for name in names if name in written or name in earlier
    )
    self._earlier = earlier
    self._kinds = frozenset(folders)

  @property
  def folders(self) -> list[pathlib.Path]:
    """Return the folders of pictures to write."""
    return self._folders(self.written)

  def check_places(self, inputs: Iterable[pathlib.Path]) -> None:
    """Refuse to overwrite inputs, and to write through symbolic links.

    Raises:
      ValueError: if an input is, or lies below, a file or folder that will be
        written, or one of these is a symbolic link, a pipe or a device.
    """
    places = [self.out / name for name in self.replaced]
    for place in places:
      paths.refuse_link(self.out, place)
      if place.exists() and not (place.is_file() or place.is_dir()):
        raise ValueError(f"{place} is not a file; remove it")
    full_places = {paths.full(place) for place in places}
    for path in inputs:
      full = paths.full(path)
      if full_places & {full, *full.parents}:
        raise ValueError(
          f"{path} lies where results will be written; give another --out"
        )

  def check_free(self) -> None:
    """Refuse to overwrite files that no earlier call wrote.

    Raises:
      ValueError: if there are such files, also in folders of earlier calls.
    """
    for name in self.written:
      path = self.out / name
      if path.exists() and name not in self._earlier:
        raise ValueError(
          f"{path} exists already, and no earlier call wrote it; give another "
          "--out"
        )
    for folder in self._folders(self.replaced):
      if folder.exists():
        _check_own(folder)

  def clear(self) -> None:
    """Remove the results of an earlier call and make the folders."""
    for folder in self._folders(self.replaced):
      if folder.exists():
        for path in _check_own(folder):
          path.unlink()
        folder.rmdir()
    for name in self.replaced:
      if name not in self._kinds:
        (self.out / name).unlink(missing_ok=True)
    for folder in self.folders:
      folder.mkdir(parents=True)
      (folder / _MARK).touch()

  def remove_unfinished(self) -> None:
    """Remove incomplete files of a killed call."""
    for folder in (self.out, *self.folders):
      for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
          path.unlink(missing_ok=True)

  def _folders(self, names: Sequence[str]) -> list[pathlib.Path]:
    return [self.out / name for name in names if name in self._kinds]


def claim(out: pathlib.Path) -> None:
  """Make a folder for results, or accept one of an earlier call.

  Raises:
    ValueError: if there is a folder with files that no earlier call made, or
      something else.
  """
  if out.exists() and not out.is_dir():
    raise ValueError(f"{out} is not a folder; give another --out")
  if out.exists() and not is_claimed(out) and any(out.iterdir()):
    raise ValueError(
      f"{out} has files already, and no earlier call wrote them; give another "
      "--out"
    )
  out.mkdir(parents=True, exist_ok=True)
  (out / _MARK).touch()


def is_claimed(folder: pathlib.Path) -> bool:
  """Return whether this program made a folder for results."""
  return (folder / _MARK).is_file()


def _check_own(folder: pathlib.Path) -> list[pathlib.Path]:
  """Return the files in a folder of results.

  Raises:
    ValueError: if this program did not make the folder, or it has other
      entries than pictures of results.
  """
  if not (folder / _MARK).is_file():
    raise ValueError(
      f"{folder} would be replaced, but has no file {_MARK}, so another "
      "program made it; move it, or give another --out"
    )
  found = sorted(folder.iterdir())
  for path in found:
    own = path.suffix == ".png" or path.name == _MARK
    own = own or _UNFINISHED.fullmatch(path.name)
    if path.is_symlink() or not path.is_file() or not own:
      raise ValueError(
        f"{path} would be removed, but is not a picture of results; move it, "
        "or give another --out"
      )
  return found
