"""Objects followed through a whole video, from the mask of one frame."""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import rich.progress
from jaxtyping import Float, UInt8

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, overlays
from foregan_jax.predictors import results as results_lib
from foregan_jax.predictors import resume

POINT = "resume.npz"
_EVERY = 50
_FORMAT = 2  # of what is written; another one makes old files start afresh


@runtime_checkable
class Tracker(Protocol):
  """Follows objects from frame to frame, at the frames' own size.

  Objects are numbered 1, 2, ... without gaps, 0 is background. The state is a
  tree of arrays, whose structure must follow from the calls of `begin` and
  `add` alone: only its leaves are saved. `step` may consume it.
  """

  def begin(self, frame: UInt8[Any, "h w 3"], labels: UInt8[Any, "h w"]) -> Any:
    """Returns the state after a frame whose objects are given."""

  def add(
    self, state: Any, frame: UInt8[Any, "h w 3"], labels: UInt8[Any, "h w"]
  ) -> Any:
    """Returns the state with new or corrected objects of a frame.

    Called after `step` on the same frame; objects that `labels` does not show
    keep what was found then.
    """

  def step(
    self, state: Any, frame: UInt8[Any, "h w 3"]
  ) -> tuple[Any, Float[Any, "n h w"]]:
    """Returns the state after the next frame, and probabilities.

    They sum to 1 over the rows: background first, then the objects.
    """


class Painter(Tracker, Protocol):
  """A tracker that also knows what is behind the objects."""

  def background(self, state: Any) -> UInt8[Any, "h2 w2 3"]:
    """Returns the background of the last frame, of whatever size."""


def write(
  tracker: Tracker,
  *,
  footage: footage_lib.Footage,
  masks: Mapping[int, pathlib.Path],
  out: pathlib.Path,
  description: str,
  layers: Sequence[str] = (),
  every: int = _EVERY,
) -> list[str]:
  """Writes a mask for every frame of a video, and layers on demand.

  The earliest mask is carried forward to the end, then backward to the start.
  Later masks add objects, or correct some, from their frame on. A frame that
  cannot be read gets no mask; its objects are looked for in the next one.

  A stopped call goes on when it is made again, with the same results to the
  bit. Other inputs start afresh and replace what an earlier call wrote.

  Args:
    tracker: follows the objects; a `Painter`, if backgrounds are wanted.
    footage: the video.
    masks: by index of their frame: palette PNGs with object ids, or grey ones
      with 0 and 255. Void (255) counts as background.
    out: gets `masks/<name>.png` (palette PNGs of the frames' size, with the
      given ids), `confidence.csv` (per frame, the mean probability of the
      pixels of all objects and of each, and the share of the frame that each
      covers), `overlay.mp4`, `overlay.webp` and `resume.npz`.
    description: of the tracker; another one is another input.
    layers: what else `out` gets, of `results.LAYERS`: `foreground/<name>.png`
      (the frame, with the objects' probability as straight alpha) and
      `background/<name>.png` (see `plates.compose`).
    every: after so many frames the state is saved.

  Returns:
    One sentence per frame that could not be read.

  Raises:
    DataError: if a mask is broken, of another size or without object, or its
      frame cannot be read.
    ValueError: if a mask's frame is not there, or `out` holds inputs, or files
      that no earlier call wrote.
  """
  given, ids = _read_masks(footage, masks)
  inputs = _fingerprint(footage, masks, description, layers)
  file = resume.File(out / POINT, inputs)
  earlier = file.written(unsaid=results_lib.OLD, broken=results_lib.NAMES)
  results = results_lib.Results(
    out, names=footage.names, ids=ids, layers=layers, earlier=earlier
  )
  results.check_inputs([footage.path, *masks.values()])
  point = file.load()
  if not (point and _is_there(point, results, given, footage)):
    results.check_free()
    # What cannot begin must not cost the results of an earlier call.
    tracker.begin(_read_frame(footage, min(given)), given[min(given)])
    point = resume.Point(written=results.replaced)
    file.save(point)  # first: it says that what lies here is ours
    results.clear()
    point.table_bytes = results.table.stat().st_size
  point.written = results.written
  results.sweep()
  if point.done < footage.num_frames:
    results.truncate(point.table_bytes)
    _propagate(tracker, footage, given, results, file, point, every)
  results.sort_table()
  overlays.write(footage, masks=results.masks, out=out)
  return [point.lost[index] for index in sorted(point.lost)]


