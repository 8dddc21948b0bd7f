"""A stand-in for gs://, which is a local folder.

Files go through etils' epath to fsspec, which gets a file system for gs://.
Arrays of checkpoints go through Orbax to TensorStore, whose driver for Google's
cloud is replaced by the one for files. Objects cannot be appended to or locked,
as in reality. Not tested: gcsfs, and TensorStore's own driver.
"""

import pathlib
import sys
import types
from typing import ClassVar

import fsspec
import google.cloud
import pytest
from fsspec.implementations import dirfs, local
from orbax.checkpoint._src.path import gcs_utils

_SCHEME = "gs://"


class _Storage(dirfs.DirFileSystem):
  """gs://BUCKET/NAME is the file BUCKET/NAME below `folder`."""

  protocol = ("gs", "gcs")
  cachable = False
  folder: ClassVar[str]

  def __init__(self, **unused):
    files = local.LocalFileSystem(auto_mkdir=True)  # objects need no folder
    super().__init__(path=self.folder, fs=files)

  def _join(self, path):
    return super()._join(self._strip(path))

  def _strip(self, path):
    if isinstance(path, str):
      return path.removeprefix(_SCHEME).rstrip("/")
    return [self._strip(x) for x in path]

  def open(self, path, mode="rb", *args, **options):
    if "a" in mode:
      raise NotImplementedError("objects cannot be appended to")
    return super().open(path, mode, *args, **options)


def use(folder: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
  """Let gs:// be a folder."""
  patch.setattr(_Storage, "folder", str(folder), raising=False)
  for name in _Storage.protocol:  # epath asks for the second one
    fsspec.register_implementation(name, _Storage, clobber=True)
  patch.setattr(
    gcs_utils, "get_kvstore_for_gcs",
    lambda path: {
      "driver": "file", "path": f"{folder}/{path.removeprefix(_SCHEME)}"
    },
  )  # fmt: skip
  # Orbax asks this package for the kind of the bucket.
  module = types.ModuleType("google.cloud.storage")
  module.Client = lambda: types.SimpleNamespace(get_bucket=lambda name: name)
  patch.setitem(sys.modules, module.__name__, module)
  patch.setattr(google.cloud, "storage", module, raising=False)
