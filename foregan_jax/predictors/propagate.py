"""Propagation of masks through a whole video, from the mask of one frame."""

import collections
import concurrent.futures
import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import rich.progress
from jaxtyping import Float, UInt8

from foregan_jax.media import footage as footage_lib
from foregan_jax.media import images, overlays
from foregan_jax.predictors import results as results_lib
from foregan_jax.predictors import resume

SNAPSHOT_NAME = "resume.npz"
_SAVE_EVERY = 50  # frames
_MOST_UNWRITTEN = 4  # frames that wait for their files to be written
_FORMAT = 2  # of the results; after a change, old results are replaced


@runtime_checkable
class Tracker(Protocol):
  """A model that segments objects frame by frame, at the size of the frames.

  Objects are numbered 1, 2, ... without gaps; 0 is background. The state is a
  tree of arrays. Its structure must depend only on the calls of `begin` and
  `add`, because snapshots save only its leaves. `step` may donate it.
  """

  def begin(self, frame: UInt8[Any, "h w 3"], labels: UInt8[Any, "h w"]) -> Any:
    """Return the state after a frame with known objects."""

  def add(
    self, state: Any, frame: UInt8[Any, "h w 3"], labels: UInt8[Any, "h w"]
  ) -> Any:
    """Return the state with new or corrected objects of a frame.

    The caller has passed the same frame to `step`. Objects that `labels` does
    not contain keep the masks of `step`.
    """

  def step(
    self, state: Any, frame: UInt8[Any, "h w 3"]
  ) -> tuple[Any, Float[Any, "n h w"]]:
    """Return the state after the next frame, and probabilities.

    Rows are the background, then the objects; they sum to 1.
    """


class BackgroundTracker(Tracker, Protocol):
  """A tracker that also generates the background behind the objects."""

  def background(self, state: Any) -> UInt8[Any, "h2 w2 3"]:
    """Return the background of the last frame, of any size."""


def write(
  tracker: Tracker,
  *,
  footage: footage_lib.Footage,
  masks: Mapping[int, pathlib.Path],
  out: pathlib.Path,
  description: str,
  layers: Sequence[str] = (),
  every: int = _SAVE_EVERY,
) -> list[str]:
  """Write a mask for every frame of a video, and optionally its layers.

  The earliest mask is propagated forward to the last frame, then backward to
  the first. Later masks add or correct objects from their frame on. A frame
  that cannot be read gets no mask, and the state skips it.

  An interrupted call continues when it is repeated, with bitwise the same
  results. A call with other inputs replaces the results of earlier calls.

  Args:
    tracker: segments the frames; a `BackgroundTracker` if `layers` contains
      `background`.
    footage: the video.
    masks: by index of their frame: palette PNGs with object ids, or grey PNGs
      with 0 and 255. Void (255) counts as background.
    out: the output folder; `results` describes its files.
    description: of the tracker. It is a part of the inputs.
    layers: layers to write, a subset of `results.LAYERS`.
    every: number of frames between two snapshots of the state.

  Returns:
    One sentence per frame that could not be read.

  Raises:
    DataError: if a mask is broken, has another size or no object, or its frame
      cannot be read.
    ValueError: if the frame of a mask does not exist, or `out` contains
      inputs, links, files that no earlier call wrote, or a broken snapshot.
  """
  given, ids = _read_masks(footage, masks)
  inputs = _fingerprint(footage, masks, description, layers)
  file = resume.SnapshotFile(out / SNAPSHOT_NAME, inputs)
  earlier = file.read_written(unlisted=results_lib.NAMES_WITHOUT_LAYERS)
  results = results_lib.Results(
    out, names=footage.names, ids=ids, layers=layers, earlier=earlier
  )
  results.check_places([footage.path, *masks.values()])
  snapshot = file.load()
  if not (snapshot and _can_resume(snapshot, results, given, footage)):
    results.check_free()
    # Unsuitable inputs fail here, before the results of an earlier call are
    # removed.
    tracker.begin(_read_frame(footage, min(given)), given[min(given)])
    snapshot = resume.Snapshot(written=results.replaced)
    # Before any result, because it marks the results as those of this program.
    file.save(snapshot)
    results.clear()
    snapshot.table_bytes = results.table.stat().st_size
  snapshot.written = results.written
  results.remove_unfinished()
  if snapshot.done < footage.num_frames:
    results.truncate(snapshot.table_bytes)
    _propagate(tracker, footage, given, results, file, snapshot, every)
  results.sort_table()
  overlays.write(footage, masks=results.masks, out=out)
  return [snapshot.unreadable[i] for i in sorted(snapshot.unreadable)]


