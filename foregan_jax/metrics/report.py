"""Summaries of J and F: the toolkit's two CSV files, horizons, a table.

Scores are nested by sequence and object, as `davis.score_sequence` returns
them: `{sequence: {object: {"frames": [n], "J": [n], "F": [n]}}}`. Without
"frames" the values are those of frames 1, 2, ..., as in the official
evaluation of a fully annotated sequence.

A *horizon* measures how scores change with the distance from frame 0. With
clips of T frames, horizon T ends after T-1 transitions and horizon 2T after
twice as many. Horizon k contains the frames (k-1)(T-1)+1 .. k(T-1).
"""

import csv
import dataclasses
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table

from foregan_jax import storage
from foregan_jax.metrics import davis

# Per-frame values of one object.
ObjectScores = Mapping[str, Any]
# Of all objects of all sequences.
Scores = Mapping[str, Mapping[int, ObjectScores]]

GLOBAL_COLUMNS = (
  "J&F-Mean",
  "J-Mean",
  "J-Recall",
  "J-Decay",
  "F-Mean",
  "F-Recall",
  "F-Decay",
)
SEQUENCE_COLUMNS = ("Sequence", "J-Mean", "F-Mean")
NUM_HORIZONS = 3


@dataclasses.dataclass(frozen=True)
class Head:
  """One row of the table: a head or a baseline, with its scores.

  `learned` is False for baselines ("repeat the first mask", "warp it by the
  flow"). `uses_ground_truth` marks rows that choose among several proposals
  with ground truth; they are never the best head.
  """

  name: str
  scores: Scores
  learned: bool
  uses_ground_truth: bool = False


def global_results(scores: Scores) -> dict[str, float]:
  """Return the row of the toolkit's global CSV, by column name.

  All objects have the same weight, whatever their number of frames.

  Raises:
    ValueError: there is no object, or J and F differ in length.
  """
  _check(scores)
  result = {}
  for metric in ("J", "F"):
    each = [davis.statistics(o[metric]) for _, _, o in _objects(scores)]
    names = [f"{metric}-{s}" for s in ("Mean", "Recall", "Decay")]
    result |= dict(zip(names, np.mean(each, axis=0).tolist(), strict=True))
  result["J&F-Mean"] = (result["J-Mean"] + result["F-Mean"]) / 2
  return {column: result[column] for column in GLOBAL_COLUMNS}


def sequence_results(scores: Scores) -> list[tuple[str, float, float]]:
  """Return the rows of the toolkit's per-sequence CSV.

  One row per object: ("<sequence>_<object>", mean of J, mean of F), in the
  order of `scores`.
  """
  _check(scores)
  return [
    (
      f"{sequence}_{k}",
      davis.statistics(values["J"])[0],
      davis.statistics(values["F"])[0],
    )
    for sequence, k, values in _objects(scores)
  ]


def write_csvs(
  folder: storage.Path, split: str, scores: Scores
) -> tuple[storage.Path, storage.Path]:
  """Write the two CSV files of `davis2017-evaluation` and return their paths.

  The files are `global_results-<split>.csv` and
  `per-sequence_results-<split>.csv`, with three decimals and the toolkit's
  columns. The toolkit keeps files that exist; this function always overwrites
  them, so that scores match the latest masks.
  """
  result = global_results(scores)
  per_all = folder / f"global_results-{split}.csv"
  per_sequence = folder / f"per-sequence_results-{split}.csv"
  _write_csv(per_all, GLOBAL_COLUMNS, [tuple(result.values())])
  _write_csv(per_sequence, SEQUENCE_COLUMNS, sequence_results(scores))
  return per_all, per_sequence


def horizon_frames(k: int, clip_len: int) -> range:
  """Return the frames of horizon k = 1, 2, ...: (k-1)(T-1)+1 .. k(T-1).

  Raises:
    ValueError: `k` is less than 1, or `clip_len` (T) is less than 2.
  """
  if k < 1 or clip_len < 2:
    raise ValueError(
      f"horizons start at 1 and clips have at least 2 frames, got k = {k} and "
      f"clip_len = {clip_len}."
    )
  return range((k - 1) * (clip_len - 1) + 1, k * (clip_len - 1) + 1)


