"""Pictures drawn from noise: sheets to look at, labelled data sets to use."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import rich.progress

from foregan_jax.media import pictures
from foregan_jax.runtime import platform

# The batch norms of the generators look at the batch: it must not be small.
_BATCH = 64
_PER_ROW = 4
_LAYERS = ("drawn", "object", "ground", "mask")
# Of the picture that the object covers; outside, no object was drawn.
_AREA = (0.03, 0.9)
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")
_VAL_SHARE = 0.1
_GIVE_UP = 1000  # pictures in a row without an object
_COVERED = 0.5  # of a soft mask


def write_sheet(
  system,
  params: Mapping[str, Any],
  *,
  count: int,
  seed: int,
  path: pathlib.Path,
) -> None:
  """Writes `count` drawn pictures with their layers and masks to a PNG."""
  cells = []
  for made, _ in itertools.islice(
    _batches(system, params, seed), -(-count // _BATCH)
  ):
    layers = [pictures.to_uint8(x) for x in (made.frame, made.fg, made.bg)]
    for cell in zip(*layers, pictures.grey(made.mask), strict=True):
      cells.append([pictures.enlarge(picture) for picture in cell])
  cells = cells[:count]
  rows = [
    sum(cells[i : i + _PER_ROW], []) for i in range(0, len(cells), _PER_ROW)
  ]
  columns = _LAYERS * (len(rows[0]) // len(_LAYERS))
  pictures.save_png(path, pictures.contact_sheet(rows, columns=columns))


def write_dataset(
  system, params: Mapping[str, Any], *, count: int, seed: int, out: pathlib.Path
) -> int:
  """Writes a labelled data set of drawn pictures in the layout of VOC.

  `JPEGImages`, `SegmentationObject`, `SegmentationClass` (superclass of the
  private code + 1), `ImageSets/Segmentation/{train,val}.txt`. The lists are
  written last: without them the data set is not finished.

  Args:
    system: draws layered pictures.
    params: of its nets.
    count: pictures to write.
    seed: of the drawing.
    out: a folder without such a data set.

  Returns:
    How many pictures were drawn and left out because they show no object.

  Raises:
    ValueError: if `out` holds a data set, or hardly any picture an object.
  """
  if (out / _VOC_LISTS).exists():
    raise ValueError(f"{out} holds a data set already; give another --out")
  names = [f"drawn_{i:06d}" for i in range(count)]
  drawn, left_out = _one_by_one(system, params, seed), 0
  for name in rich.progress.track(names, "drawing"):
    for _ in range(_GIVE_UP):
      frame, mask, superclass = next(drawn)
      if _AREA[0] <= mask.mean() <= _AREA[1]:
        break
      left_out += 1
    else:
      raise ValueError(
        f"the last {_GIVE_UP} drawn pictures show no object: this run has not "
        "learnt to draw layers"
      )
    labels = mask.astype(np.uint8)
    classes = (labels * (superclass + 1)).astype(np.uint8)
    pictures.save_jpeg(out / "JPEGImages" / f"{name}.jpg", frame)
    pictures.save_labels(out / "SegmentationObject" / f"{name}.png", labels)
    pictures.save_labels(out / "SegmentationClass" / f"{name}.png", classes)
  num_val = max(1, round(_VAL_SHARE * count))
  (out / _VOC_LISTS).mkdir(parents=True)
  for split, part in (("train", names[:-num_val]), ("val", names[-num_val:])):
    text = "".join(f"{name}\n" for name in part)
    (out / _VOC_LISTS / f"{split}.txt").write_text(text)
  return left_out


def _one_by_one(system, params, seed: int):
  """Yields pictures uint8 [h, w, 3], masks bool [h, w] and superclasses."""
  for made, codes in _batches(system, params, seed):
    frames, masks = pictures.to_uint8(made.frame), made.mask[..., 0] > _COVERED
    yield from zip(frames, masks, codes.superclass, strict=True)


def _batches(system, params, seed: int) -> Iterator[tuple[Any, Any]]:
  """Yields layers and codes of 64 pictures each, on the host."""
  sample = jax.jit(lambda *args: system.sample(*args, _BATCH))
  params = jax.device_put(params)
  key = platform.key(seed)
  for i in itertools.count():
    yield jax.device_get(sample(params, jax.random.fold_in(key, i)))