def _propagate(
  tracker, footage, given, results, file, snapshot: resume.Snapshot, every: int
) -> None:
  """Propagate from a snapshot to the end; write results and snapshots."""
  first = min(given)
  reference = _read_frame(footage, first)
  if not snapshot.done:
    blank = np.ones((1, *footage.size), np.float32)
    soft = _apply_labels(blank, given[first])
    background = None
    if results_lib.BACKGROUND in results.written:
      background = tracker.background(tracker.begin(reference, given[first]))
    results.write(first, soft, frame=reference, background=background)
    snapshot.done = 1
  earlier_frames = 1
  with rich.progress.Progress() as bar, _Writer(results) as writer:
    task = bar.add_task(
      "propagating", total=footage.num_frames, completed=snapshot.done
    )
    for indices in _split_passes(first, footage.num_frames):
      skipped = max(0, snapshot.done - earlier_frames)
      earlier_frames += len(indices)
      if skipped >= len(indices):
        continue
      state = tracker.begin(reference, given[first])
      if skipped:
        # Any frame will do, because only the structure is used.
        for index in sorted(set(given) & set(indices[:skipped])):
          state = tracker.add(state, reference, given[index])
        state = resume.restore_leaves(state, snapshot.leaves)
      for index, frame in _read_ahead(footage.read(indices[skipped:])):
        if isinstance(frame, images.DataError):
          snapshot.unreadable[index] = str(frame)
        else:
          state, soft = _segment(tracker, state, frame, given.get(index))
          background = None
          if results_lib.BACKGROUND in results.written:
            background = tracker.background(state)
          writer.write(index, soft, frame, background)
        snapshot.done += 1
        if snapshot.done % every == 0:
          writer.wait()
          _save(file, snapshot, results, state)
        bar.advance(task)
    writer.wait()
  _save(file, snapshot, results, state=())


class _Writer:
  """Writes results in another thread, in order, a few frames late."""

  def __init__(self, results):
    self._results = results
    self._pool = concurrent.futures.ThreadPoolExecutor(1)
    self._unfinished: collections.deque = collections.deque()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._pool.shutdown(cancel_futures=True)

  def write(self, index: int, soft, frame, background) -> None:
    """Start to write a frame; raise the errors of earlier ones."""
    self._unfinished.append(
      self._pool.submit(
        self._results.write, index, soft, frame=frame, background=background
      )
    )
    if len(self._unfinished) > _MOST_UNWRITTEN:
      self._unfinished.popleft().result()

  def wait(self) -> None:
    """Wait for all frames; raise their errors."""
    while self._unfinished:
      self._unfinished.popleft().result()


def _read_ahead(frames: Iterator) -> Iterator:
  """Yield frames; each next one is read in another thread."""
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    following = pool.submit(next, frames, None)
    while (item := following.result()) is not None:
      following = pool.submit(next, frames, None)
      yield item


def _split_passes(first: int, num_frames: int) -> tuple[range, range]:
  """Return the frames of the forward pass and of the backward pass.

  Args:
    first: index of the frame with the earliest mask.
    num_frames: of the video.
  """
  return range(first + 1, num_frames), range(first - 1, -1, -1)


