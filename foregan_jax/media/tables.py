"""CSV tables that other processes may read and write at the same time."""

import csv
import io
from collections.abc import Iterable, Sequence

from foregan_jax import storage


def write(path: storage.Path, rows: Iterable[Sequence[object]]) -> None:
  """Write a table atomically; the first row is the header."""
  text = io.StringIO()
  csv.writer(text, lineterminator="\n").writerows(rows)
  storage.write(path, text.getvalue())
