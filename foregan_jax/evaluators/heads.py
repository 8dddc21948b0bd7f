"""Soft masks of whole videos by the heads of a system."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from foregan_jax import game, tasks
from foregan_jax.evaluators import plates
from foregan_jax.media import images


class Runner:
  """Runs a system on videos in chunks of equal length, so it compiles once."""

  def __init__(
    self, system, size: tuple[int, int], clip_len: int, *, side: int = 0
  ):
    """Prepare the programs.

    Args:
      system: a `tasks.VideoSystem`.
      size: (h, w) of the frames of training.
      clip_len: frames of a clip of training.
      side: of systems of objects: shorter side at which videos are segmented;
        0: that of training, or of the video if it is smaller.
    """
    self._side = side
    self._system = system
    self._size = size
    self._chunk = clip_len - 1
    self.begin = jax.jit(system.begin)
    self.advance = jax.jit(system.advance)

  def fit(self, native: tuple[int, int]) -> tuple[int, int]:
    """Return the size (h, w) at which a video of size `native` is segmented.

    It is the size that `predict` uses for the same video.
    """
    if self._system.tracking == tasks.OBJECTS:
      side = self._side or min(self._size)
      return images.shrunk_size(native, side, enlarge=bool(self._side))
    return images.trained_size(native, self._size)

  def run(
    self, nets: game.Nets, sequence: Mapping[str, Any]
  ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
    """Segment a video.

    A system of layers segments one object, so it runs once per object.

    Args:
      nets: all nets.
      sequence: from `data.davis.Davis.sequence`.

    Returns:
      Soft masks [T-1, h, w, n] by head, and the backgrounds of the same
      frames, uint8 [T-1, h, w, 3] by name; None without layers or with several
      objects.
    """
    frames, flow = sequence["frames"], sequence["flow_fwd"]
    mask = sequence["ref_mask"][None]
    if self._system.tracking == tasks.LAYERS:
      mask = np.moveaxis(sequence["ref_mask"], -1, 0)[..., None]
    videos = len(mask)
    repeat = lambda x: np.repeat(x[None], videos, axis=0)
    carry = self.begin(nets, repeat(frames[0]), mask)
    made, drawn = [], []
    for t in range(0, len(flow), self._chunk):
      part = lambda x, t=t: repeat(fill(x[t : t + self._chunk], self._chunk))
      carry, heads, layers = self.advance(
        nets, carry, part(frames[1:]), part(flow)
      )
      made.append({head: _join(soft) for head, soft in heads.items()})
      if layers is not None and videos == 1:
        drawn.append(plates.of(layers))
    soft = {
      head: np.concatenate([m[head] for m in made])[: len(flow)]
      for head in self._system.heads
    }
    join = lambda *parts: np.concatenate(parts)[: len(flow)]
    return soft, jax.tree.map(join, *drawn) if drawn else None


def _join(soft: Any) -> np.ndarray:
  """Return [t, h, w, b * n] of soft masks [b, t, h, w, n]."""
  return np.concatenate(list(np.asarray(soft)), axis=-1)


def fill(x: np.ndarray, length: int) -> np.ndarray:
  """Repeat the last entry up to `length` entries."""
  missing = length - len(x)
  return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])
