"""A system of the flagship's kind, for frames as a camera gives them."""

import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, UInt8

from foregan_jax.data import flow as flow_lib
from foregan_jax.layers import inpaint, ranges
from foregan_jax.media import images, pictures

Frame = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]
# In a tree: an array, or whatever a map over the tree makes of it.
Leaf = Any


@struct.dataclass
class State:
  """What is carried from frame to frame, at the network's size."""

  carry: Any  # the system's own
  frame: Leaf  # uint8 [h2, w2, 3], the last one, where the flow starts
  background: Leaf  # uint8 [h2, w2, 3], of the last one


class LayerTracker:
  """A system's `begin` and `advance` on host arrays, for one object.

  There is no state in it beside the compiled programs: one tracker serves any
  number of videos, and what is carried through a video is the caller's.

  Attributes:
    draws: whether the system draws layers. One that draws none has for a
      background the first one for ever.
  """

  def __init__(
    self,
    system: Any,
    params: Mapping[str, Any],
    *,
    head: str,
    size: tuple[int, int],
  ):
    """Remembers the system.

    Args:
      system: has `begin` and `advance`.
      params: by net.
      head: whose masks are wanted.
      size: (h, w) of the frames that it has learnt from. Others are looked at
        in that size; masks are as large as the frames.
    """
    self._size = size
    self._params = jax.device_put(params)

    def begin(params, frame, mask):
      image, soft = ranges.image_to_float(frame), ranges.mask_to_float(mask)
      return system.begin(params, frame, mask), inpaint.rows(image, soft)

    def advance(params, carry, frame, flow):
      carry, heads, layers = system.advance(
        params, carry, frame[:, None], flow[:, None]
      )
      if layers is None:
        return carry, heads[head][:, 0], None
      background = layers.bg if layers.plate is None else layers.plate
      return carry, heads[head][:, 0], background[:, 0]

    self._begin, self._advance = jax.jit(begin), jax.jit(advance)
    self.draws = self._try_out()

  def begin(self, frame: Frame, labels: Labels) -> State:
    """Returns the state after a frame on which the object is given.

    Args:
      frame: RGB.
      labels: 0 background, 1 the object, 255 void (background).

    Raises:
      ValueError: if there is not exactly one object, or too little of it.
    """
    labels = np.where(labels == images.VOID, 0, labels)
    if labels.max() != 1:
      raise ValueError(
        f"the mask holds the objects 1 to {labels.max()}, expected object 1"
      )
    small = images.resize_image(frame, self._size)
    mask = images.resize_mask(labels, self._size)
    if not mask.any():
      h, w = self._size
      raise ValueError(
        f"the object has {np.count_nonzero(labels)} pixels, of which nothing "
        f"is left at the network's size, {w}x{h}"
      )
    carry, background = self._begin(self._params, small[None], mask[None])
    return State(carry, small, pictures.to_uint8(background)[0])

  def add(self, state: State, frame: Frame, labels: Labels) -> State:
    """Refuses: what the system carries cannot be corrected."""
    raise ValueError(
      "there is one object, and its mask is given on one frame only"
    )

  def step(
    self, state: State, frame: Frame
  ) -> tuple[State, Float[np.ndarray, "2 h w"]]:
    """Returns the state after the next frame, and its soft masks.

    Rows are the background and the object; they sum to 1.
    """
    small = images.resize_image(frame, self._size)
    flow = _estimate(state.frame, small)
    carry, soft, background = self._advance(
      self._params, state.carry, small[None], flow[None]
    )
    if background is None:
      behind = state.background
    else:
      behind = pictures.to_uint8(background)[0]
    soft = np.asarray(soft, np.float32)[0, ..., 0]
    h, w = frame.shape[:2]
    soft = cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR)
    return State(carry, small, behind), np.stack([1 - soft, soft])

  def background(self, state: State) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Returns the last frame's background, at the network's size."""
    return np.asarray(state.background)

  def _try_out(self) -> bool:
    """Traces a step; says whether it draws layers."""
    spec = lambda n, dtype: jax.ShapeDtypeStruct((1, *self._size, n), dtype)
    frame, mask = spec(3, jnp.uint8), spec(1, jnp.uint8)
    carry, _ = self._begin.eval_shape(self._params, frame, mask)
    after, _, background = self._advance.eval_shape(
      self._params, carry, frame, spec(2, jnp.float32)
    )
    shapes = lambda tree: [x.shape for x in jax.tree.leaves(tree)]
    if shapes(after) != shapes(carry):
      raise ValueError(
        "this run's generators have weights of their own for each frame of a "
        "clip (gf.temporal or gb.temporal is concat): they go no further than "
        "a clip, so there is no video that they could follow"
      )
    return background is not None


def check_masks(masks: Mapping[int, pathlib.Path]) -> None:
  """Refuses what `LayerTracker` cannot follow, before anything is made.

  Args:
    masks: by index of their frame.

  Raises:
    DataError: if a mask cannot be read.
    ValueError: if there are several masks, or several objects.
  """
  if len(masks) > 1:
    given = ", ".join(f"{index}:{path}" for index, path in masks.items())
    raise ValueError(
      f"--mask is given for {len(masks)} frames ({given}), but this run starts "
      "from one and cannot correct itself: give one of them; a run of rgmp "
      "takes several"
    )
  for path in masks.values():
    labels = images.read_labels(path)
    ids = np.unique(labels[(labels > 0) & (labels < images.VOID)]).tolist()
    if len(ids) > 1:
      raise ValueError(
        f"{path} holds the objects {', '.join(map(str, ids))}, but this run "
        "follows one: give a mask with one of them, or with all of them as one "
        "(grey, 0 and 255); a run of rgmp follows several"
      )


def _estimate(before: np.ndarray, after: np.ndarray) -> np.ndarray:
  """Returns the flow between neighbours, rounded as training has seen it.

  There it comes from a `flow.FlowCache`, which keeps it as PNG.
  """
  flow = flow_lib.estimate(before, after)
  return flow_lib.decode_png(flow_lib.encode_png(flow))
