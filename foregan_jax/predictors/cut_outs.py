"""Objects cut out of pictures, at the pictures' own size."""

import pathlib
from collections.abc import Callable
from typing import Any

import cv2
import jax
import numpy as np
import rich.progress

from foregan_jax.media import images, paths, pictures

_STEPS = 4  # the longer side is a multiple of a quarter of the shorter one
_THRESHOLD = 0.5
_NUM_SHOWN = 12
_SHOWN_SIDE = 128

Segment = Callable[[np.ndarray], np.ndarray]


def make_segmenter(system: Any, nets: Any, size: int) -> Segment:
  """Return a function from a picture to its soft mask, at the picture's size.

  Args:
    system: a `tasks.StillSystem`; its first head is used.
    nets: its networks.
    size: side of the pictures it was trained on, pixels.

  Returns:
    A function from uint8 RGB [h, w, 3] to float32 [h, w] in [0, 1].
  """
  predict = jax.jit(system.predict)
  nets = jax.device_put(nets)
  head = system.heads[0]

  def segment(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    small = images.resize_image(image, _network_size((height, width), size))
    soft = np.asarray(predict(nets, {"image": small[None]})[head], np.float32)
    return cv2.resize(
      soft[0, ..., 0], (width, height), interpolation=cv2.INTER_LINEAR
    )

  return segment


def write(
  segment: Segment, *, folder: pathlib.Path, out: pathlib.Path
) -> list[str]:
  """Write a mask and a cut-out with alpha for every picture in a folder.

  Whole results are kept, so an interrupted run can be repeated. Broken
  pictures are skipped and named at the end.

  Args:
    segment: from `make_segmenter`.
    folder: pictures are searched in it and below it.
    out: gets `masks/`, `cutouts/` and `sheet.png`.

  Returns:
    One sentence per picture that could not be read.

  Raises:
    DataError: if there is no picture.
    ValueError: if results would be written through a symbolic link.
  """
  found = [p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES]
  # Exclude results of an earlier call.
  results = paths.full(out)
  found = sorted(p for p in found if results not in paths.full(p).parents)
  if not found:
    raise images.DataError(
      folder, f"folder has no picture ({', '.join(images.SUFFIXES)})"
    )
  problems, rows, names = [], [], set()
  for path in rich.progress.track(found, "cutting out"):
    name = path.relative_to(folder).with_suffix("")
    if name in names:
      problems.append(f"{path}: another picture has the name {name}, too")
      continue
    names.add(name)
    # Not with_suffix: names may contain dots.
    mask_path = out / "masks" / f"{name}.png"
    cutout_path = out / "cutouts" / f"{name}.png"
    written = mask_path, cutout_path
    for place in written:
      paths.refuse_link(out, place)
    if all(map(pictures.is_whole_png, written)):
      continue
    try:
      image = images.read_image(path)
    except images.DataError as error:
      problems.append(str(error))
      continue
    soft = segment(image)
    labels = (soft > _THRESHOLD).astype(np.uint8)
    pictures.save_cutout(cutout_path, image, soft)
    pictures.save_labels(mask_path, labels)
    if len(rows) < _NUM_SHOWN:
      rows.append(_row(image, soft, labels))
  if rows:
    columns = ("picture", "mask", "cut out")
    sheet = pictures.contact_sheet(rows, columns=columns)
    pictures.save_png(out / "sheet.png", sheet)
  return problems


def _network_size(size: tuple[int, int], side: int) -> tuple[int, int]:
  """Return the (h, w) at which a picture of `size` is segmented.

  The shorter side becomes `side`. The longer side is rounded, so that a folder
  of pictures of any shape needs few compiled programs.
  """
  short = min(size)
  height, width = (
    max(_STEPS, round(_STEPS * n / short)) * side // _STEPS for n in size
  )
  return height, width


def _row(image, soft, labels) -> list[np.ndarray]:
  """Return picture, overlay, and the object on white, as squares."""
  on_white = 255 - soft[..., None] * (255.0 - image)
  overlay = pictures.overlay(image, labels)
  white = np.clip(on_white, 0, 255).astype(np.uint8)
  return [pictures.fit_square(x, _SHOWN_SIDE) for x in (image, overlay, white)]
