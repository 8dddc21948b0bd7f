"""Errors of swapped backgrounds, where the true composite is known.

Data with masks and a folder `Background/`, such as the demo, have it: the
object of a frame, cut out by its true mask, in front of the true background of
another video. The object given to the nets is a reconstruction. The other
video's picture is given twice: with its own object, which has to be removed,
and without it. The baseline pastes the reconstruction with its raw mask.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from foregan_jax import game, storage
from foregan_jax.data import pair_truths
from foregan_jax.evaluators import image_scores
from foregan_jax.media import pictures, selection
from foregan_jax.nets import animation_inputs as inputs

# The new background has its own object, or not; see `swap_background`.
_CASES = {"": "own", "_plain": "none"}
SWAP, PASTE = "swap", "paste"
LEGEND = (
  "backgrounds: of another video, beside the object pasted with its raw mask; "
  "plain: the new picture has no object that must be removed"
)
_WHITE = 255.0


@dataclasses.dataclass(frozen=True)
class Place:
  """A picture of another video, as the new background.

  Attributes:
    image: uint8 [s, s, 3], with its own object.
    plain: uint8 [s, s, 3], the same without it.
  """

  image: np.ndarray
  plain: np.ndarray


def find_place(clip: np.ndarray, truth: pair_truths.Truth) -> Place | None:
  """Return the middle one of the frames with a known background, if any."""
  times = sorted(truth.backgrounds)
  if not times:
    return None
  time = times[len(times) // 2]
  return Place(clip[time], truth.backgrounds[time])


class Swaps:
  """Swaps backgrounds and scores them, compiled once."""

  def __init__(self, system, scorer: image_scores.Scorer):
    """Prepare the programs.

    Args:
      system: a `tasks.AnimationSystem` that swaps backgrounds.
      scorer: of its images.
    """
    self._scorer = scorer
    self._swap = jax.jit(system.swap_background, static_argnames="hole")
    self._paste = jax.jit(
      lambda third, actor, mask: inputs.paste(
        third.astype(actor.dtype) / _WHITE, actor, mask, system.threshold
      )
    )

  def score(
    self,
    nets: game.Nets,
    *,
    clip: np.ndarray,
    made: Mapping[str, Any],
    truth: pair_truths.Truth,
    place: Place,
    path: storage.Path | None = None,
  ) -> dict[str, dict[str, np.ndarray]] | None:
    """Return the scores of some frames, by row; None without a known mask.

    Args:
      nets: all nets.
      clip: the video, uint8 [t, s, s, 3].
      made: `actor`, float32 [t-1, s, s, 3], the reconstructed frames 1, 2, ...,
        and `mask`, the raw masks.
      truth: of the video.
      place: of another video.
      path: for a PNG to look at; None writes none.
    """
    known = sorted(time for time in truth.masks if time > 0)
    if not known:
      return None
    chosen = selection.evenly_spaced(len(known), image_scores.BATCH)
    times = np.array([known[i] for i in chosen])
    masks = np.stack([truth.masks[time] for time in times])[..., None]
    expected = np.where(masks, clip[times], place.plain)
    actor, mask = made["actor"][times - 1], made["mask"][times - 1]
    drawn = {}
    for ending, hole in _CASES.items():
      third = place.image if hole == "own" else place.plain
      drawn[PASTE + ending] = self._run(self._paste, third, actor, mask)
      drawn[SWAP + ending] = self._run(
        lambda *x, hole=hole: self._swap(nets, *x, hole=hole),
        third, actor, mask,
      )  # fmt: skip
    if path is not None:
      pictures.save_png(path, _sheet(clip, times, place, drawn, expected))
    return self._scorer(nets, drawn, expected)

  def _run(self, program, third, actor, mask) -> np.ndarray:
    thirds = np.broadcast_to(third, (image_scores.BATCH, *third.shape))
    filled = thirds, image_scores.fill(actor), image_scores.fill(mask)
    return np.asarray(program(*filled), np.float32)[: len(actor)]


def _sheet(clip, times, place, drawn, expected) -> np.ndarray:
  """Return a sheet with a row per frame."""
  columns = {
    "frame": clip[times],
    "place": [place.image] * len(times),
    **{name: pictures.to_uint8(2.0 * x - 1.0) for name, x in drawn.items()},
    "truth": expected,
  }
  rows = [
    [pictures.enlarge(picture) for picture in row]
    for row in zip(*columns.values(), strict=True)
  ]
  return pictures.contact_sheet(rows, columns=list(columns))
