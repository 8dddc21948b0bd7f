"""Object proposals of heads that need no first mask.

An unguided head segments every frame alone, the first one included. Connected
regions of its masks over space and time are the proposals of the unsupervised
DAVIS task; see `metrics.proposals`.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import jax
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax import game
from foregan_jax.metrics import proposals

_SUFFIX = "_unsup"  # of the row's name
_THRESHOLD = 0.5  # of a soft mask


class Finder:
  """Finds objects with the unguided heads of a system.

  Attributes:
    rows: names of the proposals of each head in tables.
  """

  def __init__(self, system, chunk: int):
    """Compile the system's `segment`.

    Args:
      system: a `tasks.VideoSystem`; without unguided heads it finds nothing.
      chunk: number of frames per call.
    """
    self._heads = tuple(system.unguided)
    self._segment = jax.jit(system.segment)
    self.rows = tuple(head + _SUFFIX for head in self._heads)
    self._chunk = chunk

  def labels(
    self, nets: game.Nets, sequence: Mapping[str, Any]
  ) -> dict[str, list[np.ndarray]]:
    """Return the proposals in every frame of a video, by row.

    Args:
      nets: all nets.
      sequence: from `data.davis.Davis.sequence`; only `frames` and
        `native_size` are used.

    Returns:
      {row: a native label map uint8 [H, W] of proposals 1, 2, ... per frame}.
    """
    if not self._heads:
      return {}
    frames, made = sequence["frames"], []
    for t in range(0, len(frames), self._chunk):
      part = frames[t : t + self._chunk]
      filled = np.resize(
        part, (self._chunk, *part.shape[1:])
      )  # one shape: compiles once
      soft = self._segment(nets, filled[None])
      made.append({h: np.asarray(soft[h][0, : len(part)]) for h in self._heads})
    return {
      row: propose(
        np.concatenate([m[head] for m in made])[..., 0],
        sequence["native_size"],
      )
      for head, row in zip(self._heads, self.rows, strict=True)
    }


def propose(
  soft: Float[np.ndarray, "t h w"], size: tuple[int, int]
) -> list[UInt8[np.ndarray, "H W"]]:
  """Return the connected objects of a video's soft mask, at `size`.

  Their union equals the soft mask, scaled and cut at 1/2, except for objects
  beyond the limit on their number. Each object is scaled alone, together with
  its 3x3 neighbourhood: a scaled pixel above 1/2 has at least one of its four
  source pixels above 1/2, and neighbouring source pixels belong to at most one
  object.
  """
  soft = soft.astype(np.float32)
  found = proposals.connected_components(soft > _THRESHOLD)
  around = np.ones((3, 3), np.uint8)
  labels = []
  for mask, parts in zip(soft, found, strict=True):
    frame = np.zeros(size, np.uint8)
    for number in np.unique(parts[parts > 0]):
      near = cv2.dilate((parts == number).astype(np.uint8), around)
      scaled = cv2.resize(
        mask * near, size[::-1], interpolation=cv2.INTER_LINEAR
      )
      frame[scaled > _THRESHOLD] = number
    labels.append(frame)
  return labels
