"""Published scores of RGMP per object, to compare ours with.

Source: the official repository's evaluation files (equal to the DAVIS
leaderboard), for 480p, three scales and the official weights. Values are
percent, J/F of each object in the order of its index.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from foregan_jax.metrics import davis

# DAVIS-2017 val, each object separately.
_VAL_2017 = """
bike-packing 35.7/56.0 61.6/57.2; blackswan 96.0/98.6;
bmx-trees 30.7/58.6 58.1/72.7; breakdance 59.2/63.1; camel 74.7/85.4;
car-roundabout 95.0/90.4; car-shadow 96.3/99.7; cows 93.7/93.0;
dance-twirl 83.7/82.5; dog 95.5/96.2; dogs-jump 10.9/13.1 57.7/72.3 23.0/40.6;
drift-chicane 68.1/72.2; drift-straight 91.3/86.7; goat 86.4/85.1;
gold-fish 78.7/79.5 74.8/77.7 86.1/89.4 82.9/87.3 80.4/72.5;
horsejump-high 81.4/89.8 74.7/92.0; india 65.1/61.8 58.1/54.8 38.1/42.8;
judo 82.9/84.4 77.8/79.0; kite-surf 3.4/5.7 25.4/28.3 59.4/74.4;
lab-coat 0/0 0/0 96.3/94.2 92.4/86.2 90.8/87.8; libby 72.3/88.3;
loading 95.7/94.3 43.1/50.5 79.8/85.1; mbike-trick 76.9/81.3 73.9/77.1;
motocross-jump 28.9/39.8 73.0/60.5;
paragliding-launch 74.6/74.4 52.1/70.7 0.3/2.0; parkour 91.8/95.3;
pigs 90.1/90.1 52.4/55.6 93.5/88.5; scooter-black 18.3/39.5 72.9/62.2;
shooting 10.1/16.0 83.8/82.6 90.8/98.3; soapbox 75.8/75.7 78.4/79.6 57.5/68.1
"""
# DAVIS-2016 val, all objects as one, where a video has several; videos with
# one object have the same score in both.
_VAL_2016 = """
bmx-trees 52.6/74.5; horsejump-high 86.9/92.4; kite-surf 61.5/50.1;
motocross-jump 78.0/74.0; paragliding-launch 64.7/39.5;
scooter-black 90.6/82.9; soapbox 92.3/90.4
"""
_NAMES_2016 = (
  "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout",
  "car-shadow", "cows", "dance-twirl", "dog", "drift-chicane", "drift-straight",
  "goat", "horsejump-high", "kite-surf", "libby", "motocross-jump",
  "paragliding-launch", "parkour", "scooter-black", "soapbox",
)  # fmt: skip

Pair = tuple[float, float]  # J and F in percent


def rgmp(year: str) -> dict[str, tuple[Pair, ...]]:
  """Return the scores of RGMP on the val videos of a year, by video.

  Args:
    year: "2016" (one object per video) or "2017".
  """
  scores = dict(_parse(_VAL_2017))
  if year == "2016":
    scores |= _parse(_VAL_2016)
    return {name: scores[name] for name in _NAMES_2016}
  return scores


def has_any(scores: Mapping[str, Any], year: str) -> bool:
  """Return whether a video in `scores` has published scores."""
  return not rgmp(year).keys().isdisjoint(scores)


def show(scores: Mapping[str, Mapping[int, Any]], year: str) -> None:
  """Print our scores beside the published ones, and the differences.

  Objects that only one side has are left out and counted.

  Args:
    scores: see `report.Scores`.
    year: "2016" (all objects as one) or "2017".
  """
  known = rgmp(year)
  ours: list[Pair] = []
  theirs: list[Pair] = []
  left_out = 0
  print(f"RGMP as published on DAVIS-{year} val (480p), percent:")
  print(_row("object", "J", "publ.", "diff.", "F", "publ.", "diff."))
  for name, objects in scores.items():
    for k, values in objects.items():
      if name not in known or not 1 <= k <= len(known[name]):
        left_out += 1
        continue
      j, f = (100 * davis.statistics(values[m])[0] for m in "JF")
      ours.append((j, f))
      theirs.append(known[name][k - 1])
      print(_numbers(f"{name} {k}", ours[-1], theirs[-1]))
  if ours:
    means = ((_mean(p, 0), _mean(p, 1)) for p in (ours, theirs))
    print(_numbers(f"mean of {len(ours)}", *means))
  total = sum(map(len, known.values()))
  print(
    f"{len(ours)} of {total} published objects; {left_out} objects without "
    "published scores"
  )


def _parse(text: str) -> Iterator[tuple[str, tuple[Pair, ...]]]:
  for video in text.replace("\n", " ").split(";"):
    name, *objects = video.split()
    pairs = (tuple(map(float, pair.split("/"))) for pair in objects)
    yield name, tuple((j, f) for j, f in pairs)


def _mean(pairs: list[Pair], index: int) -> float:
  return sum(pair[index] for pair in pairs) / len(pairs)


def _numbers(name: str, ours: Pair, theirs: Pair) -> str:
  cells = []
  for our, their in zip(ours, theirs, strict=True):
    cells += [f"{our:.1f}", f"{their:.1f}", f"{our - their:+.1f}"]
  return _row(name, *cells)


def _row(name: str, *cells: str) -> str:
  return name.ljust(22) + "".join(cell.rjust(7) for cell in cells)
