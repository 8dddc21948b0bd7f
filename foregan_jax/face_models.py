"""The Python API of models of faces; `models.load` returns them.

Masks of the parts of a face are in the order of `data.face_labels.PARTS`: eyes,
brows, inner mouth, lips.
"""

import numpy as np

from foregan_jax.predictors import face_editor, face_pictures, part_finder


class FacePartsModel:
  """A model that segments the parts of faces.

  Attributes:
    finder: its networks.
    description: what was loaded; equal descriptions mean equal results.
  """

  def __init__(self, finder: part_finder.PartFinder, description: str):
    """Wrap the networks; use `load`."""
    self.finder = finder
    self.description = description

  def segment(self, picture: np.ndarray) -> np.ndarray:
    """Return soft masks of the parts of a face, float32 [h, w, 4] in [0, 1].

    Args:
      picture: uint8 RGB [h, w, 3], about as much of the face as in the pictures
        of the training.
    """
    return self.finder.find(np.asarray(picture))

  def expressions(
    self, picture: np.ndarray, parts: np.ndarray | None = None
  ) -> dict[str, dict[str, float]]:
    """Return the probability of each expression.

    Args:
      picture: uint8 RGB [h, w, 3].
      parts: its masks, as `segment` returns them; None: those of `segment`.

    Returns:
      By name, as the `masks` show it, and as the picture (`images`) does.

    Raises:
      ValueError: if the model has no classifiers.
    """
    picture = np.asarray(picture)
    if parts is None:
      parts = self.segment(picture)
    coverage = face_pictures.to_coverage(np.asarray(parts))
    return self.finder.expressions(picture, coverage)


class FaceEditModel:
  """A model that gives faces another expression.

  Attributes:
    editor: its networks.
    description: what was loaded; equal descriptions mean equal results.
  """

  def __init__(self, editor: face_editor.FaceEditor, description: str):
    """Wrap the networks; use `load`."""
    self.editor = editor
    self.description = description

  @property
  def expressions(self) -> tuple[str, ...]:
    """Return the expressions that it can give a face."""
    return self.editor.expressions

  def edit(
    self, picture: np.ndarray, parts: np.ndarray, expression: str
  ) -> np.ndarray:
    """Return a picture whose face has another expression, uint8 [h, w, 3].

    Args:
      picture: uint8 RGB [h, w, 3].
      parts: soft masks [h, w, 4] in [0, 1], as of `FacePartsModel.segment`.
      expression: one of `expressions`.

    Raises:
      ValueError: for another expression, or if the parts of a region are empty.
    """
    coverage = face_pictures.to_coverage(np.asarray(parts))
    return self.editor.edit(np.asarray(picture), coverage, expression)
