"""Files of an evaluation of videos, and the exchange between processes."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foregan_jax import storage
from foregan_jax.evaluators import baselines
from foregan_jax.media import images, pictures
from foregan_jax.metrics import report
from foregan_jax.runtime import mesh as mesh_lib

_OVERLAY_FPS = 8


def write_sequence(
  folder: storage.Path,
  sequence: Mapping[str, Any],
  labels: Mapping[str, list[np.ndarray]],
) -> None:
  """Write palette PNGs per head, and an animation of all heads.

  Args:
    folder: of the results.
    sequence: from `data.davis.Davis.sequence`.
    labels: native label maps of every frame, by head.
  """
  name = sequence["name"]
  for head, masks in labels.items():
    for path, mask in zip(sequence["paths"], masks, strict=True):
      stem = pathlib.Path(path).stem
      pictures.save_labels(folder / head / name / f"{stem}.png", mask)
  height, width = sequence["native_size"]
  truth = [
    np.zeros((height, width), np.uint8)
    if t is None
    else np.where(t == images.VOID, 0, t)
    for t in sequence["labels"]
  ]
  shown = {"truth": truth, baselines.REPEAT: baselines.repeated(sequence)}
  shown |= labels
  sheets = []
  for t in range(len(truth)):
    frame = sequence["native_frame"](t)
    row = [
      pictures.overlay(frame, masks[t].astype(np.uint8))
      for masks in shown.values()
    ]
    sheets.append(pictures.contact_sheet([row], columns=list(shown)))
  path = folder / "overlays" / f"{name}.webp"
  pictures.animate(path, np.stack(sheets), fps=_OVERLAY_FPS)


def gather(names: Sequence[str], tables: Any) -> Any:
  """Gather tables of all processes.

  Args:
    names: of all videos.
    tables: of this process: dicts by row, then by video, then any values.

  Returns:
    The tables of all processes, with JSON's types: videos in the order of
    `names`, numbers as keys are strings.
  """
  whole: list[dict[str, dict]] = [{} for _ in tables]
  for parts in mesh_lib.gather(tables, "videos are evaluated"):
    for table, part in zip(whole, parts, strict=True):
      for row, videos in part.items():
        table.setdefault(row, {}).update(videos)
  return [
    {row: {n: by[n] for n in names if n in by} for row, by in table.items()}
    for table in whole
  ]


def _to_list(value):
  return value.tolist()


def write_scores(
  folder: storage.Path, heads: list[report.Head], *, split: str
) -> None:
  """Write the toolkit's CSV files per head, and all scores as JSON."""
  for head in heads:
    report.write_csvs(folder / head.name, split, head.scores)
  text = json.dumps({h.name: h.scores for h in heads}, default=_to_list)
  storage.write(folder / "scores.json", text)
