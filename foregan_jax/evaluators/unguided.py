"""Heads that need no mask at all: a video's objects as they find them.

The head sees every frame by itself, the first one as well, and is told no
mask. What it calls object is cut into connected parts over space and time;
these are the proposals of DAVIS's unsupervised task, `metrics.proposals`.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import cv2
import jax
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.metrics import proposals

_SUFFIX = "_unsup"  # of the row's name
_THRESHOLD = 0.5  # of a soft mask


@runtime_checkable
class Unguided(Protocol):
  """A system with heads that look at each frame alone."""

  unguided: tuple[str, ...]  # their names

  def segment(
    self, params: Mapping[str, Any], frames: jax.Array
  ) -> dict[str, jax.Array]:
    """Returns soft masks [b, t, h, w, 1] in [0, 1], by head.

    Args:
      params: by net.
      frames: uint8 [b, t, h, w, 3].
    """


class Finder:
  """Finds objects with a system's unguided heads, if it has any.

  Attributes:
    rows: by what names the heads' proposals go in tables.
  """

  def __init__(self, system, chunk: int):
    """Remembers the system.

    Args:
      system: any; one that is no `Unguided` finds nothing.
      chunk: frames that are segmented at once.
    """
    self._heads: tuple[str, ...] = ()
    if isinstance(system, Unguided):
      self._heads = tuple(system.unguided)
      self._segment = jax.jit(system.segment)
    self.rows = tuple(head + _SUFFIX for head in self._heads)
    self._chunk = chunk

  def labels(
    self, params: Mapping[str, Any], sequence: Mapping[str, Any]
  ) -> dict[str, list[np.ndarray]]:
    """Returns the proposals in every frame of a video, by row.

    Args:
      params: by net.
      sequence: as `data.davis.Davis.sequence` gives it; of it only `frames`
        and `native_size` are looked at.

    Returns:
      {row: a native label map uint8 [H, W] of proposals 1, 2, ... per frame}.
    """
    if not self._heads:
      return {}
    frames, made = sequence["frames"], []
    for t in range(0, len(frames), self._chunk):
      part = frames[t : t + self._chunk]
      filled = np.resize(part, (self._chunk, *part.shape[1:]))  # compiles once
      soft = self._segment(params, filled[None])
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
  """Returns the connected objects of a video's soft mask, at `size`.

  Together they are what the soft mask is when it is scaled and then cut at
  1/2, but for those beyond the limit: a scaled pixel above 1/2 has a pixel
  above 1/2 among the four that it is made of, and these, being neighbours of
  each other, belong to one object at most. So its neighbourhood is all that an
  object has to bring along.
  """
  soft = soft.astype(np.float32)
  found = proposals.connected(soft > _THRESHOLD)
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
