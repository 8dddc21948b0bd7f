"""Metric writers with the interface of clu, but without TensorFlow.

Scalars, texts and hyperparameters become lines of `metrics.jsonl`. If
tensorboardX is installed, scalars, images, texts and hyperparameters also
become TensorBoard events. Only process 0 writes.
"""

import io
import json
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from absl import logging

from foregan_jax import storage

JSONL = "metrics.jsonl"
# Characters that TensorBoard does not allow in a name.
_ILLEGAL = re.compile(r"[^\w/.-]+", re.ASCII)


@runtime_checkable
class Writer(Protocol):
  """The interface of all writers.

  The methods here write nothing, so a subclass can omit kinds of data.
  """

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write one number per name."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Write uint8 images [n, h, w, 3] per name."""

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write one text per name."""

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the values of the config, once."""

  def flush(self) -> None:
    """Make the written data visible to readers."""

  def close(self) -> None:
    """Flush and close the files."""


class JsonlWriter(Writer):
  """A writer of JSON lines: `{"step": 10, "time": ..., name: number}`.

  Numbers that JSON does not support (nan, infinities) are written as strings.
  Images are ignored.
  """

  def __init__(self, path: str | os.PathLike, *, resume_step: int):
    """Open the file and delete the lines that a resumed run writes again.

    Args:
      path: the file; its folder is created.
      resume_step: lines of this step and later are deleted. 0 for a new run;
        the restored step + 1 for a resumed run, because the line of the
        restored step stays.
    """
    self._path = storage.open_path(path)
    kept = _lines_before(self._path, resume_step)
    storage.write(self._path, kept)
    self._file: io.TextIOBase
    if storage.is_remote(self._path):
      # Objects in a cloud cannot be appended to: each `flush` writes all lines.
      self._file = io.StringIO()
      self._file.write(kept)
    else:
      self._file = self._path.open("a", encoding="utf-8")

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write all numbers of a step as one line."""
    self._write(step, {name: _number(x) for name, x in scalars.items()})

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write all texts of a step as one line."""
    self._write(step, dict(texts))

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the config as a line of step 0."""
    self._write(0, {"hparams": dict(hparams)})

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Do nothing."""

  def flush(self) -> None:
    """Make the written data visible to readers."""
    self._file.flush()
    if isinstance(self._file, io.StringIO):
      storage.write(self._path, self._file.getvalue())

  def close(self) -> None:
    """Flush and close the file."""
    self.flush()
    self._file.close()

  def _write(self, step: int, entries: Mapping[str, Any]) -> None:
    line = {"step": int(step), "time": round(time.time(), 2), **entries}
    self._file.write(json.dumps(line) + "\n")


class TensorBoardWriter(Writer):
  """A writer of TensorBoard event files."""

  def __init__(self, directory: str | os.PathLike, *, resume_step: int):
    """Open a new event file in `directory`.

    Args:
      directory: folder of the event files.
      resume_step: TensorBoard hides events of this step and later that earlier
        files have.

    Raises:
      ModuleNotFoundError: if tensorboardX is not installed.
    """
    import tensorboardX

    self._writer = tensorboardX.SummaryWriter(
      os.fspath(directory), purge_step=resume_step or None
    )

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write one number per name."""
    for name, value in scalars.items():
      self._writer.add_scalar(_tag(name), float(value), step)

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Write uint8 images [n, h, w, 3] per name."""
    for name, batch in images.items():
      self._writer.add_images(
        _tag(name), np.asarray(batch), step, dataformats="NHWC"
      )

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write one text per name."""
    for name, text in texts.items():
      self._writer.add_text(_tag(name), text, step)

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the config as indented JSON."""
    text = json.dumps(hparams, indent=2)
    # Four spaces start a code block in TensorBoard's Markdown.
    code = "".join(f"    {line}\n" for line in text.splitlines())
    self._writer.add_text("config", code, 0)

  def flush(self) -> None:
    """Make the written data visible to readers."""
    self._writer.flush()

  def close(self) -> None:
    """Flush and close the event file."""
    self._writer.close()


class MultiWriter(Writer):
  """A writer that forwards to several writers, or to none."""

  def __init__(self, *writers: Writer):
    self._writers = writers

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write one number per name; fetch them from the device once."""
    if not self._writers:
      return  # A process that does not write should not wait for the device.
    scalars = jax.device_get(dict(scalars))
    for writer in self._writers:
      writer.write_scalars(step, scalars)

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Write uint8 images [n, h, w, 3] per name."""
    for writer in self._writers:
      writer.write_images(step, images)

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write one text per name."""
    for writer in self._writers:
      writer.write_texts(step, texts)

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the values of the config, once."""
    for writer in self._writers:
      writer.write_hparams(hparams)

  def flush(self) -> None:
    """Flush every writer."""
    for writer in self._writers:
      writer.flush()

  def close(self) -> None:
    """Close every writer."""
    for writer in self._writers:
      writer.close()


def create(workdir: str | os.PathLike, *, resume_step: int) -> Writer:
  """Build the writer of this process for a new or resumed run.

  Args:
    workdir: folder of `metrics.jsonl` and the event files.
    resume_step: the first step that this run writes; 0 for a new run.

  Returns:
    In process 0, a writer of JSON lines and, if tensorboardX is installed, of
    TensorBoard events. In other processes, a writer that does nothing.
  """
  if jax.process_index() != 0:
    return MultiWriter()
  workdir = storage.open_path(workdir)
  jsonl = JsonlWriter(workdir / JSONL, resume_step=resume_step)
  if storage.is_remote(workdir):
    return MultiWriter(jsonl)  # tensorboardX writes to no such address
  try:
    events = TensorBoardWriter(workdir, resume_step=resume_step)
  except ModuleNotFoundError:
    return MultiWriter(jsonl)
  return MultiWriter(jsonl, events)


def _tag(name: str) -> str:
  return _ILLEGAL.sub("_", name)


def read_lines(path: str | os.PathLike) -> tuple[list[dict], list[int]]:
  """Read the lines that a `JsonlWriter` wrote.

  Args:
    path: the file.

  Returns:
    The lines, and the numbers (from 1) of other lines. A last line that is cut
    off is in neither: the run was killed while it wrote the line.

  Raises:
    ValueError: if the path is not a file.
  """
  path = storage.open_path(path)
  if not path.is_file():
    raise ValueError(f"{path} is not a file, expected lines of metrics")
  text = path.read_bytes().decode("utf-8", "replace")
  *whole, last = text.split("\n")
  lines, broken = [], []
  for number, line in enumerate((*whole, last), 1):
    if not line.strip():
      continue
    try:
      entries = json.loads(line)
      if not isinstance(entries["step"], int):
        raise TypeError
      lines.append(entries)
    except (ValueError, KeyError, TypeError, RecursionError):
      if number <= len(whole):
        broken.append(number)
  return lines, broken


def _lines_before(path: storage.Path, resume_step: int) -> str:
  """Return the lines of earlier steps, as a text."""
  if not (path.exists() or os.path.islink(path)):
    return ""
  lines, broken = read_lines(path)
  if broken:
    logging.warning(
      "%s: removed %d lines that are no metrics, the first is line %d",
      path, len(broken), broken[0],
    )  # fmt: skip
  kept = [json.dumps(x) + "\n" for x in lines if x["step"] < resume_step]
  return "".join(kept)


def _number(value: Any) -> float | int | str:
  value = np.asarray(value).item()
  return value if math.isfinite(value) else str(value)