def _segment(tracker, state, frame, labels):
  """Return the state after a frame, and its probabilities on the host.

  Args:
    tracker: a `Tracker`.
    state: after the frame before.
    frame: uint8 [h, w, 3].
    labels: uint8 [h, w]: known objects of this frame; None if there are none.
  """
  state, soft = tracker.step(state, frame)
  soft = np.asarray(soft)
  if labels is None:
    return state, soft
  return tracker.add(state, frame, labels), _apply_labels(soft, labels)


def _apply_labels(
  soft: Float[np.ndarray, "n h w"], labels: UInt8[np.ndarray, "h w"]
) -> Float[np.ndarray, "m h w"]:
  """Return probabilities with 1 and 0 where the labels give an object.

  Given objects get the probability 0 at all other pixels.

  Args:
    soft: probabilities, background first.
    labels: 0 unknown, 1, 2, ... objects; there may be more than rows of `soft`.
  """
  missing = max(0, int(labels.max()) + 1 - len(soft))
  certain = np.pad(soft, [(0, missing), (0, 0), (0, 0)])
  certain[np.unique(labels[labels > 0])] = 0
  y, x = np.nonzero(labels)
  certain[:, y, x] = 0
  certain[labels[y, x], y, x] = 1
  return certain


def _save(file, snapshot: resume.Snapshot, results, state) -> None:
  snapshot.table_bytes = results.table.stat().st_size
  snapshot.leaves = [np.asarray(x) for x in jax.tree.leaves(state)]
  file.save(snapshot)


def _can_resume(snapshot: resume.Snapshot, results, given, footage) -> bool:
  """Return whether frames are done and all of their results still exist."""
  forward, backward = _split_passes(min(given), footage.num_frames)
  done = [min(given), *forward, *backward][: snapshot.done]
  readable = [index for index in done if index not in snapshot.unreadable]
  return bool(done) and results.are_complete(readable, snapshot.table_bytes)


def _fingerprint(footage, masks, description: str, layers) -> str:
  """Return a hash of all inputs that determine the results."""
  contents = {
    index: hashlib.sha256(images.read_bytes(masks[index])).hexdigest()
    for index in sorted(masks)
  }
  inputs = (_FORMAT, footage.fingerprint, contents, description)
  # Without layers, the hash equals that of versions that had no layers: their
  # results stay valid.
  text = repr((*inputs, *sorted(layers)))
  return hashlib.sha256(text.encode()).hexdigest()


def _read_masks(footage, masks) -> tuple[dict[int, np.ndarray], list[int]]:
  """Return labels 1, 2, ... by frame, and the object id of each label."""
  if not masks:
    raise ValueError("there is no mask, so there are no objects to track")
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
  """Return the object ids of a mask; refuse a mask without objects."""
  pixels = np.bincount(labels.ravel(), minlength=images.VOID + 1)
  *objects, void = pixels[1:].tolist()
  if not any(pixels[1:]):
    raise images.DataError(path, "mask is empty: it has no object")
  # Around objects, void is a thin seam. In a soft grey mask, 255 is the object.
  if void > sum(objects):
    raise images.DataError(
      path,
      f"most of the mask is void (255), {void} of {void + sum(objects)} pixels;"
      " expected object ids, or 0 and 255 in grey without soft edges",
    )
  ids = [i for i, n in enumerate(objects, 1) if n]
  if len(ids) > images.MAX_IDS:
    raise images.DataError(
      path,
      f"mask has {len(ids)} distinct values, expected at most {images.MAX_IDS} "
      "object ids; is it soft? Set values above 127 to 255 and the others to 0",
    )
  return ids


def _read_frame(footage, index: int) -> np.ndarray:
  """Return a frame with a mask; refuse one that cannot be read."""
  ((_, frame),) = footage.read(range(index, index + 1))
  if isinstance(frame, images.DataError):
    raise images.DataError(
      frame.path, f"{frame.reason}; give the mask of another frame"
    )
  return frame
