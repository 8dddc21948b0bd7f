"""DAVIS folders as an indexable source of clips and of whole sequences.

Training samples follow VOS-ForeGAN sec. 2.1: one per video, always its first
`clip_len` frames, because only frame 0 needs a mask.
"""

import collections
import concurrent.futures
import functools
import os
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
from absl import logging
from rich import progress as rich_progress

from foregan_jax.data import flow as flow_lib
from foregan_jax.data import folders
from foregan_jax.media import images

MERGED = "merged"
ALL = "all"
FLOW_SOURCES = ("auto", "flo", "dis", "zeros")
_NUM_THREADS = os.cpu_count() or 1

Sample = dict[str, np.ndarray]
# The built-in `map`, or that of a thread pool.
Mapper = Callable[..., Iterable]
# The network size (h, w) for a native size.
Fit = Callable[[tuple[int, int]], tuple[int, int]]


class Davis:
  """One split of a DAVIS data set at one network size.

  `source[i]` is a training sample with one object: `video` uint8
  [t, h, w, 3], `ref_mask` uint8 [h, w, 1] (coverage 0..255), `flow_fwd` float32
  [t-1, h, w, 2].

  Attributes:
    names: all sequences of the list, in its order.
    clip_names: sequences with at least `clip_len` frames.
    samples: (sequence, objects) of each training sample.
  """

  def __init__(
    self,
    root: str | os.PathLike,
    *,
    year: str,
    split: str,
    resolution: str,
    objects: str | int,
    size: tuple[int, int],
    clip_len: int,
    flow: str,
    flow_cache: str | os.PathLike,
    flow_offset: int = 0,
  ):
    """Scan the folders; no picture is read yet.

    Args:
      root: folder that holds JPEGImages, Annotations and ImageSets.
      year: "2016" or "2017", the folder of ImageSets with the list.
      split: the list's name, such as "train" or "val".
      resolution: folder below JPEGImages; "" if there is exactly one.
      objects: "merged" (all objects become one), "all" (each object is a
        training sample of its own; `sequence` returns all), or one object id.
      size: network size (h, w).
      clip_len: frames of a training sample.
      flow: "flo" (.flo files), "dis" (estimated and cached), "auto" ("flo" for
        videos with .flo files, else "dis") or "zeros".
      flow_cache: folder for estimated flows; `root` may be read-only.
      flow_offset: 0: transition t gets the flow from frame t to t+1. 1: it gets
        the next one, as in the source of VOS-ForeGAN (sec. 2.4), and the last
        transition of a video its own.

    Raises:
      DataError: naming the list, folder or file that is missing or invalid.
      ValueError: if `flow` or `objects` is not one of the above.
    """
    if flow not in FLOW_SOURCES:
      raise ValueError(
        f"data.flow is {flow!r}, but must be one of {', '.join(FLOW_SOURCES)}"
      )
    if flow_offset not in (0, 1):
      raise ValueError(f"data.flow_offset is {flow_offset}, but must be 0 or 1")
    _check_objects(objects)
    self.root = pathlib.Path(root)
    self.split = split
    self.objects = objects
    self.size = (int(size[0]), int(size[1]))
    self.clip_len = clip_len
    self.flow = flow
    self.flow_offset = flow_offset
    self.resolution = folders.find_resolution(self.root, resolution)
    self._cache = flow_lib.FlowCache(flow_cache)
    path = folders.find_list(self.root, year, split, self.resolution)
    self.names = tuple(folders.read_list(path))
    self._videos = {
      name: folders.scan(self.root, self.resolution, name)
      for name in self.names
    }
    self._flo = {v.name: self._find_flo(v) for v in self._videos.values()}
    self.clip_names = tuple(
      name for name in self.names if self.num_frames(name) >= clip_len
    )
    for name in self.names:
      if name not in self.clip_names:
        logging.info(
          "%s has %d frames, fewer than clip_len (%d): no sample, list %s",
          name,
          self.num_frames(name),
          clip_len,
          path,
        )

  @functools.cached_property
  def samples(self) -> tuple[tuple[str, str | int], ...]:
    """See the class; with separate objects, it reads all first masks."""
    if self.objects != ALL:
      return tuple((name, self.objects) for name in self.clip_names)
    return tuple((n, k) for n in self.clip_names for k in self.object_ids(n))

  def __len__(self) -> int:
    return len(self.samples)

  def __getitem__(self, index: int) -> Sample:
    name, objects = self.samples[int(index)]
    video = self._videos[name]
    # With an offset, the last flow ends one frame after the clip.
    count = min(self.clip_len + self.flow_offset, len(video.frames))
    frames, native = self._frames(video, count, map, self._fit)
    labels = self._labels(video, 0, native, objects)
    flow = self._flows(video, frames, "fwd", map)
    return {
      "video": frames[: self.clip_len],
      "ref_mask": self._ref_mask(labels, video, objects, self.size),
      "flow_fwd": flow[: self.clip_len - 1],
    }

  def _fit(self, native: tuple[int, int]) -> tuple[int, int]:
    del native
    return self.size

  def num_frames(self, name: str) -> int:
    """Return the number of frames of a sequence on disk."""
    return len(self._videos[name].frames)

  def object_ids(self, name: str) -> tuple[int, ...]:
    """List the object ids in a sequence's first mask."""
    ids = np.unique(images.read_labels(self._videos[name].masks[0]))
    return tuple(int(i) for i in ids if 0 < i < images.VOID)

  def sequence(
    self,
    name: str,
    *,
    num_frames: int | None = None,
    objects: str | int | None = None,
    fit: Fit | None = None,
  ) -> dict:
    """Read a whole sequence for evaluation.

    Args:
      name: one of `names`.
      num_frames: maximal number of frames; None: all.
      objects: overrides `objects` of the source; None: no override.
      fit: returns the network size for a native size (h, w); None: `size`.

    Returns:
      A dict with
      name;
      at network size: frames uint8 [T, h, w, 3], ref_mask uint8 [h, w, n] of n
      objects, flow_fwd and flow_bwd float32 [T-1, h, w, 2], and background(t),
      the true background as RGB uint8 [h, w, 3], None if it is unknown;
      at native size: labels, a list of T uint8 [H, W] (0, 1..n = the objects,
      255 void; None without a mask), native_size (H, W), and native_frame(t),
      RGB uint8 [H, W, 3];
      paths of the frames.
      background and native_frame read the file when they are called.

    Raises:
      DataError: naming the file that is broken, or the empty first mask;
        background and native_frame raise it when they are called.
    """
    if name not in self._videos:
      raise ValueError(f"sequence {name!r} is not one of {list(self.names)}")
    chosen = self.objects if objects is None else objects
    _check_objects(chosen)
    fit = fit or self._fit
    video = self._videos[name]
    count = len(video.frames[:num_frames])
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
      frames, native = self._frames(video, count, pool.map, fit)
      size = frames.shape[1:3]
      read = lambda t: self._labels(video, t, native, chosen)
      labels = list(pool.map(read, range(count)))
      return {
        "name": name,
        "frames": frames,
        "ref_mask": self._ref_mask(labels[0], video, chosen, size),
        "flow_fwd": self._flows(video, frames, "fwd", pool.map),
        "flow_bwd": self._flows(video, frames, "bwd", pool.map),
        "labels": labels,
        "native_size": native,
        "native_frame": lambda t: images.read_image(video.frames[t]),
        "background": lambda t: self._background(video, t, native, size),
        "paths": list(video.frames[:count]),
      }

  def cache_flows(self, *, show_progress: bool) -> None:
    """Estimate the missing flows of the training samples, in parallel."""
    todo = [i for i in range(len(self)) if not self._has_flows(i)]
    if not todo:
      return
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
      samples = rich_progress.track(
        pool.map(self.__getitem__, todo),
        f"optical flow of {self.split}",
        total=len(todo),
        disable=not show_progress,
      )
      collections.deque(samples, maxlen=0)

  def _has_flows(self, index: int) -> bool:
    name, _ = self.samples[index]
    video = self._videos[name]
    if self.flow == "zeros" or self._flo[video.name] is not None:
      return True
    return all(
      self._cache.path(video.key, "fwd", t, self.size).exists()
      for t in self._transitions(len(video.frames), "fwd")[: self.clip_len - 1]
    )

  def _transitions(self, num_frames: int, direction: str) -> list[int]:
    """Return the number of the flow of each transition."""
    offset = self.flow_offset * (direction == "fwd")
    last = num_frames - 2
    return [min(t + offset, last) for t in range(num_frames - 1)]

  def _find_flo(self, video: folders.Video) -> tuple[pathlib.Path, ...] | None:
    if self.flow in ("dis", "zeros"):
      return None
    paths = folders.find_flo(self.root, self.resolution, video)
    if paths is None and self.flow == "flo":
      raise images.DataError(
        self.root,
        f"no .flo files for sequence {video.name}, expected "
        f"OpticalFlow*/{self.resolution}/{video.name}/00000.flo",
      )
    return paths

  def _frames(
    self, video: folders.Video, count: int, mapper: Mapper, fit: Fit
  ) -> tuple[np.ndarray, tuple[int, int]]:
    """Read frames at network size, and their native size."""

    def read(path):
      image = images.read_image(path)
      native = image.shape[:2]
      return images.resize_image(image, fit(native)), native

    paths = video.frames[:count]
    frames, sizes = zip(*mapper(read, paths), strict=True)
    for path, size in zip(paths, sizes, strict=True):
      images.check_size(path, size, sizes[0], "the sequence's first frame")
    return np.stack(frames), sizes[0]

  def _background(
    self,
    video: folders.Video,
    t: int,
    native: tuple[int, int],
    size: tuple[int, int],
  ) -> np.ndarray | None:
    path = folders.find_background(self.root, self.resolution, video, t)
    if path is None:
      return None
    image = images.read_image(path)
    images.check_size(path, image.shape[:2], native, "its frame")
    return images.resize_image(image, size)

  def _labels(
    self,
    video: folders.Video,
    t: int,
    native: tuple[int, int],
    objects: str | int,
  ) -> np.ndarray | None:
    """Read the mask of frame t as 0, 1.. = the chosen objects, 255 void."""
    path = video.masks[t]
    if path is None:
      return None
    labels = images.read_labels(path)
    images.check_size(path, labels.shape, native, "its frame")
    if objects == ALL:
      return labels
    hit = labels > 0 if objects == MERGED else labels == objects
    void = labels == images.VOID
    return np.where(void, images.VOID, hit).astype(np.uint8)

  def _ref_mask(
    self,
    labels: np.ndarray,
    video: folders.Video,
    objects: str | int,
    size: tuple[int, int],
  ) -> np.ndarray:
    # As in the DAVIS toolkit, the highest id is the number of objects.
    count = int(np.where(labels == images.VOID, 0, labels).max())
    if not count:
      raise images.DataError(
        video.masks[0],
        f"first mask of {video.name} holds no object (objects={objects!r})",
      )
    masks = [
      images.resize_mask((labels == k).astype(np.uint8), size)
      for k in range(1, count + 1)
    ]
    return np.concatenate(masks, axis=-1)

  def _flows(
    self,
    video: folders.Video,
    frames: np.ndarray,
    direction: str,
    mapper: Mapper,
  ) -> np.ndarray:
    """Read or estimate the flows between neighbouring frames.

    Files hold forward flows only, so backward flows are always estimated.
    """
    flo, size = self._flo[video.name], frames.shape[1:3]

    def read(t):
      if self.flow == "zeros":
        return np.zeros((*size, 2), np.float32)
      if flo is not None and direction == "fwd":
        return flow_lib.resize(flow_lib.read_flo(flo[t]), size)
      first, second = (t, t + 1) if direction == "fwd" else (t + 1, t)
      pair = lambda: (frames[first], frames[second])
      return self._cache.get(video.key, direction, t, size, pair)

    flows = [np.zeros((0, *size, 2), np.float32)]
    flows += [
      f[None] for f in mapper(read, self._transitions(len(frames), direction))
    ]
    return np.concatenate(flows)


def _check_objects(objects: str | int) -> None:
  named = objects in (MERGED, ALL)
  if not named and not (isinstance(objects, int) and objects > 0):
    raise ValueError(
      f"objects {objects!r} is neither {MERGED!r}, {ALL!r} nor an object id "
      "above 0"
    )
