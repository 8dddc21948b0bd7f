"""Frame-by-frame tracking of one object with a system that draws layers."""

import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, UInt8

from foregan_jax import game
from foregan_jax.data import flow as flow_lib
from foregan_jax.layers import inpaint, ranges
from foregan_jax.media import images, pictures

Frame = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]
Leaf = Any  # of a tree: an array, or the result of a map over the tree


class State(struct.PyTreeNode):
  """The state between frames, at the network's size."""

  carry: Any  # of the system
  frame: Leaf  # uint8 [h2, w2, 3], the last frame: start of the flow
  background: Leaf  # uint8 [h2, w2, 3], of the last frame


class LayerTracker:
  """A system's `begin` and `advance` on host arrays, for one object.

  The tracker has no state except compiled programs, so it serves any number of
  videos; the caller keeps the state of each video.

  Attributes:
    generates_background: whether the system draws layers. Without layers the
      background stays that of the first frame.
  """

  def __init__(
    self,
    system: Any,
    nets: game.Nets,
    *,
    head: str,
    size: tuple[int, int],
  ):
    """Compile the system.

    Args:
      system: a `tasks.VideoSystem`.
      nets: all nets.
      head: which masks to return.
      size: (h, w) of the frames of training. Frames are scaled to it, see
        `images.trained_size`; masks have the size of the frames.
    """
    self._size = size
    self._nets = jax.device_put(nets)

    def begin(nets, frame, mask):
      image, soft = ranges.image_to_float(frame), ranges.mask_to_float(mask)
      return system.begin(nets, frame, mask), inpaint.fill_rows(image, soft)

    def advance(nets, carry, frame, flow):
      carry, heads, layers = system.advance(
        nets, carry, frame[:, None], flow[:, None]
      )
      if layers is None:
        return carry, heads[head][:, 0], None
      background = layers.bg if layers.plate is None else layers.plate
      return carry, heads[head][:, 0], background[:, 0]

    self._begin, self._advance = jax.jit(begin), jax.jit(advance)
    self.generates_background = self._trace()

  def begin(self, frame: Frame, labels: Labels) -> State:
    """Return the state after a frame with a known object.

    Args:
      frame: RGB.
      labels: 0 background, 1 the object, 255 void (background).

    Raises:
      ValueError: if there is not exactly one object, or it is too small.
    """
    labels = np.where(labels == images.VOID, 0, labels)
    if labels.max() != 1:
      raise ValueError(
        f"the mask has the objects 1 to {labels.max()}, expected object 1"
      )
    h, w = size = images.trained_size(frame.shape[:2], self._size)
    small = images.resize_image(frame, size)
    mask = images.resize_mask(labels, size)
    if not mask.any():
      raise ValueError(
        f"the object has {np.count_nonzero(labels)} pixels and vanishes at the "
        f"network's size, {w}x{h}"
      )
    carry, background = self._begin(self._nets, small[None], mask[None])
    return State(carry, small, pictures.to_uint8(background)[0])

  def add(self, state: State, frame: Frame, labels: Labels) -> State:
    """Refuse: the carry of the system cannot be corrected."""
    raise ValueError(
      "this model segments one object from one mask; more are not supported"
    )

  def step(
    self, state: State, frame: Frame
  ) -> tuple[State, Float[np.ndarray, "2 h w"]]:
    """Return the state after the next frame, and its soft masks.

    Rows are the background and the object; they sum to 1.
    """
    small = images.resize_image(frame, state.frame.shape[:2])
    flow = _estimate(state.frame, small)
    carry, soft, background = self._advance(
      self._nets, state.carry, small[None], flow[None]
    )
    if background is None:
      last = state.background
    else:
      last = pictures.to_uint8(background)[0]
    soft = np.asarray(soft, np.float32)[0, ..., 0]
    h, w = frame.shape[:2]
    soft = cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR)
    return State(carry, small, last), np.stack([1 - soft, soft])

  def background(self, state: State) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the last frame's background, at the network's size."""
    return np.asarray(state.background)

  def _trace(self) -> bool:
    """Trace one step; return whether the system draws layers."""
    spec = lambda n, dtype: jax.ShapeDtypeStruct((1, *self._size, n), dtype)
    frame, mask = spec(3, jnp.uint8), spec(1, jnp.uint8)
    carry, _ = self._begin.eval_shape(self._nets, frame, mask)
    after, _, background = self._advance.eval_shape(
      self._nets, carry, frame, spec(2, jnp.float32)
    )
    shapes = lambda tree: [x.shape for x in jax.tree.leaves(tree)]
    if shapes(after) != shapes(carry):
      raise ValueError(
        "the generators of this run have separate weights for each frame of a "
        "clip (gf.temporal or gb.temporal is concat), so they cannot segment "
        "more frames than a clip has"
      )
    return background is not None


def check_masks(masks: Mapping[int, pathlib.Path]) -> None:
  """Refuse masks that `LayerTracker` does not support.

  Args:
    masks: by index of their frame.

  Raises:
    DataError: if a mask cannot be read.
    ValueError: if there is more than one mask or object.
  """
  if len(masks) > 1:
    given = ", ".join(f"{index}:{path}" for index, path in masks.items())
    raise ValueError(
      f"--mask is given for {len(masks)} frames ({given}), but this run uses "
      "one mask: give one of them. Runs of rgmp and memory accept several"
    )
  for path in masks.values():
    labels = images.read_labels(path)
    ids = np.unique(labels[(labels > 0) & (labels < images.VOID)]).tolist()
    if len(ids) > 1:
      raise ValueError(
        f"{path} has the objects {', '.join(map(str, ids))}, but this run "
        "segments one: give a mask with one object, or with all objects as one "
        "(grey, 0 and 255). Runs of rgmp and memory segment several"
      )


def _estimate(before: np.ndarray, after: np.ndarray) -> np.ndarray:
  """Return the flow between two frames, rounded as in training.

  Training reads it from a `flow.FlowCache`, which stores it as PNG.
  """
  flow = flow_lib.estimate(before, after)
  return flow_lib.decode_png(flow_lib.encode_png(flow))
