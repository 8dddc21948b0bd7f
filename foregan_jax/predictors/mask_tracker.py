"""A propagator with its parameters, for frames as a camera gives them."""

import functools
import pathlib
from typing import Any

import cv2
import jax
import numpy as np
from jaxtyping import Bool, Float, UInt8

from foregan_jax.media import images
from foregan_jax.nets import propagator, propagator_weights
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.runtime import platform

# Objects are propagated in so many rows; few programs are compiled.
_ROOMS = (1, 2, 3, 5, 8)

_PUBLISHED = 480  # the shorter side of DAVIS's frames

Frame = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]
State = tracker_lib.Tracked


class MaskTracker:
  """`nets.tracker` on host arrays, with any number of objects.

  There is no state in it beside the compiled programs: one tracker serves any
  number of videos, and what is carried through a video is the caller's.

  Attributes:
    draws: no layers, ever.
  """

  draws = False

  def __init__(self, tracker: tracker_lib.Tracker, params: Any, side: int):
    """Remembers the network.

    Args:
      tracker: says which network, at which scales.
      params: of the network.
      side: the shorter side of the frames that it has learnt from. Larger ones
        are looked at in that size; masks are as large as the frames.
    """
    self._side = side
    self._params = jax.device_put(params)
    self._begin = jax.jit(tracker.begin)
    self._add = jax.jit(tracker.add)
    self._step = jax.jit(tracker.step, donate_argnums=1)

  def begin(self, frame: Frame, labels: Labels) -> State:
    """Returns the state after a frame on which all objects are given.

    Args:
      frame: RGB.
      labels: 0 background, 1.. the objects, 255 void (background).

    Raises:
      ValueError: if there is no object, or the sizes differ.
    """
    labels = _objects(frame, labels)
    count = int(labels.max())
    if not count:
      raise ValueError("the mask holds no object, so there is none to follow")
    masks, given = self._masks(labels, _room(count))
    return self._begin(self._params, self._shrink(frame), masks, given)

  def add(self, state: State, frame: Frame, labels: Labels) -> State:
    """Returns the state with objects that are new on a frame, or corrected.

    Args:
      state: after `step` on this very frame.
      frame: RGB.
      labels: 0 where nothing is said, else the objects; the others keep what
        was found.
    """
    labels = _objects(frame, labels)
    count = max(int(labels.max()), len(state.live))
    state = tracker_lib.grow(state, _room(count))
    masks, given = self._masks(labels, len(state.live))
    frame = self._shrink(frame)
    return self._add(self._params, state, frame, masks, given)

  def step(
    self, state: State, frame: Frame
  ) -> tuple[State, Float[np.ndarray, "m h w"]]:
    """Returns the state after the next frame, and its soft masks.

    The state that is passed in is gone afterwards. Rows are the background
    and the objects that exist; they sum to 1.
    """
    state, soft = self._step(self._params, state, self._shrink(frame))
    count = 1 + int(np.flatnonzero(np.asarray(state.live))[-1])
    soft = np.asarray(soft[: count + 1], np.float32)
    h, w = frame.shape[:2]
    if soft.shape[1:] == (h, w):
      return state, soft
    linear = cv2.INTER_LINEAR
    grown = [cv2.resize(x, (w, h), interpolation=linear) for x in soft]
    return state, np.stack(grown)

  def _size(self, size: tuple[int, int]) -> tuple[int, int]:
    """Returns the size at which a frame of `size` is looked at."""
    scale = min(1.0, self._side / min(size))
    return round(scale * size[0]), round(scale * size[1])

  def _shrink(self, frame: Frame) -> UInt8[np.ndarray, "h2 w2 3"]:
    return images.resize_image(frame, self._size(frame.shape[:2]))

  def _masks(
    self, labels: Labels, count: int
  ) -> tuple[Float[np.ndarray, "n h2 w2"], Bool[np.ndarray, " n"]]:
    """Returns soft masks of `count` objects, and which of them there are."""
    size = self._size(labels.shape)
    hits = [labels == k for k in range(1, count + 1)]
    masks = [images.resize_mask(hit.astype(np.uint8), size) for hit in hits]
    coverage = np.stack([mask[..., 0] for mask in masks])
    given = np.array([hit.any() for hit in hits])
    return coverage.astype(np.float32) / np.float32(255), given


def from_weights(path: pathlib.Path, scales: tuple[float, ...]) -> MaskTracker:
  """Returns the published network with the weights of its official file.

  Args:
    path: see `nets.propagator_weights`.
    scales: see `nets.tracker.Tracker`; empty for the published ones.

  Raises:
    ValueError: naming the file, if it cannot be read or does not hold all of
      the network.
  """
  net = propagator.Propagator(dtype=platform.dtype("auto"))
  side = net.stride
  fresh = functools.partial(propagator.init, net, size=(side, side))
  params = propagator_weights.load(
    path, jax.eval_shape(fresh, jax.random.key(0))
  )
  if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(params)):
    raise ValueError(
      f"{path} holds an encoder alone (ResNet-50); masks are propagated by "
      "RGMP's whole network"
    )
  fields = {"scales": scales} if scales else {}
  return MaskTracker(tracker_lib.Tracker(net, **fields), params, _PUBLISHED)


def _objects(frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Returns the labels without void; they must have the frame's size."""
  if labels.shape != frame.shape[:2]:
    raise ValueError(
      f"the mask's size is {labels.shape}, the frame's {frame.shape[:2]} (h, w)"
    )
  return np.where(labels == images.VOID, 0, labels)


def _room(count: int) -> int:
  """Returns how many rows are made for so many objects."""
  fits = [room for room in _ROOMS if room >= count]
  return fits[0] if fits else -(-count // _ROOMS[-1]) * _ROOMS[-1]
