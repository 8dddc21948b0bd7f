"""Frame-by-frame tracking of any number of objects with a propagator."""

from typing import Any

import cv2
import jax
import numpy as np
from jaxtyping import Bool, Float, UInt8

from foregan_jax.media import images
from foregan_jax.nets import memory_tracker
from foregan_jax.nets import tracker as tracker_lib

# Numbers of rows for objects. Unused rows are padding, so that few programs are
# compiled.
_ROW_COUNTS = (1, 2, 3, 5, 8)

Tracker = tracker_lib.Tracker | memory_tracker.MemoryTracker
Frame = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]
State = Any  # of the tracker; has `live`


class MaskTracker:
  """A tracker of `nets` on host arrays, for any number of objects.

  The tracker has no state except compiled programs, so it serves any number of
  videos; the caller keeps the state of each video.

  Attributes:
    generates_background: always False.
  """

  generates_background = False

  def __init__(
    self, tracker: Tracker, params: Any, side: int, *, enlarge: bool = False
  ):
    """Prepare the network.

    Args:
      tracker: the network, and how it is applied.
      params: from `tracker.own_params`.
      side: shorter side of the frames of training, in pixels. Larger frames are
        reduced to it; masks have the size of the frames.
      enlarge: whether smaller frames are enlarged to it.
    """
    self._fit = lambda size: images.shrunk_size(size, side, enlarge=enlarge)
    self._params = jax.device_put(params)
    self._grow = tracker.grow
    self._begin = jax.jit(tracker.begin)
    self._add = jax.jit(tracker.add)
    self._step = jax.jit(tracker.step, donate_argnums=1)

  def begin(self, frame: Frame, labels: Labels) -> State:
    """Return the state after a frame with known objects.

    Args:
      frame: RGB.
      labels: 0 background, 1, 2, ... the objects, 255 void (background).

    Raises:
      ValueError: if there is no object, or the sizes differ.
    """
    labels = _remove_void(frame, labels)
    count = int(labels.max())
    if not count:
      raise ValueError("the mask has no object, so there is none to track")
    masks, given = self._make_masks(labels, _num_rows(count))
    return self._begin(self._params, self._shrink(frame), masks, given)

  def add(self, state: State, frame: Frame, labels: Labels) -> State:
    """Return the state with new or corrected objects of a frame.

    Args:
      state: after `step` on the same frame.
      frame: RGB.
      labels: 0 unknown, 1, 2, ... the objects, 255 void (unknown). Objects
        without a pixel keep the masks of `step`.

    Raises:
      ValueError: if the sizes differ.
    """
    labels = _remove_void(frame, labels)
    count = max(int(labels.max()), len(state.live))
    state = self._grow(state, _num_rows(count))
    masks, given = self._make_masks(labels, len(state.live))
    frame = self._shrink(frame)
    return self._add(self._params, state, frame, masks, given)

  def step(
    self, state: State, frame: Frame
  ) -> tuple[State, Float[np.ndarray, "m h w"]]:
    """Return the state after the next frame, and its soft masks.

    The call donates `state`, so the caller cannot use it afterwards. Rows are
    the background and the existing objects; they sum to 1.
    """
    state, soft = self._step(self._params, state, self._shrink(frame))
    count = 1 + int(np.flatnonzero(np.asarray(state.live))[-1])
    soft = np.asarray(soft[: count + 1], np.float32)
    h, w = frame.shape[:2]
    if soft.shape[1:] == (h, w):
      return state, soft
    linear = cv2.INTER_LINEAR
    resized = [cv2.resize(x, (w, h), interpolation=linear) for x in soft]
    return state, np.stack(resized)

  def _shrink(self, frame: Frame) -> UInt8[np.ndarray, "h2 w2 3"]:
    return images.resize_image(frame, self._fit(frame.shape[:2]))

  def _make_masks(
    self, labels: Labels, count: int
  ) -> tuple[Float[np.ndarray, "n h2 w2"], Bool[np.ndarray, " n"]]:
    """Return soft masks in [0, 1] of `count` rows, and which have an object."""
    size = self._fit(labels.shape)
    hits = [labels == k for k in range(1, count + 1)]
    masks = [images.resize_mask(hit.astype(np.uint8), size) for hit in hits]
    coverage = np.stack([mask[..., 0] for mask in masks])
    given = np.array([hit.any() for hit in hits])
    return coverage.astype(np.float32) / np.float32(255), given


def _remove_void(frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Return the labels with 0 for void; refuse another size than the frame's."""
  if labels.shape != frame.shape[:2]:
    raise ValueError(
      f"the mask's size is {labels.shape}, the frame's {frame.shape[:2]} (h, w)"
    )
  return np.where(labels == images.VOID, 0, labels)


def _num_rows(count: int) -> int:
  """Return the number of rows for `count` objects, including padding."""
  largest = _ROW_COUNTS[-1]
  fits = [rows for rows in _ROW_COUNTS if rows >= count]
  return fits[0] if fits else -(-count // largest) * largest