def _propagate(
  tracker, footage, given, results, file, point: resume.Point, every: int
) -> None:
  """Goes from a point to the end, writing results and further points."""
  first = min(given)
  reference = _read_frame(footage, first)
  if not point.done:
    blank = np.ones((1, *footage.size), np.float32)
    soft = _overrule(blank, given[first])
    state = None
    if results_lib.BACKGROUND in results.written:
      state = tracker.begin(reference, given[first])
    _write(results, first, soft, reference, tracker, state)
    point.done = 1
  before = 1
  with rich.progress.Progress() as bar:
    task = bar.add_task(
      "propagating", total=footage.num_frames, completed=point.done
    )
    for leg in _legs(first, footage.num_frames):
      skipped = max(0, point.done - before)
      before += len(leg)
      if skipped >= len(leg):
        continue
      state = tracker.begin(reference, given[first])
      if skipped:
        # On which frame does not matter: only the structure is used.
        for index in sorted(set(given) & set(leg[:skipped])):
          state = tracker.add(state, reference, given[index])
        state = resume.fill(state, point.leaves)
      for index, frame in footage.read(leg[skipped:]):
        if isinstance(frame, images.DataError):
          point.lost[index] = str(frame)
        else:
          state, soft = _advance(tracker, state, frame, given.get(index))
          _write(results, index, soft, frame, tracker, state)
        point.done += 1
        if point.done % every == 0:
          _save(file, point, results, state)
        bar.advance(task)
  _save(file, point, results, state=())


def _legs(first: int, num_frames: int) -> tuple[range, range]:
  """Returns the frames after the first mask, and those before it, backward."""
  return range(first + 1, num_frames), range(first - 1, -1, -1)


def _advance(tracker, state, frame, labels):
  """Returns the state after a frame, and its probabilities on the host."""
  state, soft = tracker.step(state, frame)
  soft = np.asarray(soft)
  if labels is None:
    return state, soft
  return tracker.add(state, frame, labels), _overrule(soft, labels)


def _write(results, index: int, soft, frame, tracker, state) -> None:
  """Writes what is wanted of a frame; `state` is the one after it."""
  background = None
  if results_lib.BACKGROUND in results.written:
    background = tracker.background(state)
  results.write(index, soft, frame=frame, background=background)


def _overrule(
  soft: Float[np.ndarray, "n h w"], labels: UInt8[np.ndarray, "h w"]
) -> Float[np.ndarray, "m h w"]:
  """Returns probabilities in which given objects are where they are given."""
  missing = max(0, int(labels.max()) + 1 - len(soft))
  certain = np.pad(soft, [(0, missing), (0, 0), (0, 0)])
  certain[np.unique(labels[labels > 0])] = 0
  y, x = np.nonzero(labels)
  certain[:, y, x] = 0
  certain[labels[y, x], y, x] = 1
  return certain


def _save(file, point: resume.Point, results, state) -> None:
  point.table_bytes = results.table.stat().st_size
  point.leaves = [np.asarray(x) for x in jax.tree.leaves(state)]
  file.save(point)


def _is_there(point: resume.Point, results, given, footage) -> bool:
  """Says whether something was done, and none of it removed since."""
  forward, backward = _legs(min(given), footage.num_frames)
  done = [min(given), *forward, *backward][: point.done]
  kept = [index for index in done if index not in point.lost]
  return bool(done) and results.hold(kept, point.table_bytes)


def _fingerprint(footage, masks, description: str, layers) -> str:
  """Changes whenever another result is to be expected."""
  contents = {
    index: hashlib.sha256(images.read_bytes(masks[index])).hexdigest()
    for index in sorted(masks)
  }
  inputs = (_FORMAT, footage.fingerprint, contents, description)
  # Without layers as it was before there were any: old results are taken up.
  text = repr((*inputs, *sorted(layers)))
  return hashlib.sha256(text.encode()).hexdigest()


def _read_masks(footage, masks) -> tuple[dict[int, np.ndarray], list[int]]:
  """Returns labels without gaps by frame, and the file's id of each label."""
  if not masks:
    raise ValueError("there is no mask, so there are no objects to follow")
  given, ids = {}, []
  for index, path in sorted(masks.items()):
    if not 0 <= index < footage.num_frames:
      raise ValueError(
        f"{path} is for frame {index}, but {footage.path} has frames 0 to "
        f"{footage.num_frames - 1}"
      )
    labels = images.read_labels(path)
    images.check_size(path, labels.shape, footage.size, f"in {footage.path}")
    found = _find_objects(path, labels)
    ids += [i for i in found if i not in ids]
    rows = np.zeros(images.VOID + 1, np.uint8)
    rows[ids] = np.arange(1, len(ids) + 1)
    given[index] = rows[labels]
    _read_frame(footage, index)
  return given, ids


def _find_objects(path: pathlib.Path, labels: np.ndarray) -> list[int]:
  """Returns the ids in a mask; there must be some."""
  pixels = np.bincount(labels.ravel(), minlength=images.VOID + 1)
  *objects, void = pixels[1:].tolist()
  if not any(pixels[1:]):
    raise images.DataError(path, "mask is empty, it holds no object")
  # Around objects void is a seam; inside soft edges it is the object.
  if void > sum(objects):
    raise images.DataError(
      path,
      f"most of the mask is void (255), {void} of {void + sum(objects)} pixels;"
      " expected object ids, or 0 and 255 in grey without soft edges",
    )
  return [i for i, n in enumerate(objects, 1) if n]


def _read_frame(footage, index: int) -> np.ndarray:
  """Returns a frame that has a mask; without it the mask is of no use."""
  ((_, frame),) = footage.read(range(index, index + 1))
  if isinstance(frame, images.DataError):
    raise images.DataError(
      frame.path, f"{frame.reason}; give the mask of another frame"
    )
  return frame
