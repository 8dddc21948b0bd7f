"""Edited expressions of faces in pictures of any size, in memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from foregan_jax import game, tasks
from foregan_jax.data import faces
from foregan_jax.layers import face_boxes, face_paste, ranges


class FaceEditor:
  """The networks of a `tasks.FaceEditSystem`, compiled once.

  Attributes:
    size: side of the faces that the networks see, pixels.
    expressions: the expressions that it can give a face.
  """

  def __init__(self, system: Any, nets: game.Nets):
    """Put the networks on the device.

    Args:
      system: a `tasks.FaceEditSystem`.
      nets: its networks.
    """
    self.size = system.size
    self.expressions = (system.target, system.source)
    self._regions = system.regions
    self._adds = system.blend == "add"
    self._nets = jax.device_put(nets)
    self._edit = jax.jit(system.edit, static_argnums=3)
    self._paste = jax.jit(_paste)

  def direction(self, expression: str) -> str:
    """Return the direction of the networks that makes an expression.

    Raises:
      ValueError: if the run was not trained for it.
    """
    if expression not in self.expressions:
      raise ValueError(
        f"expression is {expression!r}, but the run makes "
        f"{' and '.join(self.expressions)} only"
      )
    return tasks.DIRECTIONS[self.expressions.index(expression)]

  def edit(
    self,
    picture: UInt8[np.ndarray, "h w 3"],
    parts: UInt8[np.ndarray, "h2 w2 4"],
    expression: str,
  ) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture whose face has another expression.

    Pixels outside the edited regions stay as they are.

    Args:
      picture: the face.
      parts: coverage 0..255 of its parts, of the same aspect ratio.
      expression: one of `expressions`.

    Raises:
      ValueError: for another expression, or if the parts of a region are empty.
    """
    direction = self.direction(expression)
    masks = faces.clean(faces.fit_parts(parts, self.size))
    for region in self._regions:
      if not face_boxes.region_masks(jnp.asarray(masks[None]), region).any():
        names, _ = face_boxes.REGIONS[region]
        raise ValueError(f"the masks show no {' and no '.join(names)}")
    square = faces.fit(picture, self.size)
    made = self._edit(self._nets, square[None], masks[None], direction)
    # From pixels of the square face to those of the picture.
    height, width = picture.shape[:2]
    top, left = faces.margins((height, width))
    scale = max(height, width) / self.size
    boxes = made["boxes"] * scale - jnp.array([[[top, left, top, left]]])
    before = made["crops"] if self._adds else None
    edited = self._paste(
      picture, made["regions"], boxes, made["alphas"], before
    )
    return np.asarray(edited)


def _paste(picture, regions, boxes, alphas, before) -> jax.Array:
  """Paste all regions of one face, one after the other."""
  face = ranges.image_to_float(picture)[None]
  for i, region in enumerate(regions):
    old = None if before is None else before[i]
    face = face_paste.paste_back(face, region, boxes[i], alphas[i], old)
  return ranges.image_to_uint8(face[0])
