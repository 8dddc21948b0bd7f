"""The parts of faces and their expressions, in memory."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt8

from foregan_jax import game
from foregan_jax.data import face_labels, faces
from foregan_jax.predictors import face_pictures


class PartFinder:
  """The networks of a `tasks.FacePartsSystem`, compiled once.

  Attributes:
    size: side of the faces that the networks see, pixels.
    classifies: whether it has classifiers of expressions.
  """

  def __init__(self, system: Any, nets: game.Nets):
    """Put the networks on the device.

    Args:
      system: a `tasks.FacePartsSystem`.
      nets: its networks.
    """
    self.size, self.classifies = system.size, system.classifies
    self._nets = jax.device_put(nets)
    self._segment = jax.jit(system.predict_parts)
    self._classify = jax.jit(system.classify)

  def find(
    self, picture: UInt8[np.ndarray, "h w 3"]
  ) -> Float[np.ndarray, "h w 4"]:
    """Return soft masks in [0, 1] in the order of `face_labels.PARTS`."""
    square = faces.fit(picture, self.size)
    soft = self._segment(self._nets, square[None])
    soft = np.asarray(soft[0], np.float32)
    return face_pictures.to_picture(soft, picture.shape[:2])

  def expressions(
    self,
    picture: UInt8[np.ndarray, "h w 3"],
    parts: UInt8[np.ndarray, "h2 w2 4"],
  ) -> dict[str, dict[str, float]]:
    """Return the probability of each expression, from `masks` and `images`.

    Args:
      picture: the face.
      parts: coverage 0..255 of its parts, of the same aspect ratio.

    Raises:
      ValueError: if the run has no classifiers.
    """
    if not self.classifies:
      raise ValueError(
        "the run was trained without faces with emotions, so it has no "
        "classifiers of expressions"
      )
    square = faces.fit(picture, self.size)
    masks = faces.fit_parts(parts, self.size).astype(np.float32) / 255
    made = self._classify(self._nets, square[None], masks[None])
    return {
      source: dict(
        zip(face_labels.EMOTIONS, np.asarray(x[0]).tolist(), strict=True)
      )
      for source, x in made.items()
    }
