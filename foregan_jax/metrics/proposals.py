"""Object proposals without a first mask, and scores of the best match.

The unsupervised task of DAVIS (Caelles et al., "The 2019 DAVIS Challenge on
VOS: Unsupervised Multi-Object Segmentation", 2019): up to 20 proposals for a
video, each with a mask in every frame. Every true object is scored with its
best proposal; a proposal matches at most one object.
"""

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
import scipy.optimize

from foregan_jax.metrics import davis

MAX_PROPOSALS = 20  # the task's limit
# Pixels are also neighbours across corners, in space and time, so an object
# that moves by a pixel stays connected.
_NEIGHBOURS = np.ones((3, 3, 3), bool)


def connected_components(
  mask: np.ndarray, limit: int = MAX_PROPOSALS
) -> np.ndarray:
  """Return the connected components of a video's mask, numbered by size.

  Args:
    mask: boolean [t, h, w].
    limit: number of components to keep, at most 255; the largest are kept.

  Returns:
    uint8 [t, h, w]: 0 is background, 1 the component with the most pixels over
    all frames, 2 the next one, ... Components of equal size are in the order
    of their first pixels.

  Raises:
    ValueError: `mask` is not boolean with three axes.
  """
  if mask.dtype != bool or mask.ndim != 3:
    raise ValueError(
      f"expected a boolean mask [t, h, w], got {mask.dtype} {mask.shape}."
    )
  labels, count = scipy.ndimage.label(mask, _NEIGHBOURS)
  sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
  largest = np.argsort(-sizes, kind="stable")[:limit]
  number = np.zeros(count + 1, np.uint8)
  number[1 + largest] = 1 + np.arange(len(largest))
  return number[labels]


def score_sequence(
  pred: Sequence[np.ndarray],
  truth: Sequence[np.ndarray | None],
  *,
  objects: Sequence[int],
) -> dict[int, dict[str, np.ndarray]]:
  """Return J and F of every object with its assigned proposal.

  The one-to-one assignment of proposals to objects maximises the sum of their
  means of J and F over the scored frames; a single object gets the best
  proposal. If there are fewer proposals than objects, empty ones are added, as
  in the toolkit.

  Scored frames and void pixels are those of `davis.score_sequence`, so that
  both scores are comparable. The toolkit's unsupervised task differs: it
  scores all frames, including the first and last, and ignores void pixels
  instead of counting them as background.

  Args:
    pred: a label map uint8 [h, w] per frame, of proposals 1, 2, ...
    truth: label maps of the same size; None for frames without annotation.
    objects: the object ids to score.

  Returns:
    As `davis.score_sequence`.

  Raises:
    ValueError: as `davis.score_sequence`, or there are more than
      `MAX_PROPOSALS` proposals.
  """
  frames = davis.annotated_frames(pred, truth)
  count = max(int(labels.max()) for labels in pred)
  if count > MAX_PROPOSALS:
    raise ValueError(
      f"{count} proposals, but the task allows {MAX_PROPOSALS} for a video."
    )
  masks_of = lambda labels, number: [labels[t] == number for t in frames]
  table = [
    [
      davis.score_object(masks_of(pred, p), masks_of(truth, k), frames)
      for k in objects
    ]
    for p in range(1, 1 + max(count, len(objects)))
  ]
  quality = [
    [(s["J"].mean() + s["F"].mean()) / 2 for s in row] for row in table
  ]
  rows, columns = scipy.optimize.linear_sum_assignment(quality, maximize=True)
  chosen = dict(zip(columns.tolist(), rows.tolist(), strict=True))
  return {int(k): table[chosen[i]][i] for i, k in enumerate(objects)}
