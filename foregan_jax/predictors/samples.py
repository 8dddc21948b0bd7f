"""Generated pictures: arrays, sheets to look at, labelled data sets."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import rich.progress

from foregan_jax.media import pictures
from foregan_jax.runtime import platform

# The batch norms of the generators use batch statistics: the batch must not be
# small.
_BATCH = 64
_PER_ROW = 4
_COLUMNS = ("image", "foreground", "background", "mask")
# Pictures whose object covers less or more than this have no usable object.
_AREA = (0.03, 0.9)
_VOC_LISTS = pathlib.Path("ImageSets", "Segmentation")
_VAL_SHARE = 0.1
_MAX_ATTEMPTS = 1000  # pictures in a row without an object
_THRESHOLD = 0.5  # of a soft mask


class Sampler:
  """The generator of a `tasks.StillSystem`, compiled once."""

  def __init__(self, system: Any, nets: Any):
    """Prepare the generator.

    Args:
      system: a `tasks.StillSystem`.
      nets: its networks.
    """
    self._nets = jax.device_put(nets)
    self._sample = jax.jit(lambda *args: system.sample(*args, _BATCH))

  def batches(self, seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield layers and codes of 64 pictures each, on the host, without end."""
    key = platform.key(seed)
    for i in itertools.count():
      key_i = jax.random.fold_in(key, i)
      yield jax.device_get(self._sample(self._nets, key_i))

  def sample(self, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return `count` pictures with their layers.

    Returns:
      `image`, `foreground`, `background`, uint8 [count, s, s, 3], and `mask`,
      float32 [count, s, s] in [0, 1].

    Raises:
      ValueError: if `count` is not positive.
    """
    if count < 1:
      raise ValueError(f"count is {count}, but must be 1 or more")
    num_batches = -(-count // _BATCH)
    layers = [x for x, _ in itertools.islice(self.batches(seed), num_batches)]
    joined = jax.tree.map(lambda *x: np.concatenate(x)[:count], *layers)
    return {
      "image": pictures.to_uint8(joined.frame),
      "foreground": pictures.to_uint8(joined.fg),
      "background": pictures.to_uint8(joined.bg),
      "mask": np.asarray(joined.mask[..., 0], np.float32),
    }


def write_sheet(sampled: Mapping[str, np.ndarray], path: pathlib.Path) -> None:
  """Write pictures with their layers and masks to a PNG.

  Args:
    sampled: as `Sampler.sample` returns them.
    path: of the PNG.
  """
  columns = dict(sampled) | {
    "mask": pictures.mask_to_rgb(sampled["mask"][..., None])
  }
  cells = [
    [pictures.enlarge(picture) for picture in cell]
    for cell in zip(*(columns[name] for name in _COLUMNS), strict=True)
  ]
  rows = [
    sum(cells[i : i + _PER_ROW], []) for i in range(0, len(cells), _PER_ROW)
  ]
  names = _COLUMNS * (len(rows[0]) // len(_COLUMNS))
  pictures.save_png(path, pictures.contact_sheet(rows, columns=names))


def write_dataset(
  sampler: Sampler, *, count: int, seed: int, out: pathlib.Path
) -> int:
  """Write a labelled data set of generated pictures in the layout of VOC.

  `JPEGImages`, `SegmentationObject`, `SegmentationClass` (superclass of the
  private code + 1), `ImageSets/Segmentation/{train,val}.txt`. The lists are
  written last, so an interrupted data set has none.

  Args:
    sampler: of the trained system.
    count: number of pictures, at least 2.
    seed: of the codes.
    out: a folder without such a data set.

  Returns:
    The number of generated pictures that were skipped because they show no
    object.

  Raises:
    ValueError: if `count` is too small, `out` has a data set already, or
      nearly no picture has an object.
  """
  if count < 2:
    raise ValueError(f"count is {count}, but must be 2 or more")
  if (out / _VOC_LISTS).exists():
    raise ValueError(f"{out} has a data set already; give another --out")
  names = [f"drawn_{i:06d}" for i in range(count)]
  stream, num_skipped = _one_by_one(sampler, seed), 0
  for name in rich.progress.track(names, "generating"):
    for _ in range(_MAX_ATTEMPTS):
      image, mask, superclass = next(stream)
      if _AREA[0] <= mask.mean() <= _AREA[1]:
        break
      num_skipped += 1
    else:
      raise ValueError(
        f"the last {_MAX_ATTEMPTS} generated pictures have no object: this run "
        "has not learnt to separate layers"
      )
    labels = mask.astype(np.uint8)
    classes = (labels * (superclass + 1)).astype(np.uint8)
    pictures.save_jpeg(out / "JPEGImages" / f"{name}.jpg", image)
    pictures.save_labels(out / "SegmentationObject" / f"{name}.png", labels)
    pictures.save_labels(out / "SegmentationClass" / f"{name}.png", classes)
  num_val = max(1, round(_VAL_SHARE * count))
  (out / _VOC_LISTS).mkdir(parents=True)
  for split, part in (("train", names[:-num_val]), ("val", names[-num_val:])):
    text = "".join(f"{name}\n" for name in part)
    (out / _VOC_LISTS / f"{split}.txt").write_text(text)
  return num_skipped


def _one_by_one(sampler: Sampler, seed: int):
  """Yield pictures uint8 [h, w, 3], masks bool [h, w] and superclasses."""
  for layers, codes in sampler.batches(seed):
    images = pictures.to_uint8(layers.frame)
    masks = layers.mask[..., 0] > _THRESHOLD
    yield from zip(images, masks, codes.superclass, strict=True)
