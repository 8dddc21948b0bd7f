"""Agreement of clusters with classes."""

from collections.abc import Sequence

import numpy as np


def nmi(clusters: Sequence, classes: Sequence) -> dict[str, float]:
  """Return the normalised mutual information of two labellings.

  `nmi_max = I(A; B) / max(H(A), H(B))`, as in C3-GAN (ICLR 2022), and
  `nmi_mean = 2 I(A; B) / (H(A) + H(B))`, the usual form. Improved Layered GANs
  (WACV 2022, table 4) does not say which one it reports.

  Args:
    clusters: one label per item.
    classes: one label per item, in the same order.

  Returns:
    `nmi_max` and `nmi_mean`, each in [0, 1]; 0 if a labelling is constant.

  Raises:
    ValueError: the labellings are empty, or their lengths differ.
  """
  if not len(classes) or len(clusters) != len(classes):
    raise ValueError(
      f"{len(clusters)} clusters for {len(classes)} classes; expected one of "
      "each per item, and at least one item"
    )
  _, a = np.unique(np.asarray(clusters), return_inverse=True)
  _, b = np.unique(np.asarray(classes), return_inverse=True)
  joint = np.zeros((a.max() + 1, b.max() + 1))
  np.add.at(joint, (a, b), 1 / len(a))
  entropy_a, entropy_b = _entropy(joint.sum(1)), _entropy(joint.sum(0))
  information = max(entropy_a + entropy_b - _entropy(joint.ravel()), 0.0)
  largest = max(entropy_a, entropy_b)
  return {
    "nmi_max": information / largest if largest else 0.0,
    "nmi_mean": 2 * information / (entropy_a + entropy_b) if largest else 0.0,
  }


def _entropy(share: np.ndarray) -> float:
  share = share[share > 0]
  return float(-(share * np.log(share)).sum())
