"""CSV tables that other processes may read and write at the same time."""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence

from foregan_jax.media import pictures


def write(path: pathlib.Path, rows: Iterable[Sequence[object]]) -> None:
  """Write a table atomically; the first row is the header."""
  text = io.StringIO()
  csv.writer(text, lineterminator="\n").writerows(rows)
  content = text.getvalue().encode("utf-8")
  pictures.write_atomically(path, lambda file: file.write(content))