def horizon_name(k: int) -> str:
  """Return "T", "2T", "3T", ..."""
  return "T" if k == 1 else f"{k}T"


def horizon_means(
  scores: Scores, *, clip_len: int, num_horizons: int = NUM_HORIZONS
) -> dict[str, dict[str, float]]:
  """Return mean J and F per horizon: {"T": {"J": ..., "F": ...}, "2T": ...}.

  The mean is over the frames of an object, then over the objects with a scored
  frame in the horizon. It is NaN if no object has one.
  """
  _check(scores)
  means = {}
  for k in range(1, num_horizons + 1):
    frames = horizon_frames(k, clip_len)
    means[horizon_name(k)] = {m: _mean_in(scores, m, frames) for m in "JF"}
  return means


def scalars(scores: Scores, *, clip_len: int) -> dict[str, float]:
  """Return all numbers as a flat dict for a metric writer.

  The keys are JF_mean, J_mean, J_recall, J_decay, F_mean, F_recall, F_decay,
  and J_T, F_T, JF_T, J_2T, ... for each horizon that has a scored frame.
  """
  flat = {}
  for column, value in global_results(scores).items():
    metric, statistic = column.replace("&", "").split("-")
    flat[f"{metric}_{statistic.lower()}"] = value
  for horizon, means in horizon_means(scores, clip_len=clip_len).items():
    for metric, value in means.items():
      if not np.isnan(value):
        flat[f"{metric}_{horizon}"] = value
    both = (means["J"] + means["F"]) / 2
    if not np.isnan(both):
      flat[f"JF_{horizon}"] = both
  return flat


def best_learned(heads: Sequence[Head]) -> Head | None:
  """Return the learned head with the highest J&F; None if there is none.

  Heads that use ground truth do not count.
  """
  return _best([h for h in heads if h.learned and not h.uses_ground_truth])


def table(
  heads: Sequence[Head], *, clip_len: int, title: str
) -> rich.table.Table:
  """Return a rich table: heads by J and F at T, 2T, 3T and over all frames.

  Baselines come first, then the learned heads; the best one is highlighted.
  The caption gives the frames of the horizons, and the difference between the
  best head and the best baseline.

  Args:
    heads: the rows; baselines and learned heads each keep their order.
    clip_len: T, the number of frames of a training clip.
    title: the line above the table.
  """
  header, rows = _cells(heads, clip_len)
  best = best_learned(heads)
  out = rich.table.Table(
    title=title,
    caption=_caption(heads, clip_len),
    box=rich.box.SIMPLE_HEAD,
    # The ten columns must fit into a terminal of 80 characters.
    padding=(0, 1, 0, 0),
    pad_edge=False,
    title_justify="left",
    caption_justify="left",
  )
  for i, name in enumerate(header):
    out.add_column(name, justify="right" if i else "left", no_wrap=i > 0)
  for i, (head, cells) in enumerate(rows):
    last_baseline = i + 1 < len(rows) and rows[i + 1][0].learned
    style = "bold green" if head is best else "" if head.learned else "dim"
    out.add_row(
      *cells, style=style, end_section=last_baseline and not head.learned
    )
  return out


