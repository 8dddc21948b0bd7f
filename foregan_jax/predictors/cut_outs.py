"""Objects cut out of a folder of pictures, at the pictures' own size."""

import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import numpy as np
import rich.progress

from foregan_jax.media import images, pictures

_STEPS = 4  # the longer side is a multiple of a quarter of the shorter one
_THRESHOLD = 0.5
_NUM_SHOWN = 12
_SHOWN_SIDE = 128


def write(
  system,
  params: Mapping[str, Any],
  *,
  size: int,
  folder: pathlib.Path,
  out: pathlib.Path,
) -> list[str]:
  """Writes a mask and a cut-out with alpha for every picture in a folder.

  Existing results are kept, so a stopped run goes on; broken pictures are left
  out and named in the end.

  Args:
    system: segments pictures; its first head is used.
    params: of its nets.
    size: side of the pictures it was trained on.
    folder: searched with everything below it.
    out: gets `masks/`, `cutouts/` and `sheet.png`.

  Returns:
    One sentence per picture that could not be read.

  Raises:
    DataError: if there is no picture at all.
  """
  paths = [p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES]
  # What an earlier call wrote is no picture to cut out.
  made = out.resolve()
  paths = sorted(p for p in paths if made not in p.resolve().parents)
  if not paths:
    raise images.DataError(
      folder, f"no picture ({', '.join(images.SUFFIXES)}) here"
    )
  predict = jax.jit(system.predict)
  params = jax.device_put(params)
  head = system.heads[0]
  problems, shown, names = [], [], set()
  for path in rich.progress.track(paths, "cutting out"):
    name = path.relative_to(folder).with_suffix("")
    if name in names:
      problems.append(f"{path}: another picture is called {name} too")
      continue
    names.add(name)
    # Not with_suffix: names may hold dots.
    mask_path = out / "masks" / f"{name}.png"
    cutout_path = out / "cutouts" / f"{name}.png"
    if mask_path.exists() and cutout_path.exists():
      continue
    try:
      image = images.read_image(path)
    except images.DataError as error:
      problems.append(str(error))
      continue
    small = images.resize_image(image, _network_size(image.shape[:2], size))
    soft = predict(params, {"image": small[None]})[head]
    soft = np.asarray(soft)[0, ..., 0]
    soft = cv2.resize(soft, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    labels = (soft > _THRESHOLD).astype(np.uint8)
    pictures.save_cutout(cutout_path, image, soft)
    pictures.save_labels(mask_path, labels)
    if len(shown) < _NUM_SHOWN:
      shown.append(_row(image, soft, labels))
  if shown:
    columns = ("picture", "found", "cut out")
    sheet = pictures.contact_sheet(shown, columns=columns)
    pictures.save_png(out / "sheet.png", sheet)
  return problems


def _network_size(size: tuple[int, int], side: int) -> tuple[int, int]:
  """Returns the (h, w) at which a picture of `size` is segmented.

  The shorter side becomes `side`. The longer one is rounded, so that a folder
  of pictures of any shape compiles a few programs only.
  """
  short = min(size)
  return tuple(
    max(_STEPS, round(_STEPS * n / short)) * side // _STEPS for n in size
  )


def _row(image, soft, labels) -> list[np.ndarray]:
  """Returns the picture, what was found, and the object on white, square."""
  paper = 255 - soft[..., None] * (255.0 - image)
  found = pictures.overlay(image, labels)
  return [
    _square(x) for x in (image, found, np.clip(paper, 0, 255).astype(np.uint8))
  ]


def _square(image: np.ndarray) -> np.ndarray:
  """Fits a picture into a grey square."""
  scale = _SHOWN_SIDE / max(image.shape[:2])
  h, w = (max(1, round(scale * n)) for n in image.shape[:2])
  square = np.full((_SHOWN_SIDE, _SHOWN_SIDE, 3), 128, np.uint8)
  y, x = (_SHOWN_SIDE - h) // 2, (_SHOWN_SIDE - w) // 2
  square[y : y + h, x : x + w] = images.resize_image(image, (h, w))
  return square
