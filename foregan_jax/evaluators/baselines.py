"""Scores of baselines that need no learning, kept between evaluations.

The first mask of a video, repeated or moved along the estimated flow. Their
scores depend on the data only, so a file per video keeps them, named by a
checksum of all arrays that they depend on.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from foregan_jax import storage
from foregan_jax.evaluators import heads, label_maps
from foregan_jax.layers import carry as carry_lib
from foregan_jax.media import paths

REPEAT = "repeat_first"
_FLOW = {
  "flow_warp": (carry_lib.by_backward_warp, "flow_bwd"),
  "flow_splat": (carry_lib.by_forward_splat, "flow_fwd"),
}
ROWS = (REPEAT, *_FLOW)
_VERSION = 1  # of the kept files; increase it if a baseline changes
_BUCKET = 16  # frames; flows are padded to multiples, so few lengths compile

Sequence = Mapping[str, Any]  # from `data.davis.Davis.sequence`
Labels = dict[str, list[np.ndarray]]


class Baselines:
  """The baselines of videos."""

  def __init__(self) -> None:
    """Prepare the programs."""
    self._carry = {
      name: (jax.jit(carry), flow) for name, (carry, flow) in _FLOW.items()
    }

  def scores(
    self,
    sequence: Sequence,
    score: Callable[[Labels], dict[str, Any]],
    folder: storage.Path,
  ) -> dict[str, Any]:
    """Return the scores of all rows, from a file if they are known.

    Args:
      sequence: a video.
      score: returns the scores of native label maps, by row.
      folder: of the kept files; it need not exist.
    """
    name = f"{sequence['name']}-{_checksum(sequence):08x}.json"
    path = folder / paths.check_name(name, folder)
    if path.is_file():
      try:
        return json.loads(path.read_text())
      except ValueError:
        logging.warning("%s is damaged; it is made again", path)
    scores = score(self._labels(sequence))
    text = json.dumps(scores, default=lambda array: array.tolist())
    storage.write(path, text)
    return scores

  def _labels(self, sequence: Sequence) -> Labels:
    """Return native label maps uint8 of every frame, by row."""
    mask = jnp.asarray(sequence["ref_mask"][None] / np.float32(255.0))
    made = {REPEAT: repeated(sequence)}
    for name, (carry, flow_name) in self._carry.items():
      flow = sequence[flow_name]
      padded = heads.fill(flow, -(-len(flow) // _BUCKET) * _BUCKET)
      soft = np.asarray(carry(mask, padded[None])[0])[: len(flow)]
      made[name] = label_maps.make(sequence, soft)
    return made


def repeated(sequence: Sequence) -> list[np.ndarray]:
  """Return the labels of the first frame for every frame."""
  return [label_maps.first(sequence)] * len(sequence["frames"])


def _checksum(sequence: Sequence) -> int:
  total = _VERSION
  for name in ("ref_mask", "flow_fwd", "flow_bwd"):
    total = zlib.crc32(np.ascontiguousarray(sequence[name]), total)
  for t, labels in enumerate(sequence["labels"]):
    if labels is not None:
      head = f"{t} {labels.shape}".encode()
      total = zlib.crc32(head, total)
      total = zlib.crc32(np.ascontiguousarray(labels), total)
  return total
