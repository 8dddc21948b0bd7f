"""Metric writers, with clu's method names but without its TensorFlow.

Scalars, texts and hyper-parameters become lines of `metrics.jsonl`; scalars,
images and texts become TensorBoard events where tensorboardX is installed.
Only process 0 writes.
"""

import json
import math
import os
import pathlib
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

JSONL = "metrics.jsonl"
# TensorBoard allows no others in a name.
_ILLEGAL = re.compile(r"[^\w/.-]+", re.ASCII)


@runtime_checkable
class Writer(Protocol):
  """What a run says about itself, step by step.

  The bodies here write nothing, so a writer need not know every kind.
  """

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write one number per name."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Write uint8 pictures [n, h, w, 3] per name."""

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write one text per name."""

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the values of the config, once."""

  def flush(self) -> None:
    """Make what was written visible to readers."""

  def close(self) -> None:
    """Flush and let go of the files."""


class JsonlWriter(Writer):
  """Write one JSON object per line: `{"step": 10, "time": ..., name: number}`.

  Numbers that JSON does not know (nan, infinities) are written as strings.
  Pictures are left to other writers.
  """

  def __init__(self, path: str | os.PathLike, *, resume_step: int):
    """Open the file, dropping what a resumed run will write again.

    Args:
      path: the file; its folder is made.
      resume_step: steps from this one on are dropped: 0 for a new run, the
        restored step + 1 for one whose step is the last that was done.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _truncate(path, resume_step)
    self._file = path.open("a", encoding="utf-8")

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write all numbers of a step as one line."""
    self._write(step, {name: _number(x) for name, x in scalars.items()})

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write all texts of a step as one line."""
    self._write(step, dict(texts))

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the config as a line of step 0."""
    self._write(0, {"hparams": dict(hparams)})

  def flush(self) -> None:
    """Make what was written visible to readers."""
    self._file.flush()

  def close(self) -> None:
    """Flush and close the file."""
    self._file.close()

  def _write(self, step: int, entries: Mapping[str, Any]) -> None:
    line = {"step": int(step), "time": round(time.time(), 2), **entries}
    self._file.write(json.dumps(line) + "\n")


class TensorBoardWriter(Writer):
  """Write TensorBoard event files."""

  def __init__(self, directory: str | os.PathLike, *, resume_step: int):
    """Open a new event file in `directory`.

    Args:
      directory: where the event files lie.
      resume_step: TensorBoard hides earlier events from this step on.

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
    """Write uint8 pictures [n, h, w, 3] per name."""
    for name, pictures in images.items():
      self._writer.add_images(
        _tag(name), np.asarray(pictures), step, dataformats="NHWC"
      )

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Write one text per name."""
    for name, text in texts.items():
      self._writer.add_text(_tag(name), text, step)

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Write the config as indented JSON."""
    text = json.dumps(hparams, indent=2)
    # Four blanks make a block of code in TensorBoard's Markdown.
    code = "".join(f"    {line}\n" for line in text.splitlines())
    self._writer.add_text("config", code, 0)

  def flush(self) -> None:
    """Make what was written visible to readers."""
    self._writer.flush()

  def close(self) -> None:
    """Flush and close the event file."""
    self._writer.close()


class MultiWriter(Writer):
  """Pass everything on to several writers; to none, it writes nothing."""

  def __init__(self, *writers: Writer):
    self._writers = writers

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Write one number per name, fetched from the device once."""
    if not self._writers:
      return  # Processes that do not write must not wait for the device.
    scalars = jax.device_get(dict(scalars))
    for writer in self._writers:
      writer.write_scalars(step, scalars)

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Write uint8 pictures [n, h, w, 3] per name."""
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
  """Build the writer of this process for a run that (re)starts.

  Args:
    workdir: where `metrics.jsonl` and the event files go.
    resume_step: the first step that this run will write; 0 for a new run.

  Returns:
    JSONL and, where tensorboardX is installed, TensorBoard in process 0;
    nothing in the others.
  """
  if jax.process_index() != 0:
    return MultiWriter()
  workdir = pathlib.Path(workdir)
  jsonl = JsonlWriter(workdir / JSONL, resume_step=resume_step)
  try:
    events = TensorBoardWriter(workdir, resume_step=resume_step)
  except ModuleNotFoundError:
    return MultiWriter(jsonl)
  return MultiWriter(jsonl, events)


def _tag(name: str) -> str:
  return _ILLEGAL.sub("_", name)


def _truncate(path: pathlib.Path, resume_step: int) -> None:
  if not path.exists():
    return
  kept = []
  for line in path.read_text(encoding="utf-8").splitlines():
    try:
      old = json.loads(line)["step"] < resume_step
    except (ValueError, KeyError, TypeError):
      continue  # The last line of a run that was killed while writing it.
    if old:
      kept.append(line + "\n")
  # Written beside and moved, so that a kill cannot lose the file.
  beside = path.with_name(path.name + ".tmp")
  beside.write_text("".join(kept), encoding="utf-8")
  beside.replace(path)


def _number(value: Any) -> float | int | str:
  value = np.asarray(value).item()
  return value if math.isfinite(value) else str(value)