def plain(heads: Sequence[Head], *, clip_len: int, title: str) -> str:
  """Return the table of `table` as ASCII text, for log files and pipes.

  An asterisk marks the best learned head.
  """
  header, rows = _cells(heads, clip_len)
  best = best_learned(heads)
  lines = [header]
  for head, (name, *cells) in rows:
    lines.append((f"{name} *" if head is best else name, *cells))
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  text = [title]
  for line in lines:
    first, *rest = line
    cells = [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
    text.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
  rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
  num_baselines = sum(not h.learned for h in heads)
  text.insert(2, rule)
  if 0 < num_baselines < len(heads):
    text.insert(3 + num_baselines, rule)
  return "\n".join([*text, _caption(heads, clip_len)])


def show(heads: Sequence[Head], *, clip_len: int, title: str) -> None:
  """Print the table: `table` in colour on a terminal, otherwise `plain`."""
  if sys.stdout.isatty():
    console = rich.console.Console(file=sys.stdout)
    console.print(table(heads, clip_len=clip_len, title=title))
  else:
    print(plain(heads, clip_len=clip_len, title=title))


def _objects(scores: Scores) -> list[tuple[str, int, ObjectScores]]:
  return [(s, k, v) for s, each in scores.items() for k, v in each.items()]


def _check(scores: Scores) -> None:
  if not _objects(scores):
    raise ValueError("there are no scores: no sequence has an object.")
  for sequence, k, values in _objects(scores):
    lengths = {name: len(values[name]) for name in values}
    if len(set(lengths.values())) != 1:
      raise ValueError(
        f"{sequence}, object {k}: J and F need one value per frame, got "
        f"lengths {lengths}."
      )


def _mean_in(scores: Scores, metric: str, horizon: range) -> float:
  means = []
  for _, _, values in _objects(scores):
    v = np.asarray(values[metric], float)
    frames = values.get("frames", range(1, len(v) + 1))
    inside = np.isin(np.asarray(frames), np.asarray(horizon))
    if inside.any():
      means.append(v[inside].mean())
  return float(np.mean(means)) if means else float("nan")


def _best(heads: Sequence[Head]) -> Head | None:
  key = lambda head: global_results(head.scores)["J&F-Mean"]
  return max(heads, key=key, default=None)


def _cells(
  heads: Sequence[Head], clip_len: int
) -> tuple[tuple[str, ...], list[tuple[Head, tuple[str, ...]]]]:
  """Return the header, and (head, cells) of each row, baselines first."""
  names = [horizon_name(k) for k in range(1, NUM_HORIZONS + 1)]
  header = ["head"]
  for metric in "JF":
    header += [*(f"{metric} {name}" for name in names), metric]
  rows = []
  # sorted() is stable, so each group keeps the caller's order.
  for head in sorted(heads, key=lambda head: head.learned):
    result = global_results(head.scores)
    means = horizon_means(head.scores, clip_len=clip_len)
    values = []
    for metric in "JF":
      values += [means[name][metric] for name in names]
      values.append(result[f"{metric}-Mean"])
    values.append(result["J&F-Mean"])
    rows.append((head, (head.name, *map(_number, values))))
  return (*header, "J&F"), rows


def _caption(heads: Sequence[Head], clip_len: int) -> str:
  spans = []
  for k in range(1, NUM_HORIZONS + 1):
    frames = horizon_frames(k, clip_len)
    spans.append(f"{horizon_name(k)} = frames {frames[0]}-{frames[-1]}")
  text = ", ".join(spans) + "; J, F = all frames but the first and last."
  best = best_learned(heads)
  baseline = _best([h for h in heads if not h.learned])
  if best is None or baseline is None:
    return text
  gap = (
    global_results(best.scores)["J&F-Mean"]
    - global_results(baseline.scores)["J&F-Mean"]
  )
  side = "above" if gap >= 0 else "BELOW"
  return (
    f"{text}\nBest learned head: {best.name}, J&F {_number(abs(gap))} {side} "
    f"the best baseline ({baseline.name})."
  )


def _number(value: float) -> str:
  """Return three decimals without the leading zero, to save width."""
  return "-" if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def _write_csv(
  path: storage.Path, columns: Sequence[str], rows: Sequence[tuple]
) -> None:
  """Write a table atomically."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(columns)
  for row in rows:
    cells = [c if isinstance(c, str) else f"{c:.3f}" for c in row]
    # The toolkit writes NaN as an empty cell.
    writer.writerow(["" if c == "nan" else c for c in cells])
  storage.write(path, text.getvalue())
