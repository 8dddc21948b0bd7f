"""A propagator with its parameters, for frames as a camera gives them."""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax.nets import propagator, propagator_weights
from foregan_jax.nets import tracker as tracker_lib
from foregan_jax.runtime import platform

# Objects are propagated in so many rows; few programs are compiled.
_ROOMS = (1, 2, 3, 5, 8)

Frame = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]
State = tracker_lib.Tracked


class MaskTracker:
  """`nets.tracker` on host arrays, with any number of objects.

  There is no state in it beside the compiled programs: one tracker serves any
  number of videos, and what is carried through a video is the caller's.
  """

  def __init__(self, tracker: tracker_lib.Tracker, params: Any):
    """Remembers the network.

    Args:
      tracker: says which network, at which scales.
      params: of the network.
    """
    self._params = jax.device_put(params)
    self._begin = jax.jit(tracker.begin)
    self._add = jax.jit(tracker.add)
    self._step = jax.jit(tracker.step, donate_argnums=1)

  def begin(self, frame: Frame, labels: Labels) -> State:
    """Returns the state after a frame on which all objects are given.

    Args:
      frame: RGB.
      labels: 0 background, 1.. the objects.

    Raises:
      ValueError: if there is no object.
    """
    count = int(labels.max())
    if not count:
      raise ValueError("the mask holds no object, so there is none to follow")
    masks, given = _one_hot(labels, _room(count))
    return self._begin(self._params, frame, masks, given)

  def add(self, state: State, frame: Frame, labels: Labels) -> State:
    """Returns the state with objects that are new on a frame, or corrected.

    Args:
      state: after `step` on this very frame.
      frame: RGB.
      labels: 0 where nothing is said, else the objects; the others keep what
        was found.
    """
    count = max(int(labels.max()), len(state.live))
    state = tracker_lib.grow(state, _room(count))
    masks, given = _one_hot(labels, len(state.live))
    return self._add(self._params, state, frame, masks, given)

  def step(
    self, state: State, frame: Frame
  ) -> tuple[State, Float[np.ndarray, "m h w"]]:
    """Returns the state after the next frame, and its soft masks.

    The state that is passed in is gone afterwards. Rows are the background
    and the objects that exist; they sum to 1.
    """
    state, soft = self._step(self._params, state, frame)
    count = 1 + int(np.flatnonzero(np.asarray(state.live))[-1])
    return state, np.asarray(soft[: count + 1], np.float32)


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
  side = propagator.STRIDE
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
  return MaskTracker(tracker_lib.Tracker(net, **fields), params)


def _room(count: int) -> int:
  """Returns how many rows are made for so many objects."""
  fits = [room for room in _ROOMS if room >= count]
  return fits[0] if fits else -(-count // _ROOMS[-1]) * _ROOMS[-1]


@functools.partial(jax.jit, static_argnums=1)
def _one_hot(labels: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
  """Returns masks [count, h, w] and which of them hold an object."""
  ids = jnp.arange(1, count + 1)[:, None, None]
  masks = (labels[None] == ids).astype(jnp.float32)
  return masks, masks.any((1, 2))
