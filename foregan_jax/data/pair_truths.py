"""What is known about the frames of a video, to score animation and masks.

Only DAVIS folders have it: masks of the objects in `Annotations`, and, as in
the demo data, frames without their objects in `Background`.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from foregan_jax.data import folders
from foregan_jax.media import images

_HALF = 127  # of 255; above it a pixel belongs to the object


@dataclasses.dataclass(frozen=True)
class Truth:
  """Masks and backgrounds, by index of the frame.

  Attributes:
    masks: boolean [s, s] of all objects together; none is empty.
    backgrounds: uint8 [s, s, 3], the frame without its objects.
  """

  masks: dict[int, Bool[np.ndarray, "_ _"]] = dataclasses.field(
    default_factory=dict
  )
  backgrounds: dict[int, UInt8[np.ndarray, "_ _ 3"]] = dataclasses.field(
    default_factory=dict
  )


def read(video: pathlib.Path, names: Sequence[str], size: int) -> Truth:
  """Read what is known about the central squares of a video's frames.

  Nothing is known outside of DAVIS folders.

  Args:
    video: the folder of its frames.
    names: of its frames, in order.
    size: side of the results, pixels.

  Raises:
    DataError: naming the file that is broken.
  """
  if video.parent.parent.name != folders.FRAMES:
    return Truth()
  root = video.parents[2]
  masks, backgrounds = {}, {}
  for t, name in enumerate(names):
    place = pathlib.Path(video.parent.name, video.name, name)
    path = root / folders.MASKS / f"{place}.png"
    if path.is_file():
      labels = images.read_labels(path)
      objects = (labels > 0) & (labels != images.VOID)
      square = images.crop_square(objects.astype(np.uint8)[..., None])[..., 0]
      mask = images.resize_mask(square, (size, size))[..., 0] > _HALF
      if mask.any():
        masks[t] = mask
    for suffix in images.SUFFIXES:
      path = root / folders.BACKGROUNDS / f"{place}{suffix}"
      if path.is_file():
        square = images.crop_square(images.read_image(path))
        backgrounds[t] = images.resize_image(square, (size, size))
        break
  return Truth(masks, backgrounds)
