"""How well clusters found without labels agree with classes."""

from collections.abc import Sequence

import numpy as np


def nmi(clusters: Sequence, classes: Sequence) -> dict[str, float]:
  """Return the normalised mutual information of two labellings of the same.

  `I(A; B) / max(H(A), H(B))` as C3-GAN (ICLR 2022) has it, and
  `2 I(A; B) / (H(A) + H(B))`, the usual one; which of them Improved Layered
  GANs (WACV 2022, table 4) prints is not known.

  Returns:
    `nmi_max` and `nmi_mean`, each in [0, 1]; 0 where one labelling is constant.

  Raises:
    ValueError: if there is nothing, or the two differ in length.
  """
  if not len(classes) or len(clusters) != len(classes):
    raise ValueError(
      f"{len(clusters)} clusters for {len(classes)} classes; expected as many "
      "of both, and at least one"
    )
  _, a = np.unique(np.asarray(clusters), return_inverse=True)
  _, b = np.unique(np.asarray(classes), return_inverse=True)
  joint = np.zeros((a.max() + 1, b.max() + 1))
  np.add.at(joint, (a, b), 1 / len(a))
  entropy_a, entropy_b = _entropy(joint.sum(1)), _entropy(joint.sum(0))
  shared = max(entropy_a + entropy_b - _entropy(joint.ravel()), 0.0)
  largest = max(entropy_a, entropy_b)
  return {
    "nmi_max": shared / largest if largest else 0.0,
    "nmi_mean": 2 * shared / (entropy_a + entropy_b) if largest else 0.0,
  }


def _entropy(share: np.ndarray) -> float:
  share = share[share > 0]
  return float(-(share * np.log(share)).sum())
